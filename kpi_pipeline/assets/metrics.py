"""The metrics domain, from landing to facts: API calls and uptime."""

from collections.abc import Iterator
from typing import Any

import dagster as dg

from kpi_pipeline.assets.common import Pipeline, results, table_spec
from kpi_pipeline.assets.sources import table_assets
from kpi_pipeline.stages import metrics, raw
from kpi_pipeline.warehouse import Connection

GROUP = "metrics"
DEPS = {**{f"facts.{name}": ("raw.api_metrics",) for name in metrics.API_FACTS}, "facts.uptime": ("raw.uptime",)}


def _load_api_metrics(con: Connection, pipeline: Pipeline) -> raw.Loaded:
    return metrics.load_api_metrics(con, pipeline.landing(), pipeline.settings().config.sources.api_metrics)


def _load_uptime(con: Connection, pipeline: Pipeline) -> raw.Loaded:
    return metrics.load_uptime(con, pipeline.landing(), pipeline.settings().config.sources.uptime)


LOADS = {"api_metrics": _load_api_metrics, "uptime": _load_uptime}
SOURCES = table_assets(GROUP, list(LOADS), loads=LOADS)


@dg.multi_asset(
    specs=[table_spec(name, group=GROUP, deps=deps) for name, deps in DEPS.items()],
    name="make_metrics_facts",
)
def make_metrics_facts(pipeline: Pipeline) -> Iterator[dg.MaterializeResult[Any]]:
    configured = pipeline.settings()
    sources, landing = configured.config.sources, pipeline.landing()
    with pipeline.warehouse() as con:
        metrics.count_api_calls(con, landing, sources.api_metrics)
        metrics.count_uptime(con, landing, sources.uptime, configured.as_of)
        yield from results(con, DEPS)


ASSETS = [*SOURCES, make_metrics_facts]
