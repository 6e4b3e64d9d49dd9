"""The cloud cost domain, from landing to facts: billing lines, whom they are for, and what each month costs whom."""

from collections.abc import Iterator
from typing import Any

import dagster as dg

from kpi_pipeline.assets.common import Pipeline, key, results, row_count, table_spec
from kpi_pipeline.assets.sources import source_assets
from kpi_pipeline.settings.sources import CloudCosts
from kpi_pipeline.stages import costs, raw
from kpi_pipeline.warehouse import Connection, run

GROUP = "cloud_costs"
# What the steps write, and what they show of it.
STAGED = {
    "staged.cloud_costs": "select basis, sum(lines) from staged.cloud_costs group by basis order by basis",
    "staged.cloud_cost_accounting": "unpivot (select sum(columns(* exclude (file, days_lost))) "
    "from staged.cloud_cost_accounting) on columns(*)",
}
FACTS = ("facts.hub_months", "facts.monthly_users", "facts.cloud_costs")
NOTHING_CONNECTED = CloudCosts()


def _load(con: Connection, pipeline: Pipeline) -> raw.Loaded:
    return costs.load(con, pipeline.landing(), pipeline.settings().config.sources.cloud_costs)


SOURCE = source_assets(costs.SOURCE, GROUP, load=_load)


@dg.multi_asset(
    specs=[table_spec(name, group=GROUP, deps=("raw.cloud_costs", "staged.hubs", "staged.rates")) for name in STAGED],
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
        for name, statement in STAGED.items():
            totals = {str(what): int(lines or 0) for what, lines in run(con, statement)}
            yield dg.MaterializeResult(asset_key=key(name), metadata={"lines": totals, **row_count(con, name)})


@dg.multi_asset(
    specs=[
        table_spec(name, group=GROUP, deps=("staged.user_days", "staged.hubs", "staged.cloud_costs")) for name in FACTS
    ],
    name="allocate_cloud_costs",
)
def allocate_cloud_costs(pipeline: Pipeline) -> Iterator[dg.MaterializeResult[Any]]:
    configured = pipeline.settings()
    with pipeline.warehouse() as con:
        costs.count_monthly_users(con, configured.as_of)
        costs.allocate(con, (configured.config.sources.cloud_costs or NOTHING_CONNECTED).shared_by)
        yield from results(con, FACTS)


ASSETS = [*SOURCE, stage_cloud_costs, allocate_cloud_costs]
