"""The delivery domain: what teams planned, met for and finished. Counts of teams; no SQL that moves data."""

from kpi_pipeline.contracts.columns import DAY, count, raw_table
from kpi_pipeline.contracts.model import Column, Record, Table

TEAM = Column("team", "VARCHAR", "the team, in lower case")
TEAMS = Column("teams", "VARCHAR[]", "the team, and what it is part of")
CEREMONY_KINDS = ("stand-up", "sprint review")

CEREMONIES = Record(
    "ceremonies",
    "Stand-ups and sprint reviews: how many of a team were expected, and how many came. Never who.",
    "log",
    (
        Column("date", "DATE", "UTC day of the ceremony"),
        Column("team", "VARCHAR", "the team"),
        Column("kind", "VARCHAR", "stand-up or sprint review", values=CEREMONY_KINDS),
        Column("expected", "BIGINT", "how many were expected: absence that was agreed on left out", unit="people"),
        Column("attended", "BIGINT", "how many of them came", unit="people"),
    ),
    day="date",
    rules=(
        ("negative:expected", "expected < 0"),
        ("negative:attended", "attended < 0"),
        ("more_than_expected", "attended > expected"),
    ),
)

RECORDS = (CEREMONIES,)

WAREHOUSE: tuple[Table, ...] = (
    *(raw_table(record) for record in RECORDS),
    Table(
        "facts.ceremonies",
        "Stand-ups and sprint reviews, one of a kind a day and team; the last one delivered counts.",
        "day, team and kind",
        ("date", "team", "kind"),
        (
            DAY,
            TEAM,
            TEAMS,
            Column("kind", "VARCHAR", "stand-up or sprint review", values=CEREMONY_KINDS),
            count("expected", "how many were expected", "people"),
            count("attended", "how many of them came", "people"),
        ),
    ),
)
