"""A real operator's registry, 342 hubs since 2021: what is published equals counts worked out from the file apart.

The expected numbers were counted with the standard library alone (csv, datetime, re): for each day, the entries whose
[valid_from, valid_to) holds a moment of it, staging names left out, the last entry of the day per hub; for communities,
the same over the six calendar months, with the two rules of examples/registry_only/kpi.toml.
"""

import os
import shutil
from pathlib import Path

import pytest

from kpi_pipeline import catalog
from kpi_pipeline_tests.end_to_end.commands import PROJECT, published, run

REAL = Path(os.environ.get("KPI_REAL_DATA", PROJECT.parent / "shared" / "real")) / "hub_registry_history.csv"
RUNNING = {
    # day: production hubs, clusters, per provider
    "2021-04-22": (20, 3, {"gcp": 20}),
    "2021-12-31": (31, 11, {"gcp": 24, "kubeconfig": 4, "aws": 3}),
    "2022-02-01": (33, 11, {"gcp": 26, "kubeconfig": 4, "aws": 3}),
    "2023-12-31": (74, 26, {"gcp": 54, "aws": 17, "kubeconfig": 3}),
    "2024-12-31": (115, 32, {"gcp": 75, "aws": 36, "kubeconfig": 4}),
    "2026-02-17": (135, 36, {"gcp": 82, "aws": 48, "kubeconfig": 5}),
    "2026-05-18": (118, 33, {"gcp": 76, "aws": 37, "kubeconfig": 5}),
    "2026-08-21": (150, 34, {"gcp": 107, "aws": 38, "kubeconfig": 5}),
}
PROVISIONED = {
    "2021-06-30": 28,
    "2021-12-31": 33,
    "2022-06-30": 42,
    "2023-12-31": 83,
    "2024-12-31": 118,
    "2025-08-31": 124,
    "2026-02-28": 128,
    "2026-08-31": 146,
}


@pytest.fixture(scope="module")
def real_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if not REAL.is_file():
        pytest.skip(f"the real registry isn't here: {REAL.name} (set KPI_REAL_DATA to its folder)")
    folder = tmp_path_factory.mktemp("real")
    shutil.copy(PROJECT / "examples" / "registry_only" / "kpi.toml", folder)
    shutil.copy(REAL, folder)
    run(folder / "kpi.toml", folder / "data", "--as-of", "2026-08-31")
    return folder / "data"


def test_every_entry_is_taken(real_data: Path) -> None:
    with published(real_data) as con:
        assert con.execute("select count(distinct hub_id) from hubs").fetchall() == [(342,)]
        health = "select rows, quarantined, freshness from data_health where source = 'hub_registry'"
        assert con.execute(health).fetchall() == [(687, 0, "no deadline")]


@pytest.mark.parametrize("day", RUNNING)
def test_running_hubs_and_clusters(real_data: Path, day: str) -> None:
    hubs, clusters, providers = RUNNING[day]
    with published(real_data) as con:
        rows = con.execute("select provider, hubs, clusters from running_infrastructure where date = ?", [day])
        found = {provider: (count, of_clusters) for provider, count, of_clusters in rows.fetchall()}
    assert found.pop("all") == (hubs, clusters)
    assert {provider: count for provider, (count, _) in found.items() if count} == providers


@pytest.mark.parametrize("day", PROVISIONED)
def test_communities_provisioned(real_data: Path, day: str) -> None:
    with published(real_data) as con:
        rows = con.execute(
            "select served, provisioned, status, is_month_end from communities_served where date = ?", [day]
        ).fetchall()
    assert rows == [(None, PROVISIONED[day], "provisioned", True)]


def test_every_day_and_month_has_its_value(real_data: Path) -> None:
    with published(real_data) as con:
        days = con.execute(
            "select count(*), min(date)::varchar from running_infrastructure where provider = 'all'"
        ).fetchall()
        months = con.execute("select count(*) from communities_served where is_month_end").fetchall()
    # 2021-04-21 (in UTC) to 2026-08-31 are 1,959 days, and hold the ends of 65 months.
    assert days == [(1959, "2021-04-21")]
    assert months == [(65,)]


def test_what_is_not_connected_says_so(real_data: Path) -> None:
    with published(real_data) as con:
        rows = con.execute("select kpi_id, value, status from kpi_values where status like 'no data%' order by 1")
        assert rows.fetchall() == [
            (kpi_id, None, "no data: not connected")
            for kpi_id in sorted(k.id for k in catalog.load().kpis if set(k.measure.sources) - {"hub_registry"})
        ]
