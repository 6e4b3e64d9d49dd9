"""The money domain, from landing to facts: ledger, deals and rates; recognised revenue, accrued costs, pipeline."""

from collections.abc import Iterator
from typing import Any

import dagster as dg

from kpi_pipeline.assets.common import Pipeline, results, table_spec
from kpi_pipeline.assets.sources import Load, source_assets
from kpi_pipeline.contracts import money
from kpi_pipeline.stages import hubspot, raw
from kpi_pipeline.stages.money import FACTS, STAGED, recognise, stage_money
from kpi_pipeline.warehouse import Connection

GROUP = "money"
RAW = tuple(f"raw.{record.source}" for record in money.RECORDS)
READS = {
    "facts.recognised": ("staged.ledger", "staged.deals"),
    "facts.recognised_periods": ("facts.recognised", "facts.periods", "staged.ledger"),
    "facts.bookings": ("staged.ledger", "staged.deals"),
    "facts.pipeline": ("staged.deals",),
}
STAGED_READS = {
    "staged.rates": ("raw.rates",),
    "staged.ledger": ("raw.ledger", "staged.rates"),
    "staged.deals": ("raw.deals", "raw.ledger", "staged.rates"),
}


@dg.multi_asset(specs=[table_spec(name, group=GROUP, deps=STAGED_READS[name]) for name in STAGED], name="stage_money")
def stage_lines(pipeline: Pipeline) -> Iterator[dg.MaterializeResult[Any]]:
    configured = pipeline.settings()
    config = configured.config
    with pipeline.warehouse() as con:
        stage_money(
            con, config.organisation.reporting_currency, config.categories, config.sources.deals, configured.as_of
        )
        yield from results(con, STAGED)


@dg.multi_asset(specs=[table_spec(name, group=GROUP, deps=READS[name]) for name in FACTS], name="recognise_money")
def recognise_money(pipeline: Pipeline) -> Iterator[dg.MaterializeResult[Any]]:
    with pipeline.warehouse() as con:
        recognise(con, pipeline.settings().as_of)
        yield from results(con, FACTS)


def _load_deals(con: Connection, pipeline: Pipeline) -> raw.Loaded:
    return hubspot.load(con, pipeline.landing(), pipeline.settings().config.sources.deals is not None)


LOADS: dict[str, Load] = {"deals": _load_deals}
ASSETS = [
    *(
        asset
        for record in money.RECORDS
        for asset in source_assets(record.source, GROUP, load=LOADS.get(record.source))
    ),
    stage_lines,
    recognise_money,
]
