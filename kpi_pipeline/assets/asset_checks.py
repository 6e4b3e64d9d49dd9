"""The checks of stages.checks as Dagster asset checks: blocking where severity is ERROR.

Tables that are made in one step are checked in one step. If a check of severity ERROR fails, that step does, and
nothing is made of any of these tables in this run.
"""

from collections.abc import Iterator, Sequence
from itertools import groupby

import dagster as dg

from kpi_pipeline.assets.common import Pipeline, key, max_ages, passed_by
from kpi_pipeline.assets.kpi import kpi_key
from kpi_pipeline.assets.published import check_parameters
from kpi_pipeline.catalog import Catalog
from kpi_pipeline.contracts import RECORDS
from kpi_pipeline.settings.sources import MAY_BE_LIVE
from kpi_pipeline.stages.checks import CHECKS, Check, Outcome, evaluate, freshness_check, parts_check
from kpi_pipeline.stages.checks.periods import COMPLETION, COUNTED, FLOWS
from kpi_pipeline.warehouse import Connection, side_by_side

# Checks at a time: one is looked at while the results of another are written down.
AT_ONCE = 2

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


def asset_of(check: Check, catalog: Catalog) -> dg.AssetKey:
    """The asset that a check is shown on."""
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


def _definition(step: str, pairs: list[tuple[dg.AssetKey, Check]], catalog: Catalog) -> dg.AssetChecksDefinition:
    specs = [
        dg.AssetCheckSpec(c.name, asset=asset, description=c.description, blocking=c.severity == "ERROR")
        for asset, c in pairs
    ]

    @dg.multi_asset_check(specs=specs, name=f"check_{step}", can_subset=True)
    def check_tables(context: dg.AssetCheckExecutionContext, pipeline: Pipeline) -> Iterator[dg.AssetCheckResult]:
        configured = pipeline.settings()
        parameters, ages = check_parameters(configured, catalog), max_ages(configured)
        chosen = context.selected_asset_check_keys
        wanted = [(asset, check) for asset, check in pairs if dg.AssetCheckKey(asset, check.name) in chosen]

        def result(con: Connection, pair: tuple[dg.AssetKey, Check]) -> dg.AssetCheckResult:
            asset, check = pair
            age = {"max_age_days": ages.get(asset.path[-1])}
            outcome = evaluate(con, check, {**parameters, **age})
            if outcome.passed:
                passed.add(passed_by(check, parameters))
            return _result(outcome, asset)

        with pipeline.warehouse() as con:
            passed = pipeline.passed()
            yield from side_by_side(con, result, wanted, AT_ONCE)

    return check_tables


def definitions(catalog: Catalog, assets: Sequence[dg.AssetsDefinition]) -> list[dg.AssetChecksDefinition]:
    """All checks, by the step that makes what they are shown on."""
    made_by = {asset: definition.op.name for definition in assets for asset in definition.keys}
    everything = [
        *CHECKS,
        *(freshness_check(source) for source in RECORDS),
        *(parts_check(source) for source in MAY_BE_LIVE),
    ]
    pairs = [(asset_of(check, catalog), check) for check in everything]
    by_step = sorted(pairs, key=lambda pair: (made_by[pair[0]], *pair[0].path))
    return [
        _definition(step, list(checks), catalog) for step, checks in groupby(by_step, key=lambda pair: made_by[pair[0]])
    ]
