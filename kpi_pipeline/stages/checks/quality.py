"""Checks of the quality domain."""

from kpi_pipeline.contracts import TABLES
from kpi_pipeline.stages.checks.model import Check, key_check, null_check

CONTRACT_CHECKED = ("facts.test_results", "facts.code_quality")

CHECKS: tuple[Check, ...] = (
    *(check(TABLES[name]) for name in CONTRACT_CHECKED for check in (key_check, null_check)),
    *(
        Check(
            "teams_are_known",
            name,
            "WARN",
            "Every team is in [teams] of kpi.toml; another one may be misspelt, and counts for no other team.",
            f"select team, count(*) as days from {name} "
            "where team not in (select team from staged.teams) group by team",
        )
        for name in CONTRACT_CHECKED
    ),
    Check(
        "every_test_case_is_counted",
        "facts.test_results",
        "ERROR",
        "Run, skipped and retried add up to the raw records, and passed, failed and errors to run, on every day.",
        "select date, records, counted from (select date, count(*) as records from raw.test_results group by date) "
        "full join (select date, sum(run + skipped + retried) as counted, bool_and(run = passed + failed + errors "
        "and flaky <= passed) as adds_up from facts.test_results group by date) using (date) "
        "where records is distinct from counted or not adds_up",
    ),
    Check(
        "every_unit_is_counted",
        "facts.code_quality",
        "ERROR",
        "Every unit that was assessed is counted once a day and team, and what meets the standard is part of it.",
        "select date, named, counted from (select date, count(distinct (lower(trim(regexp_replace(team, '\\s+', ' ', "
        "'g'))), unit)) as named from raw.code_quality group by date) full join (select date, sum(units) as counted, "
        "bool_and(units_that_meet <= units and lines_that_meet <= lines) as adds_up from facts.code_quality "
        "group by date) using (date) where named is distinct from counted or not adds_up",
    ),
)
