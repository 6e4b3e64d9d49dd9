"""The cloud cost domain, from landing to facts: billing lines, whom they are for, and what each month costs whom."""

from collections.abc import Iterator
from typing import Any

import dagster as dg

from kpi_pipeline.assets.common import Pipeline, key, row_count, table_spec
from kpi_pipeline.assets.sources import source_assets
from kpi_pipeline.settings import CloudCosts
from kpi_pipeline.stages import costs, raw
from kpi_pipeline.warehouse import Connection, run

GROUP = "cloud_costs"
NOTHING_CONNECTED = CloudCosts(kind="focus", path=".")  # type: ignore[arg-type]


def _load(con: Connection, pipeline: Pipeline) -> raw.Loaded:
    return costs.load(con, pipeline.landing(), pipeline.settings().config.sources.cloud_costs)


SOURCE = source_assets(costs.SOURCE, GROUP, load=_load)


@dg.multi_asset(
    specs=[
        table_spec(name, group=GROUP, deps=("raw.cloud_costs", "staged.hubs"))
        for name in ("staged.cloud_costs", "staged.cloud_cost_accounting")
    ],
    name="stage_cloud_costs",
)
def stage_cloud_costs(pipeline: Pipeline) -> Iterator[dg.MaterializeResult[Any]]:
    configured = pipeline.settings()
    with pipeline.warehouse() as con:
        costs.stage_cloud_costs(
            con,
            pipeline.landing(),
            configured.config.sources.cloud_costs,
            configured.config.organisation.reporting_currency,
            configured.as_of,
        )
        for name, what in (("staged.cloud_costs", "basis"), ("staged.cloud_cost_accounting", None)):
            totals = {} if what is None else {"lines_by_basis": dict(run(con, LINES_BY_BASIS))}
            yield dg.MaterializeResult(asset_key=key(name), metadata={**totals, **row_count(con, name)})


LINES_BY_BASIS = "select basis, sum(lines)::bigint from staged.cloud_costs group by basis order by basis"


@dg.multi_asset(
    specs=[
        table_spec(name, group=GROUP, deps=("staged.user_days", "staged.hubs", "staged.cloud_costs"))
        for name in ("facts.hub_months", "facts.monthly_users", "facts.cloud_costs")
    ],
    name="allocate_cloud_costs",
)
def allocate_cloud_costs(pipeline: Pipeline) -> tuple[dg.MaterializeResult[Any], ...]:
    configured = pipeline.settings()
    with pipeline.warehouse() as con:
        costs.count_monthly_users(con, configured.as_of)
        costs.allocate(con, (configured.config.sources.cloud_costs or NOTHING_CONNECTED).shared_by)
        return tuple(
            dg.MaterializeResult(asset_key=key(name), metadata=row_count(con, name))
            for name in ("facts.hub_months", "facts.monthly_users", "facts.cloud_costs")
        )


ASSETS = [*SOURCE, stage_cloud_costs, allocate_cloud_costs]
