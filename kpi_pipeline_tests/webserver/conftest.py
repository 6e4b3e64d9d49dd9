"""One data folder, webserver and daemon for all tests here; each is started as people start it."""

import csv
import gzip
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pytest

from kpi_pipeline_tests.end_to_end.commands import SAMPLE, run, values
from kpi_pipeline_tests.webserver.live import Live, served

LAST_DAY = "2026-09-30"
BACKFILL_DAYS = [f"2026-03-{day:02}" for day in range(9, 14)]
BACKFILLED = ["staged/user_days", "facts/active_users"]


@dataclass(frozen=True)
class Launched:
    """What was launched from the UI, ended; and the values before and after."""

    run_id: str
    run_status: str
    backfill: dict[str, Any]
    before: dict[str, Any]
    after: dict[str, Any]


@pytest.fixture(scope="session")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """The sample organisation after one `kpi run`, in the UI."""
    folder = tmp_path_factory.mktemp("webserver")
    run(SAMPLE / "kpi.toml", folder / "data")
    with served(SAMPLE / "kpi.toml", folder / "data", folder, daemon=True) as webserver:
        yield webserver


@pytest.fixture(scope="session")
def first_run(live: Live) -> dict[str, Any]:
    """The run of `kpi run`."""
    return live.runs()[0]


@pytest.fixture(scope="session")
def launched(live: Live) -> Launched:
    """The nightly job and a backfill, both launched from the UI; the daemon looks for backfills twice a minute."""
    before = everything(live.data_dir)
    backfill_id = live.launch_backfill(BACKFILL_DAYS, BACKFILLED)
    run_id = live.launch_run(LAST_DAY)
    status, backfill = live.finished_run(run_id), live.finished_backfill(backfill_id)
    return Launched(run_id, status, backfill, before, everything(live.data_dir))


@pytest.fixture(scope="session")
def truth() -> dict[tuple[str, str, str], dict[str, str]]:
    """The sample's ground truth of active users, by date, grain and member."""
    with gzip.open(SAMPLE / "truth" / "active_users.csv.gz", "rt", encoding="utf-8") as lines:
        return {(row["date"], row["grain"], row["member"]): row for row in csv.DictReader(lines)}


def everything(data_dir: Path) -> dict[str, Any]:
    """What is published, and the tables of the warehouse that a backfill writes."""
    tables = ["staged.user_days", "staged.activity_accounting", "facts.user_days", "facts.active_users"]
    with duckdb.connect(str(data_dir / "warehouse" / "warehouse.duckdb"), read_only=True) as con:
        warehouse = {name: con.execute(f"select * from {name} order by all").fetchall() for name in tables}
    return {**values(data_dir), **warehouse}
