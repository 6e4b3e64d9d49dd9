"""The quality domain: test cases that were run, and code that was assessed. Counts of teams; no SQL that moves data."""

from kpi_pipeline.contracts.columns import DAY, count, raw_table
from kpi_pipeline.contracts.delivery import TEAM, TEAMS
from kpi_pipeline.contracts.model import Column, Record, Table

OUTCOMES = ("passed", "failed", "error", "skipped")

TEST_RESULTS = Record(
    "test_results",
    "Test cases of JUnit reports, as often as they were tried.",
    "log",
    (
        Column("date", "DATE", "UTC day of the run"),
        Column("team", "VARCHAR", "the team: the first folder"),
        Column("suite", "VARCHAR", "the suite: the second folder"),
        Column("test_suite", "VARCHAR", "name of the <testsuite> that the case is in", nullable=True),
        Column("class_name", "VARCHAR", "its classname", nullable=True),
        Column("name", "VARCHAR", "its name", nullable=True),
        Column("outcome", "VARCHAR", "passed, failed, error or skipped", values=OUTCOMES),
        Column("is_flaky", "BOOLEAN", "passed, and the report says that it had failed before"),
    ),
    day="date",
)

CODE_QUALITY = Record(
    "code_quality",
    "Units of code (files or modules) that were assessed, and what was found in them.",
    "log",
    (
        Column("date", "DATE", "UTC day of the assessment"),
        Column("team", "VARCHAR", "the team; of SARIF the first folder"),
        Column("tool", "VARCHAR", "what assessed it", nullable=True, optional=True),
        Column("unit", "VARCHAR", "the file or module"),
        Column("lines", "BIGINT", "its size, and so its weight", unit="lines"),
        Column(
            "meets",
            "VARCHAR",
            "whether it meets the agreed standard; empty: what was found says so",
            nullable=True,
            optional=True,
            values=("yes", "no"),
        ),
        Column("errors", "BIGINT", "findings of level error", unit="findings", nullable=True, optional=True),
        Column("warnings", "BIGINT", "findings of level warning", unit="findings", nullable=True, optional=True),
        Column("notes", "BIGINT", "findings of level note", unit="findings", nullable=True, optional=True),
    ),
    day="date",
    rules=(
        *((f"negative:{name}", f"{name} < 0") for name in ("lines", "errors", "warnings", "notes")),
        ("no_verdict", "coalesce(meets, errors::varchar, warnings::varchar, notes::varchar) is null"),
    ),
)

RECORDS = (TEST_RESULTS, CODE_QUALITY)

WAREHOUSE: tuple[Table, ...] = (
    *(raw_table(record) for record in RECORDS),
    Table(
        "facts.test_results",
        "Test cases by what came of them in the end. A case that was tried again counts once.",
        "day, team and suite",
        ("date", "team", "suite"),
        (
            DAY,
            TEAM,
            TEAMS,
            Column("suite", "VARCHAR", "the suite, in lower case"),
            count("run", "passed, failed or ended in an error", "test cases"),
            count("passed", "passed, flaky ones included", "test cases"),
            count("flaky", "passed after they had failed", "test cases"),
            count("failed", "failed", "test cases"),
            count("errors", "ended in an error", "test cases"),
            count("skipped", "skipped: not run", "test cases"),
            count("retried", "attempts that failed and were tried again: not counted by themselves", "attempts"),
        ),
    ),
    Table(
        "facts.code_quality",
        "Assessments of code: how much of it met the agreed standard.",
        "day and team",
        ("date", "team"),
        (
            DAY,
            TEAM,
            TEAMS,
            count("units", "files or modules that were assessed", "units"),
            count("units_that_meet", "of these, those that met the standard", "units"),
            count("lines", "lines of the units that were assessed", "lines"),
            count("lines_that_meet", "lines of those that met the standard", "lines"),
        ),
    ),
)
