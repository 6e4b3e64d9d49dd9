"""Support: tickets from landing to facts."""

from collections.abc import Iterator
from typing import Any

import dagster as dg

from kpi_pipeline.assets.common import Pipeline, key, row_count, table_spec
from kpi_pipeline.assets.sources import source_assets
from kpi_pipeline.settings import Settings
from kpi_pipeline.settings.sources import Tickets
from kpi_pipeline.stages import freshdesk, raw, support
from kpi_pipeline.warehouse import Connection

SUPPORT = "support"


def _secret(configured: Settings) -> Any:
    return configured.id_secret if configured.config.sources.tickets else None


def _load_tickets(con: Connection, pipeline: Pipeline) -> raw.Loaded:
    return freshdesk.load(con, pipeline.landing(), _secret(pipeline.settings()))


TICKETS = source_assets("tickets", SUPPORT, load=_load_tickets)


@dg.multi_asset(
    specs=[
        table_spec("staged.tickets", group=SUPPORT, deps=("raw.tickets",)),
        table_spec("staged.ticket_messages", group=SUPPORT, deps=("raw.tickets",)),
        table_spec("facts.ticket_waits", group=SUPPORT, deps=("staged.tickets", "staged.ticket_messages")),
        table_spec(
            "facts.tickets",
            group=SUPPORT,
            deps=("staged.tickets", "staged.ticket_messages", "facts.ticket_waits", "facts.business_hours"),
        ),
        table_spec("facts.ticket_ratings", group=SUPPORT, deps=("staged.tickets",)),
    ],
    name="stage_tickets",
)
def stage_tickets(pipeline: Pipeline) -> Iterator[dg.MaterializeResult[Any]]:
    configured = pipeline.settings()
    rules = configured.config.sources.tickets or Tickets()
    with pipeline.warehouse() as con:
        support.stage_tickets(con, pipeline.landing(), rules, _secret(configured))
        for name in (*support.STAGED, *support.FACTS):
            yield dg.MaterializeResult(asset_key=key(name), metadata=row_count(con, name))


ASSETS = [*TICKETS, stage_tickets]
