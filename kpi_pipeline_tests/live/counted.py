"""From landed activity to counts, through the library as a run would. No vendor and no test is here."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from pathlib import Path

import duckdb

from kpi_pipeline.contracts import RECORDS
from kpi_pipeline.landing import Landing
from kpi_pipeline.settings.base import Live
from kpi_pipeline.settings.sources import HubActivity, HubRegistry
from kpi_pipeline.sources.files import list_files
from kpi_pipeline.stages import activity, facts, parts, raw, staged
from kpi_pipeline_tests.bad_input.organisation import REGISTRY_HEADER, empty_warehouse
from kpi_pipeline_tests.live.fetched import SECRET, utc

SINCE = "2020-01-01"


@contextmanager
def counted(
    folder: Path, landing: Landing, configured: Live, hubs: Sequence[str], as_of: date
) -> Iterator[duckdb.DuckDBPyConnection]:
    """A warehouse with facts of hub activity up to a day; of hubs (`cluster/hub`) that run since 2020."""
    assert isinstance(configured, HubActivity)
    registry = folder / "hub_registry"
    registry.mkdir(exist_ok=True)
    rows = [f"{SINCE},,{hub.split('/')[0]},gcp,{hub.split('/')[1]},{hub},hub.example.org,basehub," for hub in hubs]
    (registry / "hubs.csv").write_text("\n".join([REGISTRY_HEADER, *rows, ""]))
    landing.land("hub_registry", "table", list_files("hub_registry", registry), utc(2026, 1, 1))
    path = folder / "counted.duckdb"
    path.write_bytes(empty_warehouse())
    with duckdb.connect(str(path)) as con:
        con.execute("set timezone = 'UTC'")
        raw.load(con, landing, RECORDS["hub_registry"], None, True)
        staged.stage_hubs(con, HubRegistry())
        parts.load(con, landing, "hub_activity", configured.kind)
        activity.load(con, landing, configured, SECRET)
        staged.stage_user_days(con, [], SECRET, [])
        facts.count_active_users(con, as_of, [])
        facts.cover_days(con)
        yield con
