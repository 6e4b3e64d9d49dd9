"""The world in the sources' own formats: registry.csv and the activity files, the same bytes each time.

Never here: decisions about what is so (simulate.py, layout.py), and results (truth.py).
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

import polars as pl
import pyarrow as pa  # type: ignore[import-untyped, unused-ignore]

from kpi_pipeline.sample.dice import dice, whole
from kpi_pipeline.sample.hubs import Hub, Version
from kpi_pipeline.sample.layout import NOT_JSON, NOT_UTF8, Damage, SourceFile
from kpi_pipeline.sample.people import AS_IT_IS, spell
from kpi_pipeline.sample.simulate import World

REGISTRY_COLUMNS: Final = (
    *("valid_from", "valid_to", "cluster", "provider", "hub", "display_name", "domain", "helm_chart"),
    *("hubspot_deal_id", "community", "hub_type", "identity_issuer"),
)
GZIP_HEADER: Final = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\xff"  # no name, no time, no operating system

Record = dict[str, str]


def write_registry(folder: Path, hubs: Iterable[Hub]) -> None:
    rows = [_registry_row(hub, version) for hub in hubs for version in hub.versions]
    lines = [csv_line(REGISTRY_COLUMNS), *(csv_line(row) for row in rows)]
    write_file(folder / "registry.csv", b"".join(lines))


def write_activity(
    folder: Path, world: World, files: Sequence[SourceFile], damage: dict[str, tuple[Damage, ...]]
) -> None:
    for file in files:
        rows = world.rows.filter(pl.col("day").is_between(file.first, file.last), pl.col("late") == file.late)
        if file.format == "parquet":
            _write_parquet(folder / file.path, file, world, rows)
            continue
        records = _records(world, rows)
        lines = _csv_lines(file, records) if file.format.startswith("csv") else _json_lines(file, records)
        spoilt = [_damaged_line(file, one) for one in damage[file.path]]
        write_file(folder / file.path, _joined(file, _with_damage(lines, spoilt, world.seed, file)))


def write_file(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzipped(content) if path.suffix == ".gz" else content)


def gzipped(content: bytes) -> bytes:
    """By pyarrow's own zlib, which the lock file pins: Python's depends on how Python was built."""
    packed: bytes = pa.Codec("gzip", compression_level=9).compress(content, asbytes=True)
    return GZIP_HEADER + packed[len(GZIP_HEADER) :]


def csv_line(values: Iterable[str]) -> bytes:
    return (",".join(_quoted(value) for value in values) + "\n").encode()


def _quoted(value: str) -> str:
    if any(mark in value for mark in ',"\r\n'):
        return '"' + value.replace('"', '""') + '"'
    return value


def _registry_row(hub: Hub, version: Version) -> tuple[str, ...]:
    return (
        version.valid_from.isoformat(),
        version.valid_to.isoformat() if version.valid_to else "",
        hub.cluster,
        version.provider,
        hub.name,
        version.display_name,
        version.domain,
        version.helm_chart,
        version.hubspot_deal_id,
        ";".join(version.communities),
        version.hub_type,
        hub.identity_issuer,
    )


# -- one row of activity ---------------------------------------------------------------------------


def _records(world: World, rows: pl.DataFrame) -> Iterator[Record]:
    dates = [world.period.date_of(day).isoformat() for day in range(world.period.days)]
    columns = rows.select("day", "hub", "person", "spelling", "sessions")
    for day, hub, person, spelling, sessions in columns.iter_rows():
        yield {
            "date": dates[day],
            "cluster": world.hubs[hub].cluster,
            "hub": world.hubs[hub].name,
            "username": _username(world, person, spelling),
            "sessions": str(sessions) if sessions else "",
        }


def _username(world: World, person: int, spelling: int) -> str:
    name = world.names[person]
    return name if spelling == AS_IT_IS else spell(name, spelling)


def _csv_lines(file: SourceFile, records: Iterable[Record]) -> list[bytes]:
    return [csv_line([record[column] for column in file.columns]) for record in records]


def _json_lines(file: SourceFile, records: Iterable[Record]) -> list[bytes]:
    return [_json_line(file, record) for record in records]


def _json_line(file: SourceFile, record: Record) -> bytes:
    """`sessions` is a number, and is there only where there are any."""
    item: dict[str, str | int] = {column: record[column] for column in file.columns if column != "sessions"}
    if record["sessions"]:
        item["sessions"] = int(record["sessions"])
    return (json.dumps(item, ensure_ascii=False, separators=(",", ":")) + "\n").encode()


def _joined(file: SourceFile, lines: list[bytes]) -> bytes:
    if file.format.startswith("csv"):
        return csv_line(file.columns) + b"".join(lines)
    if file.format == "ndjson":
        return b"".join(lines)
    return b"[\n" + b",\n".join(line.rstrip(b"\n") for line in lines) + b"\n]\n"


def _write_parquet(path: Path, file: SourceFile, world: World, rows: pl.DataFrame) -> None:
    schema = dict.fromkeys(("date", "cluster", "hub", "username", "sessions"), pl.String)
    frame = pl.DataFrame(list(_records(world, rows)), schema=schema).with_columns(
        pl.col("date").str.to_date("%Y-%m-%d"),
        pl.col("sessions").replace("", None).cast(pl.Int64),
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    frame.select(file.columns).write_parquet(
        path, compression="zstd", compression_level=9, statistics=True, row_group_size=200_000
    )


# -- lines that cannot be used ---------------------------------------------------------------------


def _damaged_line(file: SourceFile, one: Damage) -> bytes:
    record = {
        "date": one.date,
        "cluster": one.cluster,
        "hub": one.hub,
        "username": one.username,
        "sessions": "",
    }
    if file.format == "ndjson":
        line = _json_line(file, record)
        return line[: len(line) // 2] + b"\n" if one.reason == NOT_JSON else line
    values = [record[column] for column in file.columns]
    values = values[: one.extra] if one.extra < 0 else values + ["extra"] * one.extra
    line = csv_line(values)
    if one.reason == NOT_UTF8:
        line = line.replace(one.username.encode(), one.username.encode() + b"\xff\xfe")
    return line


def _with_damage(lines: list[bytes], spoilt: list[bytes], seed: int, file: SourceFile) -> list[bytes]:
    """Somewhere among the good lines, so that a reader has to find its way back after each."""
    rng = dice(seed, "where the damage is", file.path)
    for line in spoilt:
        lines.insert(whole(rng, 0, len(lines)), line)
    return lines
