"""The checks of stages.checks as Dagster asset checks: a step per table, blocking where severity is ERROR."""

from collections.abc import Iterator
from itertools import groupby

import dagster as dg

from kpi_pipeline.assets.common import Pipeline, key
from kpi_pipeline.assets.kpi import kpi_key
from kpi_pipeline.assets.published import check_parameters, source_health
from kpi_pipeline.catalog import Catalog
from kpi_pipeline.contracts import RECORDS
from kpi_pipeline.settings.sources import MAY_BE_LIVE
from kpi_pipeline.stages.checks import CHECKS, Check, Outcome, evaluate, freshness_check, parts_check
from kpi_pipeline.stages.checks.periods import COMPLETION, COUNTED, FLOWS

# kpi.kpi_values is one table behind many assets; its checks show on the asset that they speak of. facts.user_days is
# state of the rolling engine; its checks show on what is counted from it.
SHOWN_ON = {
    "percentiles_are_ordered": "impact.mau_p50",
    "key_is_unique": "impact.monthly_active_users",
    "no_nulls": "impact.monthly_active_users",
    "no_value_is_no_zero": "impact.monthly_active_users",
    "few_people_are_not_shown": "qualitative.community_satisfaction",
    "months_sum_to_the_quarter": FLOWS,
    "members_sum_to_the_organisation": FLOWS,
    "issue_months_stock_and_flow": FLOWS,
    "windows_are_within_their_months": COMPLETION,
    **{name: kpi_id for name, (kpi_id, _, _) in COUNTED.items()},
}


def _asset_of(check: Check, catalog: Catalog) -> dg.AssetKey:
    if check.table == "kpi.kpi_values":
        return kpi_key(catalog.kpi(SHOWN_ON[check.name]))
    return key("facts.active_users" if check.table == "facts.user_days" else check.table)


def _result(outcome: Outcome, asset: dg.AssetKey) -> dg.AssetCheckResult:
    check = outcome.check
    return dg.AssetCheckResult(
        passed=outcome.passed,
        asset_key=asset,
        check_name=check.name,
        severity=dg.AssetCheckSeverity.ERROR if check.severity == "ERROR" else dg.AssetCheckSeverity.WARN,
        description=check.description,
        metadata={"wrong_rows": outcome.wrong, "first_wrong_rows": list(outcome.rows)},
    )


def _definition(asset: dg.AssetKey, checks: list[Check], catalog: Catalog) -> dg.AssetChecksDefinition:
    specs = [
        dg.AssetCheckSpec(c.name, asset=asset, description=c.description, blocking=c.severity == "ERROR")
        for c in checks
    ]

    @dg.multi_asset_check(specs=specs, name="check_" + "_".join(asset.path), can_subset=True)
    def check_table(context: dg.AssetCheckExecutionContext, pipeline: Pipeline) -> Iterator[dg.AssetCheckResult]:
        configured = pipeline.settings()
        ages: dict[str, object] = {h.source: h.max_age_days for h in source_health(configured) if h.connected}
        chosen = {selected.name for selected in context.selected_asset_check_keys}
        with pipeline.warehouse() as con:
            for check in checks:
                if check.name in chosen:
                    parameters = {**check_parameters(configured, catalog), "max_age_days": ages.get(asset.path[-1])}
                    yield _result(evaluate(con, check, parameters), asset)

    return check_table


def definitions(catalog: Catalog) -> list[dg.AssetChecksDefinition]:
    """All checks, by asset."""
    everything = [
        *CHECKS,
        *(freshness_check(source) for source in RECORDS),
        *(parts_check(source) for source in MAY_BE_LIVE),
    ]
    by_asset = sorted(
        ((_asset_of(check, catalog), check) for check in everything), key=lambda pair: tuple(pair[0].path)
    )
    return [
        _definition(asset, [check for _, check in pairs], catalog)
        for asset, pairs in groupby(by_asset, key=lambda pair: pair[0])
    ]
