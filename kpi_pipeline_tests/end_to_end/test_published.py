"""The published database keeps its contract: tables, comments, Parquet files beside it, and nothing personal."""

import csv
import gzip
import tomllib
from pathlib import Path

import duckdb

from kpi_pipeline.contracts import PUBLISHED
from kpi_pipeline_tests.end_to_end.commands import SAMPLE, published

CONTRACT = {
    "kpi_definitions": "kpi_id measure title question definition unit direction comparator target owner audience theme "
    "role status headline source definition_hash",
    "kpi_values": "kpi_id grain member period_start period_end value numerator denominator n status definition_hash "
    "run_id computed_at",
    "scorecard": "kpi_id role period_start period_end value comparator target score status previous_value",
    "active_users": "date grain member dau wau mau new returning lapsed",
}


def test_contract_tables_have_their_columns(sample_data: Path) -> None:
    with published(sample_data) as con:
        for name, columns in CONTRACT.items():
            found = con.execute(
                "select column_name from duckdb_columns() where table_name = ? order by column_index", [name]
            ).fetchall()
            assert [row[0] for row in found] == columns.split(), name


def test_every_table_view_and_column_has_a_comment(sample_data: Path) -> None:
    with published(sample_data) as con:
        bare = con.execute(
            "select table_name from duckdb_tables() where comment is null union all "
            "select view_name from duckdb_views() where comment is null and not internal union all "
            "select table_name || '.' || column_name from duckdb_columns() where comment is null and not internal "
            "and table_name in (select table_name from duckdb_tables())"
        ).fetchall()
        tables = {row[0] for row in con.execute("select table_name from duckdb_tables()").fetchall()}
    assert bare == []
    assert tables == {table.short_name for table in PUBLISHED}


def test_parquet_files_hold_the_same_rows(sample_data: Path) -> None:
    with published(sample_data) as con:
        for table in PUBLISHED:
            file = sample_data / "published" / f"{table.short_name}.parquet"
            difference = con.execute(
                f"(from {table.short_name} except all from '{file}') union all "
                f"(from '{file}' except all from {table.short_name})"
            ).fetchall()
            assert difference == [], table.name


def test_keys_are_unique(sample_data: Path) -> None:
    with published(sample_data) as con:
        for table in PUBLISHED:
            key = ", ".join(table.key)
            doubled = con.execute(f"select {key} from {table.short_name} group by all having count(*) > 1").fetchall()
            assert doubled == [], table.name


def test_hubs_say_what_they_were_and_are(sample_data: Path) -> None:
    """Versions of a hub don't overlap, and those that are current are those in service on the as-of day."""
    with published(sample_data) as con:
        overlapping = con.execute(
            "select a.hub_id from hubs a join hubs b on a.hub_id = b.hub_id and a.from_day < b.from_day "
            "and a.to_day > b.from_day"
        ).fetchall()
        current = con.execute("select count(*) from hubs where is_current").fetchall()[0][0]
        running = con.execute(
            "select sum(hubs + staging_hubs) from running_infrastructure "
            "where provider = 'all' and date = date '2026-09-30'"
        ).fetchall()[0][0]
    assert overlapping == []
    assert current == running


def usernames() -> set[str]:
    """Names that occur in the sample's files and rules, long enough not to occur by chance."""
    names: set[str] = set()
    for path in (SAMPLE / "hub_activity").glob("*.csv.gz"):
        with gzip.open(path, "rt", encoding="utf-8", errors="replace", newline="") as file:
            rows = csv.DictReader(file)
            names |= {row["username"].strip() for row in rows if row.get("username")}
    rules = tomllib.loads((SAMPLE / "kpi.toml").read_text())["exclusions"]
    names |= {name for rule in rules for name in rule["match"].get("username", [])}
    return {name.lower() for name in names if len(name) >= 8}


def test_no_person_is_published(sample_data: Path) -> None:
    names = usernames()
    assert len(names) > 500
    seen: set[str] = set()
    with published(sample_data) as con:
        columns = con.execute("select table_name, column_name, data_type from duckdb_columns() where not internal")
        for table, column, kind in columns.fetchall():
            assert kind != "UUID", f"{table}.{column} could be a person_key"
            if kind.startswith("VARCHAR"):
                found = con.execute(f'select distinct "{column}"::varchar from "{table}"').fetchall()
                seen |= {str(row[0]).lower() for row in found}
    assert names.isdisjoint(seen)
    content = (sample_data / "published" / "kpis.duckdb").read_bytes().lower()
    assert not [name for name in names if name.encode() in content]


def test_usernames_live_in_the_landing_zone_only(sample_data: Path) -> None:
    """Neither the warehouse's tables nor Dagster's files know a name."""
    names = usernames()
    with duckdb.connect(str(sample_data / "warehouse" / "warehouse.duckdb"), read_only=True) as con:
        columns = con.execute("select schema_name, table_name, column_name from duckdb_columns() where not internal")
        seen = set()
        for schema, table, column in columns.fetchall():
            found = con.execute(f'select distinct "{column}"::varchar from "{schema}"."{table}"').fetchall()
            seen |= {str(row[0]).lower() for row in found}
    assert names.isdisjoint(seen)
    for file in (sample_data / "dagster_home").rglob("*"):
        if file.is_file():
            content = file.read_bytes().lower()
            assert not [name for name in names if name.encode() in content], file
    landing = sample_data / "landing"
    assert landing.stat().st_mode & 0o077 == 0
