"""nbgitpuller clicks: access logs from landing to facts."""

from typing import Any

import dagster as dg

from kpi_pipeline.assets.common import Pipeline, row_count, table_spec
from kpi_pipeline.assets.sources import source_assets
from kpi_pipeline.stages import access_logs, raw
from kpi_pipeline.warehouse import Connection

CLICKS = "clicks"


def _load(con: Connection, pipeline: Pipeline) -> raw.Loaded:
    configured = pipeline.settings()
    connected = configured.config.sources.access_logs is not None
    secret = configured.id_secret if connected else None
    return access_logs.load(con, pipeline.landing(), secret, connected)


# After staged.hubs, which says who vouches for the usernames.
LOGS = source_assets("access_logs", CLICKS, after=("staged.hubs",), load=_load)


@dg.multi_asset(
    specs=[table_spec("facts.nbgitpuller_hits", group=CLICKS, deps=("raw.access_logs", "staged.hubs"))],
    name="count_clicks",
)
def count_clicks(pipeline: Pipeline) -> dg.MaterializeResult[Any]:
    with pipeline.warehouse() as con:
        access_logs.count_clicks(con)
        return dg.MaterializeResult(metadata=row_count(con, "facts.nbgitpuller_hits"))


ASSETS = [*LOGS, count_clicks]
