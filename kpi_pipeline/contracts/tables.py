"""Every table of the warehouse and of the published database: grain, key, columns. Published ones are a contract."""

from kpi_pipeline.contracts import costs, delivery, github, metrics, money, opinion, outreach, product, quality
from kpi_pipeline.contracts.clicks import ACCESS_LOGS, LOG_FILES
from kpi_pipeline.contracts.clicks import TABLES as CLICKS
from kpi_pipeline.contracts.columns import DAY, FILE, HUB_ID, PERSON, ROW, VALUE, count, raw_table
from kpi_pipeline.contracts.model import Column, Table
from kpi_pipeline.contracts.records import HUB_ACTIVITY, HUB_REGISTRY
from kpi_pipeline.contracts.support import TABLES as SUPPORT

ACTIVE_USERS_COLUMNS = (
    DAY,
    Column("grain", "VARCHAR", "organisation, community, hub_type, cluster or hub"),
    Column("member", "VARCHAR", "which one of the grain; 'organisation' for the whole"),
    count("dau", "distinct people on the day", "people"),
    count("wau", "distinct people in the 7 days that end on the day", "people"),
    count("mau", "distinct people in the 30 days that end on the day", "people"),
    count("new", "people seen for the first time ever", "people"),
    count("returning", "people seen again after 30 or more days", "people"),
    count("lapsed", "people last seen exactly 30 days ago", "people"),
)

HUB_COLUMNS = (
    HUB_ID,
    Column("from_day", "DATE", "first UTC day that this version describes"),
    Column("to_day", "DATE", "first UTC day that it no longer describes; 9999-12-31: still valid"),
    Column("cluster", "VARCHAR", "the cluster that the hub runs on"),
    Column("hub", "VARCHAR", "the hub's name on its cluster"),
    Column("provider", "VARCHAR", "who provides the cluster", nullable=True),
    Column("display_name", "VARCHAR", "the name that people see"),
    Column("domain", "VARCHAR", "where the hub is served", nullable=True),
    Column("environment", "VARCHAR", "production or staging", values=("production", "staging")),
    Column("kind", "VARCHAR", "hub, or binder", values=("hub", "binder")),
    Column("hub_type", "VARCHAR", "education, research or other", values=("education", "research", "other")),
    Column("communities", "VARCHAR[]", "the communities that the hub is run for"),
)

QUARANTINE = Table(
    "raw.quarantine",
    "Records that don't fit their contract, with the reason and the place; what they say stays in the landing zone.",
    "rejected record (or file: then `row` is empty)",
    (),
    (
        Column("source", "VARCHAR", "the source in kpi.toml"),
        Column("file", "VARCHAR", "the landed file"),
        Column("row", "BIGINT", "its place in the file, the header not counted; empty: the whole file", nullable=True),
        Column("reason", "VARCHAR", "what is wrong: a code, with the column's name where there is one"),
        Column("stage", "VARCHAR", "raw (the record itself) or staged (against the registry)"),
        Column("date", "DATE", "the day that the record speaks of, where known", nullable=True),
    ),
)

WAREHOUSE: tuple[Table, ...] = (
    QUARANTINE,
    Table(
        "raw.loads",
        "Which version of each landed file is in raw.",
        "file",
        ("source", "file"),
        (
            Column("source", "VARCHAR", "the source in kpi.toml"),
            Column("file", "VARCHAR", "the file's name in its source"),
            Column("sha256", "VARCHAR", "hash of its bytes"),
            Column("keying", "VARCHAR", "fingerprint of contract, secret and identity issuers it was loaded with"),
            count("rows", "records accepted", "records"),
        ),
    ),
    Table(
        "raw.parts",
        "The parts of live sources (clusters, hubs, repositories, ...), and how their last fetch went.",
        "source and part",
        ("source", "part"),
        (
            Column("source", "VARCHAR", "the source in kpi.toml"),
            Column("part", "VARCHAR", "the part, as its connector names it"),
            Column("checked_at", "TIMESTAMP", "when the last fetch that got through began, UTC", nullable=True),
            Column("is_wanted", "BOOLEAN", "kpi.toml names it"),
            Column("first_day", "DATE", "first UTC day that anything is landed of, though not all", nullable=True),
            count("lag_days", "how many of the last days are normally not there yet", "days"),
            Column("problem", "VARCHAR", "why the last fetch did not get through; empty: it did", nullable=True),
            Column("problem_since", "TIMESTAMP", "since when, UTC", nullable=True),
        ),
    ),
    Table(
        "raw.covered_days",
        "The days of which all is landed, of the parts of live sources.",
        "source, part and interval",
        ("source", "part", "first_day"),
        (
            Column("source", "VARCHAR", "the source in kpi.toml"),
            Column("part", "VARCHAR", "the part"),
            Column("first_day", "DATE", "first UTC day"),
            Column("last_day", "DATE", "last UTC day, included"),
        ),
    ),
    LOG_FILES,
    *(raw_table(record) for record in (HUB_REGISTRY, HUB_ACTIVITY, ACCESS_LOGS, *github.RECORDS)),
    Table(
        "staged.hubs",
        "Hubs by day: each version with the days on which it is the one that counts.",
        "hub and version",
        ("hub_id", "from_day"),
        (*HUB_COLUMNS, Column("identity_issuer", "VARCHAR", "who vouches for the usernames"), FILE, ROW),
    ),
    Table(
        "staged.user_days",
        "Qualifying user-days: a person used a production hub on a day; exclusions are applied.",
        "day, hub and person",
        ("date", "hub_id", "person_key"),
        (DAY, HUB_ID, PERSON),
    ),
    Table(
        "staged.binder_sessions",
        "Sessions on production binder hubs: sessions are not people.",
        "day and hub",
        ("date", "hub_id"),
        (DAY, HUB_ID, count("sessions", "sessions on the day", "sessions")),
    ),
    Table(
        "staged.activity_accounting",
        "What became of every raw record of hub activity; the parts add up to raw_rows.",
        "day",
        ("date",),
        (
            DAY,
            count("raw_rows", "records in raw", "records"),
            count("quarantined", "records on a hub that isn't known or not in service", "records"),
            count("duplicates", "records that repeat a day, hub and person", "records"),
            count("excluded", "user-days excluded by a rule", "user-days"),
            count("staging", "user-days on staging hubs", "user-days"),
            count("binder", "user-days on binder hubs", "user-days"),
            count("qualifying", "user-days that count", "user-days"),
        ),
    ),
    Table(
        "staged.exclusion_effects",
        "How many user-days each rule of the exclusion register took out; a user-day may match several rules.",
        "day and rule",
        ("date", "rule_id"),
        (
            DAY,
            Column("rule_id", "VARCHAR", "the rule's id"),
            count("user_days", "user-days that match", "user-days"),
        ),
    ),
    Table(
        "facts.cells",
        "Combinations of hub, cluster, hub type and communities that ever held on a day: the finest grain there is.",
        "combination",
        ("cell",),
        (
            Column("cell", "INTEGER", "number of the combination; means nothing outside this warehouse"),
            HUB_ID,
            Column("cluster", "VARCHAR", "the cluster"),
            Column("hub_type", "VARCHAR", "education, research or other"),
            Column("communities", "VARCHAR[]", "the communities served"),
        ),
    ),
    Table(
        "facts.members",
        "Members of every grain.",
        "grain and member",
        ("member_id",),
        (
            Column("member_id", "INTEGER", "number of the member; means nothing outside this warehouse"),
            Column("grain", "VARCHAR", "organisation, community, hub_type, cluster or hub"),
            Column("member", "VARCHAR", "which one"),
        ),
    ),
    Table(
        "facts.cell_members",
        "Which members a cell belongs to.",
        "cell and member",
        ("cell", "member_id"),
        (Column("cell", "INTEGER", "the cell"), Column("member_id", "INTEGER", "the member")),
    ),
    Table(
        "facts.user_days",
        "Qualifying user-days by cell: what the rolling engine has counted.",
        "day, cell and person",
        ("date", "cell", "person_key"),
        (DAY, Column("cell", "INTEGER", "the cell"), PERSON),
    ),
    Table(
        "facts.first_seen",
        "State of the rolling engine: the first day of a person in a cell.",
        "cell and person",
        ("cell", "person_key"),
        (
            Column("cell", "INTEGER", "the cell"),
            PERSON,
            Column("first_date", "DATE", "first day seen"),
        ),
    ),
    Table(
        "facts.flows",
        "State of the rolling engine: per member and day, who came and who leaves later. Additive over people.",
        "member and day",
        ("member_id", "date"),
        (
            Column("member_id", "INTEGER", "the member"),
            DAY,
            count("dau", "distinct people", "people"),
            count("new", "seen for the first time", "people"),
            count("returning", "previous day seen is 30 or more days back", "people"),
            count("wau_in", "previous day seen is 7 or more days back, or there is none", "people"),
            count("wau_out", "next day seen is 7 or more days on, or there is none", "people"),
            count("mau_out", "next day seen is 30 or more days on, or there is none", "people"),
        ),
    ),
    Table(
        "facts.active_users",
        "Exact distinct people over rolling windows, with their flows, at every grain.",
        "day, grain and member",
        ("date", "grain", "member"),
        ACTIVE_USERS_COLUMNS,
    ),
)

COVERAGE = Table(
    "facts.coverage",
    "On which days hub activity was delivered at all, and what that makes of windows that end on the day.",
    "day from the first user-day on",
    ("date",),
    (
        DAY,
        Column("has_data", "BOOLEAN", "at least one record of the day was delivered, or the day is known to be quiet"),
        Column(
            "is_whole",
            "BOOLEAN",
            "of a live source: the day is landed of every cluster with a production hub in service; else as has_data",
        ),
        Column(
            "status_30_days",
            "VARCHAR",
            "of values over the 30 days that end on the day: ok; incomplete: a day of them has no data; stale: the "
            "day is after the newest data",
            values=("ok", "incomplete", "stale"),
        ),
    ),
)

MISSING_ACTIVITY = Table(
    "facts.missing_activity",
    "Windows of 30 days that rest on days of which a live source has not been landed as a whole; others have no row.",
    "day, grain and member",
    ("date", "grain", "member"),
    (
        DAY,
        Column("grain", "VARCHAR", "organisation, community, hub_type, cluster or hub"),
        Column("member", "VARCHAR", "which one of the grain; 'organisation' for the whole"),
        count("clusters", "clusters with a production hub of the member in service in the window", "clusters"),
        count("clusters_covered", "of these, those of which every such day is landed", "clusters"),
    ),
)

KPI_VALUES_COLUMNS = (
    Column("kpi_id", "VARCHAR", "the KPI: see kpi_definitions"),
    Column(
        "grain",
        "VARCHAR",
        "organisation, community, hub, ...; 'grain:statistic' is a figure that stands beside the KPI",
    ),
    Column("member", "VARCHAR", "which one of the grain, e.g. 2i2c/mtu"),
    Column("period_start", "DATE", "first day that the value covers"),
    Column("period_end", "DATE", "last day that the value covers"),
    Column(
        "value", VALUE, "the value, in the KPI's unit; NULL where there is none (never 0 for 'no data')", nullable=True
    ),
    Column("numerator", VALUE, "what was divided, where the value is a ratio", nullable=True),
    Column("denominator", VALUE, "by what", nullable=True),
    Column("n", "BIGINT", "how many observations the value rests on", nullable=True),
    Column("status", "VARCHAR", "ok, or why the value must be read with care"),
    Column("definition_hash", "VARCHAR", "fingerprint of the definition that made the value"),
    Column("run_id", "VARCHAR", "the run that last changed this row"),
    Column("computed_at", "TIMESTAMP", "when that was, UTC"),
)
KPI_KEY = ("kpi_id", "grain", "member", "period_start", "period_end")
KPI_VALUES = Table(
    "kpi.kpi_values",
    "Every value of every KPI.",
    "KPI, grain, member and period",
    KPI_KEY,
    (
        *KPI_VALUES_COLUMNS,
        Column("people", "BIGINT", "how many people's doing it is, where it is people's", unit="people", nullable=True),
    ),
)
SCORECARD_COLUMNS = (
    Column("kpi_id", "VARCHAR", "the KPI"),
    Column("role", "VARCHAR", "the role"),
    Column("period_start", "DATE", "first day of the period"),
    Column("period_end", "DATE", "last day of the period"),
    Column("value", VALUE, "the value", nullable=True),
    Column("comparator", "VARCHAR", "how value and target compare", nullable=True),
    Column("target", VALUE, "the target that held then", nullable=True),
    Column(
        "score",
        VALUE,
        "1: the target is met; less: the share of it that was reached, or the share of what was used that it allows",
        nullable=True,
    ),
    Column(
        "status",
        "VARCHAR",
        "met, near (within 10 % of the target), missed, insufficient, stale, no data, no target or exempt",
        values=("met", "near", "missed", "insufficient", "stale", "no data", "no target", "exempt"),
    ),
    Column("previous_value", VALUE, "the value of the period before", nullable=True),
)
SCORECARD_DETAILS = (
    Column("n", "BIGINT", "how many observations the value rests on", nullable=True),
    Column("is_closed", "BOOLEAN", "the whole period has passed; otherwise it is to date"),
    Column("note", "VARCHAR", "why there is no verdict, or why it is exempt and until when", nullable=True),
)
SCORECARD_KEY = ("kpi_id", "role", "period_start", "period_end")
SCORECARD = Table(
    "kpi.scorecard",
    "Values against the targets that held then, by role: the running period and the eight before it.",
    "KPI, role and period",
    SCORECARD_KEY,
    (*SCORECARD_COLUMNS, *SCORECARD_DETAILS),
)
TEAMS = Table(
    "staged.teams",
    "The teams of kpi.toml, with all that a team's work counts for.",
    "team",
    ("team",),
    (
        Column("team", "VARCHAR", "the team, in lower case"),
        Column("parent", "VARCHAR", "the team that it is part of", nullable=True),
        Column("teams", "VARCHAR[]", "itself, and what it is part of"),
    ),
)

PERIODS = Table(
    "facts.periods",
    "Months, fiscal quarters, weeks (from Monday) and the 30 days that end on each day, from the earliest data up to "
    "the as-of day; the running ones end on it.",
    "kind and period",
    ("kind", "period_start"),
    (
        Column(
            "kind",
            "VARCHAR",
            "month, quarter, week or rolling_30_days",
            values=("month", "quarter", "week", "rolling_30_days"),
        ),
        Column("period_start", "DATE", "first day"),
        Column("period_end", "DATE", "last day, or the as-of day where that is earlier"),
        Column("is_closed", "BOOLEAN", "the whole period has passed"),
    ),
)
BUSINESS_HOURS = Table(
    "facts.business_hours",
    "When the organisation works, day by day, holidays left out.",
    "working day",
    ("date",),
    (
        Column("date", "DATE", "calendar day in the organisation's time zone"),
        Column("opens_at", "TIMESTAMP", "UTC"),
        Column("closes_at", "TIMESTAMP", "UTC"),
    ),
)

# State of the pipeline itself, not of the organisation: days that a stage still has to bring up to date.
DIRTY_DAYS = Table(
    "ops.dirty_days",
    "Days that changed upstream and that a stage has yet to bring up to date.",
    "stage and day",
    ("stage", "date"),
    (Column("stage", "VARCHAR", "who has to act: staged or facts"), DAY),
)
FINGERPRINTS = Table(
    "ops.fingerprints",
    "What a stage was last built with (rules, registry), to notice a change.",
    "name",
    ("name",),
    (Column("name", "VARCHAR", "what"), Column("value", "VARCHAR", "its hash")),
)

PART_STATES = ("whole", "gaps", "behind", "failing", "never fetched")
PUBLISHED: tuple[Table, ...] = (
    Table(
        "published.organisation",
        "Whose KPIs these are, and as of when.",
        "organisation",
        ("name",),
        (
            Column("name", "VARCHAR", "the organisation's name"),
            Column("as_of", "DATE", "the last day that counts, UTC"),
            Column("reporting_currency", "VARCHAR", "the currency of amounts, ISO 4217"),
            Column("fiscal_year_first_month", "BIGINT", "the month in which the fiscal year, and so a quarter, begins"),
            Column("min_people", "BIGINT", "values on fewer people are internal", unit="people"),
            Column("demo", "BOOLEAN", "an invented organisation"),
        ),
    ),
    Table(
        "published.kpi_definitions",
        "What each KPI means, in words, with its owner and target.",
        "KPI",
        ("kpi_id",),
        (
            Column("kpi_id", "VARCHAR", "the KPI's id"),
            Column("measure", "VARCHAR", "the measure that computes it"),
            Column("title", "VARCHAR", "short name"),
            Column("question", "VARCHAR", "the question that it answers"),
            Column("definition", "VARCHAR", "exactly what is counted"),
            Column("unit", "VARCHAR", "unit of the value; percent runs from 0 to 100"),
            Column("direction", "VARCHAR", "higher, lower or neither is better", values=("higher", "lower", "neither")),
            Column("comparator", "VARCHAR", "how value and target compare", nullable=True),
            Column("target", VALUE, "the target that holds now", nullable=True),
            Column("owner", "VARCHAR", "the team that answers for it"),
            Column("audience", "VARCHAR", "internal or external", values=("internal", "external")),
            Column("theme", "VARCHAR", "theme of the organisation's document", nullable=True),
            Column("role", "VARCHAR", "role of the role document", nullable=True),
            Column("status", "VARCHAR", "active, aspirational or not available"),
            Column("headline", "BOOLEAN", "one of the at most four on the first screen"),
            Column("source", "VARCHAR", "the sources that it rests on"),
            Column("definition_hash", "VARCHAR", "fingerprint of definition and formula"),
        ),
    ),
    Table(
        "published.kpi_details",
        "What stands behind a KPI: the words of the document, caveats, the formula, and where its own value stands.",
        "KPI",
        ("kpi_id",),
        (
            Column("kpi_id", "VARCHAR", "the KPI"),
            Column("as_written", "VARCHAR", "what the document says"),
            Column("document", "VARCHAR", "which document"),
            Column("meaning", "VARCHAR", "exactly what is counted, without the caveats"),
            Column("caveats", "VARCHAR", "what to mind when reading a value"),
            Column("formula", "VARCHAR", "the SQL that computes it from the warehouse"),
            Column("reads", "VARCHAR[]", "the tables that the formula reads"),
            Column("sources", "VARCHAR[]", "the sources that it rests on"),
            Column("dimensions", "VARCHAR[]", "the grains that it is broken down by"),
            Column("beside", "VARCHAR[]", "figures that stand beside it, as <grain>:<figure>"),
            Column("own_grain", "VARCHAR", "grain of the KPI's own value"),
            Column("own_member", "VARCHAR", "its member"),
            Column("no_target", "VARCHAR", "why there is no target", nullable=True),
        ),
    ),
    Table(
        "published.annotations",
        "What readers of a chart should know: a definition changed, an outage, a workshop.",
        "annotation",
        ("date", "text"),
        (
            Column("date", "DATE", "the day"),
            Column("text", "VARCHAR", "what happened"),
            Column("kpis", "VARCHAR[]", "the KPIs that it is about; empty: all"),
            Column("audience", "VARCHAR", "internal or external", values=("internal", "external")),
        ),
    ),
    Table(
        "published.kpi_values",
        KPI_VALUES.description,
        KPI_VALUES.grain,
        KPI_KEY,
        KPI_VALUES_COLUMNS,
    ),
    Table(
        "published.withheld_values",
        "Values of external KPIs that are internal all the same: they rest on few people or observations, or would let "
        "such a value be worked out.",
        KPI_VALUES.grain,
        KPI_KEY,
        tuple(column for column in KPI_VALUES_COLUMNS if column.name in KPI_KEY),
    ),
    Table("published.scorecard", SCORECARD.description, SCORECARD.grain, SCORECARD_KEY, SCORECARD_COLUMNS),
    Table(
        "published.scorecard_details",
        "What stands beside a row of the scorecard.",
        SCORECARD.grain,
        SCORECARD_KEY,
        (*SCORECARD_COLUMNS[: len(SCORECARD_KEY)], *SCORECARD_DETAILS),
    ),
    Table(
        "published.targets",
        "The targets, with their history: each holds from valid_from on, until the next one of its KPI.",
        "KPI and day from which the target holds",
        ("kpi_id", "valid_from"),
        (
            Column("kpi_id", "VARCHAR", "the KPI"),
            Column("valid_from", "DATE", "first day that the target holds"),
            Column("valid_to", "DATE", "first day that it no longer holds; empty: it still does", nullable=True),
            Column("statistic", "VARCHAR", "value, or the figure beside it that is compared"),
            Column("comparator", "VARCHAR", "how value and target compare"),
            Column("target", VALUE, "the target"),
            Column("unit", "VARCHAR", "its unit"),
            Column("period", "VARCHAR", "which periods are scored", values=("quarter", "month")),
            Column("min_n", "BIGINT", "on fewer observations there is no verdict", unit="observations"),
        ),
    ),
    Table(
        "published.exemptions",
        "KPIs that no target is asked of for a while, with the reason.",
        "exemption",
        ("kpi_id", "first_day"),
        (
            Column("kpi_id", "VARCHAR", "the KPI"),
            Column("first_day", "DATE", "first day of the exemption"),
            Column("last_day", "DATE", "its last day"),
            Column("reason", "VARCHAR", "why"),
            Column("approved_by", "VARCHAR", "who approved it: a team or a role"),
        ),
    ),
    Table(
        "published.active_users",
        "Exact distinct people over rolling windows, with their flows, at every grain.",
        "day, grain and member",
        ("date", "grain", "member"),
        ACTIVE_USERS_COLUMNS,
    ),
    Table(
        "published.hubs",
        "Every hub and its history: which version counts on which days.",
        "hub and version",
        ("hub_id", "from_day"),
        (*HUB_COLUMNS, Column("is_current", "BOOLEAN", "in service on the as-of day")),
    ),
    Table(
        "published.communities",
        "Every community, with when a production hub served it.",
        "community",
        ("community",),
        (
            Column("community", "VARCHAR", "the community's id"),
            Column("first_day", "DATE", "first day with a production hub"),
            Column("last_day", "DATE", "last day with one, up to the as-of day"),
            count("hubs_now", "production hubs in service on the as-of day", "hubs"),
            count("hubs_ever", "production hubs that ever served it", "hubs"),
        ),
    ),
    Table(
        "published.exclusions",
        "The exclusion register, with what each rule took out. Usernames are counted, never shown.",
        "rule",
        ("rule_id",),
        (
            Column("rule_id", "VARCHAR", "the rule's id"),
            Column("source", "VARCHAR", "the source that it applies to"),
            Column("cluster", "VARCHAR", "clusters that match (glob)", nullable=True),
            Column("hub", "VARCHAR", "hubs that match (glob)", nullable=True),
            count("usernames", "how many usernames the rule names", "usernames"),
            Column("first_day", "DATE", "first day that it applies to", nullable=True),
            Column("last_day", "DATE", "last day that it applies to", nullable=True),
            Column("until", "DATE", "when the rule itself lapses", nullable=True),
            Column("reason", "VARCHAR", "why"),
            Column("approved_by", "VARCHAR", "who approved it: a team or a role"),
            Column("state", "VARCHAR", "applied, expired, not yet in force, or matches nothing"),
            count("user_days", "user-days that it matched", "user-days"),
        ),
    ),
    Table(
        "published.data_health",
        "How fresh and how whole the data of each source is.",
        "source",
        ("source",),
        (
            Column("source", "VARCHAR", "the source in kpi.toml"),
            Column(
                "newest_data",
                "DATE",
                "newest day that the data itself speaks of; of a live source, of which every part is landed",
                nullable=True,
            ),
            Column("age_days", "BIGINT", "days from there to the as-of day", unit="days", nullable=True),
            Column("max_age_days", "BIGINT", "allowed age", unit="days", nullable=True),
            Column("freshness", "VARCHAR", "fresh, late, no deadline, no data or not connected"),
            count("files", "files landed", "files"),
            count("rows", "records accepted", "records"),
            count("quarantined", "records and files rejected", "records"),
            Column("days_covered", "BIGINT", "days with data", unit="days", nullable=True),
            Column("days_expected", "BIGINT", "days from the first data to the as-of day", unit="days", nullable=True),
            Column(
                "parts", "BIGINT", "of a live source: its clusters, hubs, repositories", unit="parts", nullable=True
            ),
            Column(
                "parts_whole", "BIGINT", "of these, landed without a gap to the as-of day", unit="parts", nullable=True
            ),
        ),
    ),
    Table(
        "published.source_parts",
        "The parts of live sources (clusters, hubs, repositories, ...), and how whole each is landed.",
        "source and part",
        ("source", "part"),
        (
            Column("source", "VARCHAR", "the source in kpi.toml"),
            Column("part", "VARCHAR", "the part"),
            Column(
                "state",
                "VARCHAR",
                "whole, gaps (earlier days are missing), behind (the last ones are), failing, never fetched",
                values=PART_STATES,
            ),
            Column("covered_until", "DATE", "last day that is landed, up to the as-of day", nullable=True),
            count("days_missing", "days up to the as-of day that are not landed, from the first that is", "days"),
            Column("checked_at", "TIMESTAMP", "when the last fetch that got through began, UTC", nullable=True),
            Column(
                "failing_since", "TIMESTAMP", "since when fetches have failed, UTC; empty: they don't", nullable=True
            ),
        ),
    ),
)

WAREHOUSE = (
    *WAREHOUSE,
    COVERAGE,
    MISSING_ACTIVITY,
    *costs.WAREHOUSE,
    *github.TABLES,
    *money.WAREHOUSE,
    *opinion.WAREHOUSE,
    *delivery.WAREHOUSE,
    *quality.WAREHOUSE,
    *metrics.WAREHOUSE,
    *product.WAREHOUSE,
    *outreach.WAREHOUSE,
    *SUPPORT,
    *CLICKS,
    PERIODS,
    BUSINESS_HOURS,
    TEAMS,
    KPI_VALUES,
    SCORECARD,
    DIRTY_DAYS,
    FINGERPRINTS,
)
TABLES = {t.name: t for t in (*WAREHOUSE, *PUBLISHED)}


def table(name: str) -> Table:
    """The contract of `schema.table`.

    Raises:
        KeyError: no such table is declared.
    """
    return TABLES[name]
