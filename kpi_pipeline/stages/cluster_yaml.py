"""Registry snapshots to raw.hub_registry: each fetch says what there was then, so the fetches together are the history.

A hub's version begins with the fetch that first shows it, and ends with the first that shows it otherwise or not.
"""

from collections.abc import Mapping
from datetime import UTC, date, datetime, time

import polars as pl

from kpi_pipeline.contracts import table
from kpi_pipeline.fingerprint import fingerprint
from kpi_pipeline.landing import TORN_GZIP, LandedFile, Landing, Manifest, unpacked
from kpi_pipeline.sources import cluster_yaml
from kpi_pipeline.stages.raw import Loaded
from kpi_pipeline.warehouse import Connection, fill, run, scalar, sql, transaction

SOURCE = "hub_registry"
KIND = "cluster_yaml"
Hubs = list[dict[str, str | None]]


def load(con: Connection, landing: Landing, since: date | None) -> Loaded:
    """Brings raw.hub_registry up to date with all fetches of cluster.yaml files, in one transaction.

    Args:
        since: from when on what the first fetch shows is taken to have been so; default: the day of that fetch.
    """
    manifests = [m for m in landing.manifests(SOURCE) if m.kind == KIND]
    files = [(f.name, f.sha256) for m in manifests for f in m.files]
    version = fingerprint(since, table("raw.hub_registry").name, files)
    result = Loaded()
    if run(con, "select distinct keying from raw.loads where source = $s", {"s": SOURCE}) != [(version,)]:
        result.files = len(set(files))
        entries = _snapshots(landing, manifests, since, result)
        with transaction(con):
            _replace(con, entries, result, version, dict(files))
    result.rows = int(scalar(con, "select count(*) from raw.hub_registry"))
    return result


def _snapshots(landing: Landing, manifests: list[Manifest], since: date | None, result: Loaded) -> pl.DataFrame:
    """One row per fetch and hub. A file that can't be read stands for its last version that could."""
    parsed: dict[str, Hubs | None] = {}
    last_good: dict[str, tuple[str, Hubs]] = {}
    rows: list[dict[str, object]] = []
    for number, manifest in enumerate(manifests):
        at = manifest.fetched_at.astimezone(UTC).replace(tzinfo=None)
        if number == 0 and since is not None:
            at = datetime.combine(since, time())
        for file in manifest.files:
            if file.sha256 not in parsed:
                parsed[file.sha256] = _parse(landing, file)
            hubs = parsed[file.sha256]
            if hubs is not None:
                last_good[file.name] = (file.sha256, hubs)
            elif number == len(manifests) - 1:
                result.rejected[f"not_cluster_yaml:{file.name}"] += 1
            for place, hub in enumerate(last_good.get(file.name, ("", []))[1], 1):
                rows.append({"snapshot": number, "seen_at": at, "_file": file.name, "_row": place, **hub})
        rows.append({"snapshot": number, "seen_at": at})
    schema: dict[str, pl.DataType | type[pl.DataType]] = {
        "snapshot": pl.Int64,
        "seen_at": pl.Datetime("us"),
        "_file": pl.String,
        "_row": pl.Int64,
    }
    names = ("cluster", "provider", "hub", *cluster_yaml.FIELDS)
    return pl.DataFrame(rows, schema=schema | dict.fromkeys(names, pl.String))


def _parse(landing: Landing, file: LandedFile) -> Hubs | None:
    try:
        with unpacked(landing.path(SOURCE, file), file.encoding == "gzip") as content:
            return cluster_yaml.parse(file.name, content.read())
    except (ValueError, *TORN_GZIP):
        return None


def _replace(con: Connection, entries: pl.DataFrame, result: Loaded, version: str, hashes: Mapping[str, str]) -> None:
    run(con, "truncate raw.hub_registry")
    for name in ("quarantine", "loads"):
        run(con, f"delete from raw.{name} where source = $s", {"s": SOURCE})
    con.register("snapshot_entries", entries.to_arrow())
    fill(con, table("raw.hub_registry"), sql("stages", "registry_versions"))
    con.unregister("snapshot_entries")
    for reason in result.rejected:
        code, name = reason.split(":", 1)
        con.execute("insert into raw.quarantine values (?, ?, null, ?, 'raw', null)", [SOURCE, name, code])
    # One row per file, so that raw.load forgets them all, should the registry become a table.
    rows: dict[str, int] = dict(run(con, "select _file, count(*) from raw.hub_registry group by all"))
    if hashes:
        con.executemany(
            "insert into raw.loads values (?, ?, ?, ?, ?)",
            [(SOURCE, name, sha256, version, rows.get(name, 0)) for name, sha256 in hashes.items()],
        )
