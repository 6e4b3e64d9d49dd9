"""Checks of the warehouse: each a SELECT of the rows that are wrong. ERROR blocks publishing; WARN is news.

The Dagster assets show them, and publishing runs those of severity ERROR once more, so that nothing gets around them.
"""

from kpi_pipeline.stages.checks import github, hubs
from kpi_pipeline.stages.checks.model import (
    Check,
    Outcome,
    describe,
    evaluate,
    freshness_check,
    newest_data,
    refuse_if_wrong,
)

CHECKS: tuple[Check, ...] = (*hubs.CHECKS, *github.CHECKS)

__all__ = [
    "CHECKS",
    "Check",
    "Outcome",
    "describe",
    "evaluate",
    "freshness_check",
    "newest_data",
    "refuse_if_wrong",
]
