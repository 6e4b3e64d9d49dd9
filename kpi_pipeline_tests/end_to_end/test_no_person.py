"""Nobody is to be found in what is written outside the landing zone: names of the sample are looked for everywhere."""

import gzip
import json
import re
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from kpi_pipeline.warehouse import quote
from kpi_pipeline_tests.end_to_end.commands import SAMPLE

# Shorter names are words of every text.
LONG_ENOUGH = 7
WORD = re.compile(rb"[a-z0-9_.@+-]{7,}")


def _logins(value: object) -> Iterator[str]:
    """What GitHub and Freshdesk call people, anywhere in an answer."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if key in ("login", "email", "name") and isinstance(inner, str) and key != "name":
                yield inner
            yield from _logins(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _logins(inner)


def _json(path: Path) -> object:
    raw = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    try:
        return json.loads(raw)
    except ValueError:
        return None


@pytest.fixture(scope="module")
def people() -> set[str]:
    names: set[str] = set()
    with duckdb.connect() as con:
        for source, column in (("product_activity", "user"), ("registrations", "user"), ("surveys", "respondent")):
            files = [str(path) for path in (SAMPLE / source).rglob("*.csv*")]
            reader = "read_csv(?, all_varchar = true, union_by_name = true, ignore_errors = true)"
            rows = con.execute(f"select distinct {quote(column)} from {reader}", [files]).fetchall()
            names |= {name for (name,) in rows if name}
        files = [str(path) for path in (SAMPLE / "hub_activity").glob("*.csv.gz")]
        reader = "read_csv(?, all_varchar = true, union_by_name = true, ignore_errors = true)"
        names |= {
            name for (name,) in con.execute(f"select distinct username from {reader}", [files]).fetchall() if name
        }
    for source in ("github", "tickets"):
        for path in (SAMPLE / source).rglob("*.json*"):
            names |= set(_logins(_json(path)))
    found = {name.strip().lower() for name in names if len(name.strip()) >= LONG_ENOUGH}
    assert len(found) > 1000
    return found


def test_no_name_is_in_a_table(sample_data: Path, people: set[str]) -> None:
    """Of the warehouse and of what is published: no text column, and no list of texts, holds one."""
    for path in (sample_data / "warehouse" / "warehouse.duckdb", sample_data / "published" / "kpis.duckdb"):
        with duckdb.connect(str(path), read_only=True) as con:
            con.execute("create temp table people as select unnest(?::varchar[]) as name", [sorted(people)])
            columns = con.execute(
                "select schema_name, table_name, column_name from duckdb_columns() "
                "where not internal and database_name <> 'temp' and data_type in ('VARCHAR', 'VARCHAR[]')"
            ).fetchall()
            assert columns
            for schema, table, column in columns:
                texts = f"select distinct lower({quote(column)}::varchar) as text from {quote(schema, table)}"
                found = con.execute(f"select text from ({texts}) where text in (select name from people)").fetchall()
                assert found == [], f"{schema}.{table}.{column}"


def test_no_name_is_in_a_file_of_dagster_or_of_what_is_published(sample_data: Path, people: set[str]) -> None:
    """Events, logs and metadata are in SQLite and text files; Parquet holds texts uncompressed in its dictionaries."""
    folders = (sample_data / "dagster_home", sample_data / "published")
    sought = {name.encode() for name in people if WORD.fullmatch(name.encode())}
    assert len(sought) > 1000
    for path in (path for folder in folders for path in folder.rglob("*") if path.is_file()):
        assert not sought & set(WORD.findall(path.read_bytes().lower())), path.name
