"""nbgitpuller: landings read from access logs, and the tables made of them. Of other requests only a count is kept."""

from kpi_pipeline.contracts.columns import HUB_ID, PERSON, count
from kpi_pipeline.contracts.model import Column, Record, Table

ACCESS_LOGS = Record(
    "access_logs",
    "Successful landings of nbgitpuller links, from access logs; other requests are counted, and not kept.",
    "log",
    (
        Column("date", "DATE", "UTC day of the request"),
        Column("hit_at", "TIMESTAMPTZ", "when it was made"),
        Column("cluster", "VARCHAR", "the first folder of the file's path"),
        Column("hub", "VARCHAR", "the second folder"),
        Column("username", "VARCHAR", "whose server it was made to", personal=True),
        Column("repo", "VARCHAR", "the repository, decoded and normalised"),
    ),
    day="date",
    may_be_empty=True,
)
LOG_FILES = Table(
    "raw.log_files",
    "How many lines each log has: kept, in quarantine, or others. Files that can't be read as a whole are in "
    "raw.quarantine alone.",
    "file",
    ("source", "file"),
    (
        Column("source", "VARCHAR", "the source in kpi.toml"),
        Column("file", "VARCHAR", "the file's name in its source"),
        count("lines", "all of them", "lines"),
        count("others", "other requests and blank lines, which are not kept", "lines"),
    ),
)
TABLES = (
    Table(
        "facts.nbgitpuller_hits",
        "Landings on production hubs; a person's landings on a repository, each within 30 minutes of the one before, "
        "are one click.",
        "hub, person, repository and moment",
        ("hub_id", "person_key", "repo", "hit_at"),
        (
            Column("date", "DATE", "UTC day"),
            Column("hit_at", "TIMESTAMP", "when, UTC"),
            HUB_ID,
            Column("hub_type", "VARCHAR", "education, research or other, as of the day"),
            PERSON,
            Column("repo", "VARCHAR", "the repository"),
            Column("hits", "BIGINT", "lines in the logs", unit="lines"),
            Column("is_click", "BOOLEAN", "the first of a click"),
        ),
    ),
)
