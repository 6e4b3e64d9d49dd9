"""Checks of the warehouse: each a SELECT of the rows that are wrong. ERROR blocks publishing; WARN is news.

The Dagster assets show them, and publishing runs those of severity ERROR that haven't passed in the same run, so that
nothing gets around them.
"""

from kpi_pipeline.stages.checks import (
    clicks,
    costs,
    delivery,
    github,
    hubs,
    metrics,
    money,
    opinion,
    outreach,
    periods,
    product,
    quality,
    support,
)
from kpi_pipeline.stages.checks.model import (
    Check,
    Outcome,
    describe,
    evaluate,
    freshness_check,
    newest_data,
    parts_check,
    refuse_if_wrong,
)

CHECKS: tuple[Check, ...] = (
    *hubs.CHECKS,
    *costs.CHECKS,
    *github.CHECKS,
    *money.CHECKS,
    *opinion.CHECKS,
    *support.CHECKS,
    *clicks.CHECKS,
    *periods.CHECKS,
    *delivery.CHECKS,
    *quality.CHECKS,
    *metrics.CHECKS,
    *product.CHECKS,
    *outreach.CHECKS,
)
# Only publishing can ask for this one: before, some KPIs are still to come.
EVERY_KPI_IS_COMPUTED = Check(
    "every_kpi_is_computed",
    "kpi.kpi_values",
    "ERROR",
    "Every KPI of the catalogue has been computed for the as-of day, by its present definition.",
    "select stamp from (select unnest($stamps::varchar[]) as stamp) "
    "where stamp not in (select name || ' ' || value from ops.fingerprints)",
)

__all__ = [
    "CHECKS",
    "EVERY_KPI_IS_COMPUTED",
    "Check",
    "Outcome",
    "describe",
    "evaluate",
    "freshness_check",
    "newest_data",
    "parts_check",
    "refuse_if_wrong",
]
