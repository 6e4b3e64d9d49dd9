"""Every published table as CSV and Parquet, with a Data Package (Frictionless, version 2) that explains them.

What belongs here: how tables and columns are described and written. What never does: what they hold, and any column
that isn't in the contracts. The package is for the organisation itself: internal KPIs are in it, as the tables say.
"""

import hashlib
import json
import shutil
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from kpi_pipeline import published
from kpi_pipeline.contracts import PUBLISHED, Column, Table
from kpi_pipeline.published import NotPublishedError
from kpi_pipeline.report import folders
from kpi_pipeline.stages.publish import literal
from kpi_pipeline.warehouse import quote

FOLDER = "exports"
DESCRIPTOR = "datapackage.json"
PROFILES = "https://datapackage.org/profiles/2.0"
# DuckDB's types, and what the standard calls them.
TYPES = {
    "VARCHAR": "string",
    "VARCHAR[]": "array",
    "BIGINT": "integer",
    "DECIMAL(38, 9)": "number",
    "DATE": "date",
    "TIMESTAMP": "datetime",
    "BOOLEAN": "boolean",
}
# Where CSV would write something that only DuckDB reads.
AS_TEXT = {"VARCHAR[]": "to_json({})", "TIMESTAMP": "strftime({}, '%Y-%m-%dT%H:%M:%S.%fZ')"}
FORMATS = {"csv": "text/csv", "parquet": "application/vnd.apache.parquet"}
CSV = "(format csv, header, delimiter ',', quote '\"', nullstr '')"
Tell = Callable[[int, int, str], None]


def write(
    published_folder: Path, out_folder: Path | None = None, tell: Tell = lambda _done, _total, _what: None
) -> Path:
    """Writes all tables; the same snapshot gives the same bytes.

    Args:
        out_folder: what becomes a link to the files; default: exports in the published folder.
        tell: is told how many files are done, of how many, and which comes.

    Returns:
        The folder.

    Raises:
        NotPublishedError: nothing is published there, or by another version of this program.
    """
    folder = out_folder or published_folder / FOLDER
    with published.connect(published_folder) as snapshot:
        _refuse_unknown(snapshot)
        # Files are hashed while the next ones are written.
        with folders.replaced(folder) as aside, ThreadPoolExecutor(1) as beside:
            hashes: dict[Path, Future[str]] = {}
            files = [(table, kind) for table in PUBLISHED for kind in FORMATS]
            for number, (table, kind) in enumerate(files):
                path = _path(aside, table, kind)
                tell(number, len(files), path.name)
                if kind == "parquet":
                    _copy(snapshot, path)
                else:
                    snapshot.rows(_as_csv(table, path))
                hashes[path] = beside.submit(_hash, path)
            resources = [
                _resource(table, kind, path, hashes[path].result())
                for table in PUBLISHED
                for kind in FORMATS
                for path in [_path(aside, table, kind)]
            ]
            text = json.dumps(_package(snapshot, resources), indent=2, ensure_ascii=False)
            (aside / DESCRIPTOR).write_text(text + "\n", encoding="utf-8")
    return folder


def _refuse_unknown(snapshot: published.Published) -> None:
    """What isn't as the contracts say can't be described by them."""
    found: dict[str, list[str]] = {}
    columns = "select table_name, column_name from duckdb_columns() where not internal order by column_index"
    for table, column in snapshot.rows(columns):
        found.setdefault(table, []).append(column)
    for contract in PUBLISHED:
        if found.get(contract.short_name) != [column.name for column in contract.columns]:
            raise NotPublishedError(
                f"{snapshot.path.name}: {contract.short_name}",
                got=", ".join(found.get(contract.short_name, [])) or "no such table",
                expected=", ".join(column.name for column in contract.columns),
                fix="It is of another version of this program: kpi run publishes it anew.",
            )


def _path(folder: Path, table: Table, kind: str) -> Path:
    return folder / f"{table.short_name}.{kind}"


def _copy(snapshot: published.Published, path: Path) -> None:
    """What was published as Parquet with the database is what others get."""
    try:
        shutil.copyfile(snapshot.path.with_name(path.name), path)
    except FileNotFoundError as error:
        raise NotPublishedError(
            path.name,
            got=f"none beside {snapshot.path.name}",
            expected="a published folder, whole: the database, and a Parquet file per table",
            fix="Copy the whole folder, or do it again: a run that published meanwhile may have removed the snapshot.",
        ) from error


def _as_csv(table: Table, path: Path) -> str:
    """One statement; COPY takes no parameter for the path. Rows come in the order in which they were published."""
    columns = ", ".join(_as_text(column) for column in table.columns)
    return f"copy (select {columns} from {quote(table.short_name)} as t) to {literal(str(path))} {CSV}"


def _as_text(column: Column) -> str:
    name = quote(column.name)
    return f"{AS_TEXT.get(column.type, '{}').format('t.' + name)} as {name}"


def _package(snapshot: published.Published, resources: list[dict[str, Any]]) -> dict[str, Any]:
    ((name, as_of),) = snapshot.rows("select name, as_of from organisation")
    return {
        "$schema": f"{PROFILES}/datapackage.json",
        "name": "kpis",
        "title": f"{name}: key performance indicators",
        "description": "Every published table, as CSV and as Parquet. Internal KPIs are in it: the column audience of "
        "kpi_definitions says which may be shown outside, and withheld_values which of their values may not.",
        "version": as_of.isoformat(),
        "keywords": ["KPI", "JupyterHub"],
        "resources": resources,
    }


def _hash(path: Path) -> str:
    with path.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def _resource(table: Table, kind: str, path: Path, hashed: str) -> dict[str, Any]:
    return {
        "$schema": f"{PROFILES}/dataresource.json",
        # A name tells one resource from all others.
        "name": table.short_name if kind == "csv" else f"{table.short_name}.{kind}",
        "type": "table",
        "path": path.name,
        "description": table.comment,
        "format": kind,
        "mediatype": FORMATS[kind],
        **({"encoding": "utf-8"} if kind == "csv" else {}),
        "bytes": path.stat().st_size,
        "hash": f"sha256:{hashed}",
        "schema": {
            "$schema": f"{PROFILES}/tableschema.json",
            "fields": [_field(column) for column in table.columns],
            "primaryKey": list(table.key),
            "missingValues": [""],
        },
    }


def _field(column: Column) -> dict[str, Any]:
    constraints: dict[str, Any] = {} if column.nullable else {"required": True}
    if column.values:
        constraints["enum"] = list(column.values)
    return {
        "name": column.name,
        "type": TYPES[column.type],
        "description": column.description,
        # No word of the standard, which lets others stand beside its own.
        **({"unit": column.unit} if column.unit else {}),
        # A text that can't be missing may be empty.
        **({"missingValues": []} if column.type == "VARCHAR" and not column.nullable else {}),
        **({"constraints": constraints} if constraints else {}),
    }
