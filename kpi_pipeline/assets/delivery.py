"""The delivery domain, from landing to facts: ceremonies, projects, tasks of interns."""

from collections.abc import Iterator
from typing import Any

import dagster as dg

from kpi_pipeline.assets.common import Pipeline, results, table_spec
from kpi_pipeline.assets.sources import table_assets
from kpi_pipeline.contracts.delivery import RECORDS
from kpi_pipeline.stages import delivery

GROUP = "delivery"
DEPS = {
    "facts.ceremonies": ("raw.ceremonies", "staged.teams"),
    "facts.projects": ("raw.projects", "staged.teams"),
    "facts.intern_tasks": ("raw.intern_tasks",),
}
SOURCES = table_assets(GROUP, [record.source for record in RECORDS])


@dg.multi_asset(
    specs=[table_spec(name, group=GROUP, deps=deps) for name, deps in DEPS.items()],
    name="make_delivery_facts",
)
def make_delivery_facts(pipeline: Pipeline) -> Iterator[dg.MaterializeResult[Any]]:
    with pipeline.warehouse() as con:
        delivery.make_facts(con)
        yield from results(con, DEPS)


ASSETS = [*SOURCES, make_delivery_facts]
