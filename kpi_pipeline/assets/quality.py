"""The quality domain, from landing to facts: test results and assessments of code."""

from collections.abc import Iterator
from typing import Any

import dagster as dg

from kpi_pipeline.assets.common import Pipeline, results, table_spec
from kpi_pipeline.assets.sources import table_assets
from kpi_pipeline.contracts.quality import RECORDS
from kpi_pipeline.sources.files import LIST_KINDS
from kpi_pipeline.stages import quality, raw
from kpi_pipeline.warehouse import Connection

GROUP = "quality"
DEPS = {
    "facts.test_results": ("raw.test_results", "staged.teams"),
    "facts.code_quality": ("raw.code_quality", "staged.teams"),
}


def _load_tests(con: Connection, pipeline: Pipeline) -> raw.Loaded:
    connected = pipeline.settings().config.sources.test_results is not None
    return quality.load_tests(con, pipeline.landing(), connected)


def _load_code(con: Connection, pipeline: Pipeline) -> raw.Loaded:
    configured = pipeline.settings().config.sources.code_quality
    return quality.load_code(con, pipeline.landing(), configured.kind if configured else None)


SOURCES = table_assets(
    GROUP,
    [record.source for record in RECORDS],
    loads={"test_results": _load_tests, "code_quality": _load_code},
    list_kinds=LIST_KINDS,
)


@dg.multi_asset(
    specs=[table_spec(name, group=GROUP, deps=deps) for name, deps in DEPS.items()],
    name="make_quality_facts",
)
def make_quality_facts(pipeline: Pipeline) -> Iterator[dg.MaterializeResult[Any]]:
    configured = pipeline.settings().config.sources.code_quality
    with pipeline.warehouse() as con:
        quality.make_facts(con, configured.level if configured else "warning")
        yield from results(con, DEPS)


ASSETS = [*SOURCES, make_quality_facts]
