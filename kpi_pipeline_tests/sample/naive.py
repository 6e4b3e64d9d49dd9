"""A second, careless-looking reading of the sample's files with sets and loops, to hold its truth against.

Never here: an import of kpi_pipeline. The truth is made from the simulated world; this only sees files.
"""

import csv
import gzip
import json
import tomllib
import unicodedata
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import polars as pl

Fields = dict[str, str]


class UnusableError(Exception):
    """A row that is quarantined; its text is the reason."""


@dataclass
class Found:
    """What the files say. A user-day is (day, hub_id, person); a person is (issuer, canonical username)."""

    quarantined: Counter[str] = field(default_factory=Counter)
    excluded: dict[str, set[tuple[date, str, tuple[str, str]]]] = field(default_factory=dict)
    apart: dict[str, set[tuple[date, str, tuple[str, str]]]] = field(default_factory=dict)
    qualifying: set[tuple[date, str, tuple[str, str]]] = field(default_factory=set)
    sessions: int = 0


def canonical(username: str) -> str:
    return unicodedata.normalize("NFKC", username.strip()).casefold()


def read_registry(folder: Path) -> dict[str, list[Fields]]:
    versions: dict[str, list[Fields]] = {}
    with (folder / "hub_registry" / "registry.csv").open(newline="", encoding="utf-8") as lines:
        for row in csv.DictReader(lines):
            versions.setdefault(f"{row['cluster']}/{row['hub']}", []).append(row)
    return versions


def in_effect(versions: list[Fields], day: date) -> Fields | None:
    """The last version that has any moment of the UTC day."""
    begin = datetime(day.year, day.month, day.day, tzinfo=UTC)
    end = begin + timedelta(days=1)
    there = [
        row
        for row in versions
        if datetime.fromisoformat(row["valid_from"]) < end
        and (not row["valid_to"] or datetime.fromisoformat(row["valid_to"]) > begin)
    ]
    return max(there, key=lambda row: datetime.fromisoformat(row["valid_from"]), default=None)


def kind_of(hub: str, config: dict[str, Any]) -> str:
    rules = config["sources"]["hub_registry"]
    for kind in ("staging", "binder"):
        if any(fnmatchcase(hub, pattern) for pattern in rules[kind]):
            return kind
    return "production"


def read_all(folder: Path) -> Found:
    config = tomllib.loads((folder / "kpi.toml").read_text(encoding="utf-8"))
    registry = read_registry(folder)
    found = Found(
        excluded={rule["id"]: set() for rule in config["exclusions"]},
        apart={"staging": set(), "binder": set()},
    )
    for path in sorted((folder / "hub_activity").rglob("*.*")):
        for row in _rows(path):
            try:
                _sort_in(row, config, registry, found)
            except UnusableError as reason:
                found.quarantined[str(reason)] += 1
    return found


def _sort_in(
    row: Fields | UnusableError, config: dict[str, Any], registry: dict[str, list[Fields]], found: Found
) -> None:
    if isinstance(row, UnusableError):
        raise row
    day, hub_id, version = _checked(row, registry)
    name = canonical(row["username"])
    user_day = (day, hub_id, (version["identity_issuer"] or version["cluster"], name))
    rules = [rule for rule in config["exclusions"] if _matches(rule, row, day, name)]
    for rule in rules:
        found.excluded[rule["id"]].add(user_day)
    if rules:
        return
    kind = kind_of(row["hub"], config)
    (found.qualifying if kind == "production" else found.apart[kind]).add(user_day)
    found.sessions += int(row.get("sessions") or 0)


def _checked(row: Fields, registry: dict[str, list[Fields]]) -> tuple[date, str, Fields]:
    hub_id = f"{row['cluster']}/{row['hub']}"
    try:
        day = date.fromisoformat(row["date"])
    except ValueError:
        raise UnusableError("invalid:date") from None
    if not row["username"].strip():
        raise UnusableError("missing:username")
    if hub_id not in registry:
        raise UnusableError("unknown_hub")
    version = in_effect(registry[hub_id], day)
    if version is None:
        raise UnusableError("hub_not_in_service")
    return day, hub_id, version


def _matches(rule: dict[str, Any], row: Fields, day: date, name: str) -> bool:
    if not rule.get("from", date.min) <= day <= rule.get("to", date.max):
        return False
    match = rule["match"]
    if "username" in match:
        return name in {canonical(written) for written in match["username"]}
    return (row["cluster"], row["hub"]) == (match["cluster"], match["hub"])


# -- files ---------------------------------------------------------------------------------------------------


def _rows(path: Path) -> Iterator[Fields | UnusableError]:
    if path.suffix == ".parquet":
        for row in pl.read_parquet(path).iter_rows(named=True):
            yield {column: "" if value is None else str(value) for column, value in row.items()}
        return
    content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    if path.name.endswith(".json.gz"):
        yield from json.loads(content)
    elif path.suffix == ".ndjson":
        yield from (_json(line) for line in content.splitlines())
    else:
        header, *lines = content.split(b"\n")[:-1]
        yield from (_csv(line, header.decode().split(",")) for line in lines)


def _json(line: bytes) -> Fields | UnusableError:
    try:
        item: Fields = json.loads(line)
    except ValueError:
        return UnusableError("not_json")
    return item


def _csv(line: bytes, columns: list[str]) -> Fields | UnusableError:
    try:
        text = line.decode()
    except UnicodeDecodeError:
        return UnusableError("not_utf8")
    values = next(csv.reader([text]))
    if len(values) != len(columns):
        return UnusableError("wrong_column_count")
    return dict(zip(columns, values, strict=True))
