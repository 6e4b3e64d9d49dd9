"""GitHub, from landing to facts, and the two tables that upstream contributions need beside it."""

from collections.abc import Iterator
from typing import Any

import dagster as dg

from kpi_pipeline.assets.common import Pipeline, results, table_spec
from kpi_pipeline.assets.sources import source_assets
from kpi_pipeline.stages import github, raw
from kpi_pipeline.warehouse import Connection

GITHUB = "github"
TABLES = (*(f"staged.{name}" for name in github.STAGED), *(f"facts.{name}" for name in github.FACTS))

DEPS = ("raw.github", "raw.affiliations", "raw.upstream_work", "staged.hubs", "staged.teams")


def _load(con: Connection, pipeline: Pipeline) -> raw.Loaded:
    configured = pipeline.settings()
    rules = configured.config.sources.github
    asked = rules.hub_requests if rules else None
    secret = configured.id_secret if rules else None
    return github.load(con, pipeline.landing(), secret, asked.names if asked else None)


PAGES = source_assets("github", GITHUB, load=_load)
AFFILIATIONS = source_assets("affiliations", GITHUB)
WORK = source_assets("upstream_work", GITHUB)


@dg.multi_asset(
    specs=[table_spec(name, group=GITHUB, deps=DEPS) for name in TABLES],
    name="stage_github",
)
def stage_github(pipeline: Pipeline) -> Iterator[dg.MaterializeResult[Any]]:
    configured = pipeline.settings()
    rules = configured.config.sources.github
    with pipeline.warehouse() as con:
        github.stage(con, pipeline.landing(), rules, configured.id_secret if rules else None)
        yield from results(con, TABLES)


ASSETS = [*PAGES, *AFFILIATIONS, *WORK, stage_github]
