"""The outreach domain, from landing to facts: integrations, partners, collaborations, channels, events, documents."""

from collections.abc import Iterator
from typing import Any

import dagster as dg

from kpi_pipeline.assets.common import Pipeline, results, table_spec
from kpi_pipeline.assets.sources import table_assets
from kpi_pipeline.contracts.outreach import RECORDS
from kpi_pipeline.stages import outreach

GROUP = "outreach"
DEPS = {
    "facts.integrations": "raw.integrations",
    "facts.partnerships": "raw.partners",
    "facts.collaborations": "raw.collaborations",
    "facts.community_channels": "raw.channels",
    "facts.developer_events": "raw.events",
    "facts.document_changes": "raw.documents",
}
SOURCES = table_assets(GROUP, [record.source for record in RECORDS])


@dg.multi_asset(
    specs=[table_spec(name, group=GROUP, deps=(dep,)) for name, dep in DEPS.items()],
    name="make_outreach_facts",
)
def make_outreach_facts(pipeline: Pipeline) -> Iterator[dg.MaterializeResult[Any]]:
    with pipeline.warehouse() as con:
        outreach.make_facts(con)
        yield from results(con, DEPS)


ASSETS = [*SOURCES, make_outreach_facts]
