"""The delivery domain: what teams planned, met for and finished. Never of a person; no SQL that moves data."""

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

PROJECTS = Record(
    "projects",
    "Projects of teams: when they were due, and when they were completed or cancelled.",
    "state",
    (
        Column("project", "VARCHAR", "the project's name; capitals and extra whitespace make no other project"),
        Column("team", "VARCHAR", "the team that does it"),
        Column("planned_on", "DATE", "UTC day on which it was planned", nullable=True, optional=True),
        Column("due_on", "DATE", "last UTC day on which it is in time", may_be_future=True),
        Column("completed_on", "DATE", "UTC day of its completion; empty: not completed", nullable=True),
        Column(
            "cancelled_on", "DATE", "UTC day of its cancellation; empty: not cancelled", nullable=True, optional=True
        ),
        Column("people", "BIGINT", "how many work on it", unit="people", nullable=True, optional=True),
    ),
    # Not due_on: due dates pass, also in a file that nobody has brought up to date.
    day="greatest(planned_on, completed_on, cancelled_on)",
    rules=(
        ("negative:people", "people < 0"),
        ("completed_and_cancelled", "completed_on is not null and cancelled_on is not null"),
        ("before_it_was_planned", "least(due_on, completed_on, cancelled_on) < planned_on"),
    ),
)

INTERN_TASKS = Record(
    "intern_tasks",
    "Tasks given to interns. Of the programme as a whole, never of an intern.",
    "state",
    (
        Column("task", "VARCHAR", "its id or title; capitals and extra whitespace make no other task"),
        Column("given_on", "DATE", "UTC day on which it was given"),
        Column(
            "due_on", "DATE", "last UTC day on which it is in time", nullable=True, optional=True, may_be_future=True
        ),
        Column("completed_on", "DATE", "UTC day of its completion; empty: not completed", nullable=True),
        Column(
            "withdrawn_on", "DATE", "UTC day on which it was taken back; empty: it wasn't", nullable=True, optional=True
        ),
        Column(
            "interns",
            "BIGINT",
            "how many interns there were when it was given",
            unit="people",
            nullable=True,
            optional=True,
        ),
    ),
    day="greatest(given_on, completed_on, withdrawn_on)",
    rules=(
        ("negative:interns", "interns < 0"),
        ("completed_and_withdrawn", "completed_on is not null and withdrawn_on is not null"),
        ("before_it_was_given", "least(due_on, completed_on, withdrawn_on) < given_on"),
    ),
)

RECORDS = (CEREMONIES, PROJECTS, INTERN_TASKS)

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
    Table(
        "facts.projects",
        "Projects, as the newest delivery has them.",
        "project",
        ("project",),
        (
            Column("project", "VARCHAR", "its name, in lower case"),
            TEAM,
            TEAMS,
            Column("planned_on", "DATE", "day on which it was planned", nullable=True),
            Column("due_on", "DATE", "last day on which it is in time"),
            Column("completed_on", "DATE", "day of its completion; empty: not completed", nullable=True),
            Column("cancelled_on", "DATE", "day of its cancellation; empty: not cancelled", nullable=True),
            Column("people", "BIGINT", "how many work on it", unit="people", nullable=True),
        ),
    ),
    Table(
        "facts.intern_tasks",
        "Tasks given to interns, as the newest delivery has them.",
        "task",
        ("task",),
        (
            Column("task", "VARCHAR", "its id or title, in lower case"),
            Column("given_on", "DATE", "day on which it was given"),
            Column("due_on", "DATE", "last day on which it is in time", nullable=True),
            Column("completed_on", "DATE", "day of its completion; empty: not completed", nullable=True),
            Column("withdrawn_on", "DATE", "day on which it was taken back; empty: it wasn't", nullable=True),
            Column("interns", "BIGINT", "how many interns there were when it was given", unit="people", nullable=True),
        ),
    ),
)
