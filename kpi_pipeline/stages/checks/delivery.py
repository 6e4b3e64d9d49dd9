"""Checks of the delivery domain."""

from kpi_pipeline.contracts import TABLES
from kpi_pipeline.stages.checks.model import Check, key_check, null_check

CONTRACT_CHECKED = ("facts.ceremonies",)

CHECKS: tuple[Check, ...] = (
    *(check(TABLES[name]) for name in CONTRACT_CHECKED for check in (key_check, null_check)),
    Check(
        "teams_are_known",
        "facts.ceremonies",
        "WARN",
        "Every team is in [teams] of kpi.toml; another one may be misspelt, and counts for no other team.",
        "select team, count(*) as ceremonies from facts.ceremonies "
        "where team not in (select team from staged.teams) group by team",
    ),
)
