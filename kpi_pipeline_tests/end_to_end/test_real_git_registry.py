"""A real operator's registry as a git history, one commit per moment of change: the intervals that it was made of
come back, through kpi.toml and the assets."""

import csv
from collections import defaultdict
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pytest
import yaml

from kpi_pipeline_tests.end_to_end.commands import PROJECT, run
from kpi_pipeline_tests.end_to_end.test_real_registry import REAL
from kpi_pipeline_tests.live.repositories import Told, repository

COLUMNS = ("cluster", "hub", "provider", "display_name", "domain", "helm_chart", "hubspot_deal_id")
Interval = tuple[datetime, datetime | None, tuple[str | None, ...]]


def intervals() -> list[Interval]:
    """The table: from, to, and what stood then. Two entries changed by a blank at their end only: they are one."""
    found: list[Interval] = []
    with REAL.open(encoding="utf-8") as content:
        rows = sorted(csv.DictReader(content), key=lambda row: (row["cluster"], row["hub"], _moment(row["valid_from"])))
    for row in rows:
        begin, end = _moment(row["valid_from"]), _moment(row["valid_to"]) if row["valid_to"] else None
        values = tuple(row[column].strip() or None for column in COLUMNS)
        if found and found[-1][1:] == (begin, values):
            begin = found.pop()[0]
        found.append((begin, end, values))
    return found


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def files_at(moment: datetime, table: list[Interval]) -> dict[str, str]:
    """The cluster.yaml files of a moment; a cluster's provider stands above its hubs."""
    clusters = defaultdict[str, list[dict[str, str | None]]](list)
    for begin, end, values in table:
        if begin <= moment and (end is None or moment < end):
            clusters[str(values[0])].append(dict(zip(COLUMNS, values, strict=True)))
    files = {}
    for name, entries in clusters.items():
        (provider,) = {entry["provider"] for entry in entries}
        hubs = [{"name": e["hub"], **{key: e[key] for key in COLUMNS[3:] if e[key] is not None}} for e in entries]
        files[f"config/clusters/{name}/cluster.yaml"] = yaml.safe_dump(
            {"name": name, "provider": provider, "hubs": hubs}, sort_keys=False
        )
    return files


def told(table: list[Interval]) -> list[Told]:
    commits, before = list[Told](), dict[str, str]()
    for moment in sorted({moment for begin, end, _ in table for moment in (begin, end) if moment is not None}):
        files = files_at(moment, table)
        changed: dict[str | bytes, str | bytes | None] = {f: t for f, t in files.items() if before.get(f) != t}
        commits.append(Told(moment, {**dict.fromkeys(before.keys() - files.keys()), **changed}))
        before = files
    return commits


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The registry's part of a run, from kpi.toml to staged.hubs."""
    if not REAL.is_file():
        pytest.skip(f"the real registry isn't here: {REAL.name} (set KPI_REAL_DATA to its folder)")
    folder = tmp_path_factory.mktemp("real")
    repository(folder / "infrastructure", *told(intervals()))
    text = (PROJECT / "examples" / "registry_only" / "kpi.toml").read_text()
    for old, new in (
        ('kind = "table"', 'kind = "git"\nfolder = "config/clusters"'),
        (f'path = "{REAL.name}"', 'path = "infrastructure"'),
    ):
        assert text.count(old) == 1
        text = text.replace(old, new)
    (folder / "kpi.toml").write_text(text)
    run(folder / "kpi.toml", folder / "data", "--as-of", "2026-08-31", "--select", "+key:staged/hubs")
    return folder / "data" / "warehouse" / "warehouse.duckdb"


def test_the_intervals_come_back(warehouse: Path) -> None:
    with duckdb.connect(str(warehouse), read_only=True) as con:
        rows = con.execute(f"select valid_from, valid_to, {', '.join(COLUMNS)} from raw.hub_registry").fetchall()
        loaded = con.execute("select count(*), sum(rows) from raw.loads").fetchall()
        rejected = con.execute("select count(*) from raw.quarantine").fetchall()
        hubs = con.execute("select count(distinct hub_id) from staged.hubs").fetchall()
        covered = con.execute("select source, part, first_day::varchar from raw.covered_days").fetchall()
    table = {
        (begin.replace(tzinfo=None), end and end.replace(tzinfo=None), values) for begin, end, values in intervals()
    }
    assert len(rows) == len(table) == 685
    assert {(begin, end, tuple(values)) for begin, end, *values in rows} == table
    # 67 clusters there ever were, each a file.
    assert (loaded, rejected, hubs) == ([(67, 685)], [(0,)], [(342,)])
    assert covered == [("hub_registry", "config/clusters", "2021-04-21")]
