"""The opinion domain, from landing to facts: surveys, publications, declarations of communities, and charges."""

from collections.abc import Iterator
from typing import Any

import dagster as dg

from kpi_pipeline.assets.common import Pipeline, results, table_spec
from kpi_pipeline.assets.sources import source_assets
from kpi_pipeline.contracts.opinion import RECORDS
from kpi_pipeline.stages import opinion

OPINION = "opinion"
SOURCES = [asset for record in RECORDS for asset in source_assets(record.source, OPINION)]


def _spec(name: str, *deps: str) -> dg.AssetSpec:
    return table_spec(name, group=OPINION, deps=deps)


@dg.multi_asset(
    specs=[
        _spec("staged.survey_answers", "raw.surveys", "staged.teams"),
        _spec("staged.survey_invitations", "raw.survey_invitations", "staged.teams"),
        _spec("facts.survey_answers", "staged.survey_answers", "staged.survey_invitations"),
    ],
    name="stage_surveys",
)
def stage_surveys(pipeline: Pipeline) -> Iterator[dg.MaterializeResult[Any]]:
    with pipeline.warehouse() as con:
        opinion.stage_surveys(con)
        yield from results(con, ("staged.survey_answers", "staged.survey_invitations", "facts.survey_answers"))


@dg.multi_asset(specs=[_spec("staged.community_declarations", "raw.communities")], name="stage_declarations")
def stage_declarations(pipeline: Pipeline) -> Iterator[dg.MaterializeResult[Any]]:
    with pipeline.warehouse() as con:
        opinion.stage_declarations(con)
        yield from results(con, ("staged.community_declarations",))


@dg.multi_asset(specs=[_spec("facts.works", "raw.publications", "staged.hubs")], name="count_works")
def count_works(pipeline: Pipeline) -> Iterator[dg.MaterializeResult[Any]]:
    with pipeline.warehouse() as con:
        opinion.count_works(con)
        yield from results(con, ("facts.works",))


@dg.multi_asset(
    specs=[_spec("staged.charges", "raw.charges"), _spec("facts.cost_reductions", "staged.charges")],
    name="stage_charges",
)
def stage_charges(pipeline: Pipeline) -> Iterator[dg.MaterializeResult[Any]]:
    currency = pipeline.settings().config.organisation.reporting_currency
    with pipeline.warehouse() as con:
        opinion.stage_charges(con, currency)
        yield from results(con, ("staged.charges", "facts.cost_reductions"))


ASSETS = [*SOURCES, stage_surveys, stage_declarations, count_works, stage_charges]
