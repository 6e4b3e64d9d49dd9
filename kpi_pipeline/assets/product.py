"""The product domain, from landing to facts: transactions, registered users, active users."""

from collections.abc import Iterator
from typing import Any

import dagster as dg

from kpi_pipeline.assets.common import Pipeline, results, table_spec
from kpi_pipeline.assets.sources import table_assets
from kpi_pipeline.contracts.product import RECORDS
from kpi_pipeline.stages import product

GROUP = "product"
DEPS = {
    "facts.transactions": ("raw.transactions",),
    "staged.registration_spells": ("raw.registrations",),
    "facts.product_users": ("staged.registration_spells", "raw.product_activity", "facts.periods"),
}
SOURCES = table_assets(GROUP, [record.source for record in RECORDS])


@dg.multi_asset(
    specs=[table_spec(name, group=GROUP, deps=deps) for name, deps in DEPS.items()],
    name="make_product_facts",
)
def make_product_facts(pipeline: Pipeline) -> Iterator[dg.MaterializeResult[Any]]:
    with pipeline.warehouse() as con:
        product.make_facts(con)
        yield from results(con, DEPS)


ASSETS = [*SOURCES, make_product_facts]
