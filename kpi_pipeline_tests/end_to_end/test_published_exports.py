"""The exported tables: all of them, as the database has them, and explained as the standard of data packages says."""

import hashlib
import json
import re
import shutil
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import pytest
from frictionless import Checklist, Package, Resource

from kpi_pipeline.assets.common import Pipeline
from kpi_pipeline.assets.published import EXPORTS, SITE, write_report_and_exports
from kpi_pipeline.contracts import PUBLISHED
from kpi_pipeline_tests.end_to_end.commands import SAMPLE, kpi

# https://datapackage.org/standard/table-schema/#field-types
FIELD_TYPES = {
    "string", "number", "integer", "boolean", "object", "array", "list", "datetime", "date", "time", "year",
    "yearmonth", "duration", "geopoint", "geojson", "any",
}  # fmt: skip
# What a CSV file's text becomes again.
FROM_TEXT = {
    "VARCHAR[]": "from_json({}, '[\"VARCHAR\"]')",
    "TIMESTAMP": "strptime({}, '%Y-%m-%dT%H:%M:%S.%fZ')",
}
HOSTILE = "\"quoted\", 'single'\nand a second line; =1+1, ünïversität 大学 🪸\t\\"


@dataclass(frozen=True)
class Exported:
    """A published folder, and what was exported of it."""

    published: Path

    @property
    def folder(self) -> Path:
        return self.published / "exports"

    @cached_property
    def package(self) -> dict[str, Any]:
        return json.loads((self.folder / "datapackage.json").read_text(encoding="utf-8"))  # type: ignore[no-any-return]

    def connect(self) -> duckdb.DuckDBPyConnection:
        return duckdb.connect(str(self.published / "kpis.duckdb"), read_only=True)


def exported(data: Path) -> Exported:
    done = kpi("export", "--data-dir", data)
    assert done.returncode == 0, done.stderr
    assert str(data / "published" / "exports") in done.stdout
    return Exported(data / "published")


@pytest.fixture(scope="session")
def sample(sample_data: Path) -> Exported:
    """As the run itself left it."""
    return Exported(sample_data / "published")


@pytest.fixture(scope="session")
def awkward(sample: Exported, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    """The same with values that are hard to write down."""
    data = tmp_path_factory.mktemp("awkward")
    (data / "published").mkdir()
    database = data / "published" / "kpis.duckdb"
    shutil.copyfile(sample.published / "kpis.duckdb", database)
    with duckdb.connect(str(database)) as con:
        con.execute("update annotations set text = ?, kpis = [] where date = date '2026-01-15'", [HOSTILE])
        con.execute(
            "insert into annotations values (date '2026-03-01', '', ['a', 'b \"c\"', ?], 'external')", [HOSTILE]
        )
        con.execute("update kpi_values set computed_at = timestamp '2026-09-30 23:59:59.000001' where n = 1102")
        con.execute("update kpi_values set value = 12345678901234567890123456789.123456789 where n = 1102")
        con.execute("update kpi_values set member = ? where member = 'polar-university'", [HOSTILE])
        con.execute("update hubs set display_name = '' where hub_id = (select min(hub_id) from hubs)")
        for table in PUBLISHED:
            con.execute(f"copy {table.short_name} to '{database.with_name(table.short_name)}.parquet' (format parquet)")
    return exported(data)


def test_every_published_table_is_there_in_both_formats(sample: Exported) -> None:
    with sample.connect() as con:
        tables = {row[0] for row in con.execute("select table_name from duckdb_tables()").fetchall()}
    assert tables == {table.short_name for table in PUBLISHED}
    wanted = {f"{table}.{kind}" for table in tables for kind in ("csv", "parquet")} | {"datapackage.json"}
    assert {path.name for path in sample.folder.iterdir()} == wanted
    assert {resource["path"] for resource in sample.package["resources"]} == wanted - {"datapackage.json"}


@pytest.mark.parametrize("table", PUBLISHED, ids=lambda table: table.short_name)
@pytest.mark.parametrize("which", ["sample", "awkward"])
def test_read_back_the_files_equal_the_database(which: str, table: Any, request: pytest.FixtureRequest) -> None:
    """Types, missing values, empty texts, moments, lists: nothing differs, in either direction."""
    made: Exported = request.getfixturevalue(which)
    name, text, parquet = (
        table.short_name,
        made.folder / f"{table.short_name}.csv",
        made.folder / f"{table.short_name}.parquet",
    )
    columns = ", ".join(f"'{column.name}': 'VARCHAR'" for column in table.columns)
    read = f"read_csv('{text}', header = true, quote = '\"', escape = '\"', delim = ',', nullstr = '', "
    read += f"allow_quoted_nulls = false, auto_detect = false, columns = {{{columns}}})"
    cells = [(f'"{column.name}"', column.type) for column in table.columns]
    typed = ", ".join(f"{FROM_TEXT.get(kind, '{}').format(cell)}::{kind} as {cell}" for cell, kind in cells)
    with made.connect() as con:
        rows = con.execute(f"select count(*) from {name}").fetchall()
        for files in (f"(select {typed} from {read})", f"(from '{parquet}')"):
            assert con.execute(f"select count(*) from {files}").fetchall() == rows
            for one, other in ((name, files), (files, name)):
                difference = con.execute(f"from (from {one} except all from {other}) limit 3").fetchall()
                assert difference == [], (name, files)
        types = "select column_name, column_type from (describe {})"
        assert con.execute(types.format(f"from '{parquet}'")).fetchall() == con.execute(types.format(name)).fetchall()


def test_rows_are_in_the_order_of_their_key(sample: Exported) -> None:
    """Whatever order they were computed in: the same numbers give the same files."""
    with sample.connect() as con:
        for table in PUBLISHED:
            key = ", ".join(table.key)
            unordered = (
                f"select count(*) from (select row({key}) < lag(row({key})) over () as falls from %s) where falls"
            )
            for rows in (table.short_name, f"'{sample.folder / table.short_name}.parquet'"):
                assert con.execute(unordered % rows).fetchall() == [(0,)], rows


def test_a_database_without_its_parquet_files_is_no_published_folder(sample: Exported, tmp_path: Path) -> None:
    (tmp_path / "published").mkdir()
    shutil.copyfile(sample.published / "kpis.duckdb", tmp_path / "published" / "kpis.duckdb")
    done = kpi("export", "--data-dir", tmp_path)
    assert done.returncode == 2
    assert "organisation.parquet" in done.stderr
    assert "Copy the whole folder" in done.stderr
    assert not (tmp_path / "published" / "exports").exists()


def test_the_files_are_what_anybody_reads(awkward: Exported) -> None:
    """The text itself, not by the program that wrote it."""
    lines = (awkward.folder / "annotations.csv").read_bytes().decode("utf-8")
    assert lines.splitlines()[0] == "date,text,kpis,audience"
    quoted = HOSTILE.replace('"', '""')
    assert f'2026-01-15,"{quoted}",[],external\n' in lines
    assert '2026-03-01,"","[""a"",""b ' in lines
    assert "\r" not in lines
    values = (awkward.folder / "kpi_values.csv").read_text(encoding="utf-8")
    assert re.search(r",12345678901234567890123456789\.123456789,.*,2026-09-30T23:59:59\.000001Z\n", values)


def test_units_and_descriptions_are_those_of_the_contracts(sample: Exported) -> None:
    with sample.connect() as con:
        comments = dict(con.execute("select table_name, comment from duckdb_tables()").fetchall())
        columns = con.execute(
            "select table_name || '.' || column_name, comment from duckdb_columns() where not internal"
        ).fetchall()
    said = dict(columns)
    units = 0
    for resource in sample.package["resources"]:
        table = resource["path"].split(".")[0]
        assert resource["description"] == comments[table]
        for field in resource["schema"]["fields"]:
            # The database's comments hold both.
            comment = said[f"{table}.{field['name']}"]
            assert field["description"]
            assert field["description"] in comment
            if "unit" in field:
                assert field["unit"] in comment
                units += 1
    assert units > 20


def test_the_descriptor_is_as_the_standard_says(sample: Exported) -> None:
    """By hand from version 2 of the standard; what another program says is the next test."""
    package = sample.package
    assert package["$schema"] == "https://datapackage.org/profiles/2.0/datapackage.json"
    names = [resource["name"] for resource in package["resources"]]
    assert len(set(names)) == len(names)
    for resource in package["resources"]:
        assert resource["$schema"] == "https://datapackage.org/profiles/2.0/dataresource.json"
        assert re.fullmatch(r"[a-z0-9._-]+", resource["name"])
        assert re.fullmatch(r"[a-z_]+\.(csv|parquet)", resource["path"]), "a path below the descriptor"
        assert resource["type"] == "table"
        content = (sample.folder / resource["path"]).read_bytes()
        assert resource["bytes"] == len(content)
        assert resource["hash"] == f"sha256:{hashlib.sha256(content).hexdigest()}"
        schema = resource["schema"]
        fields = [field["name"] for field in schema["fields"]]
        assert len(set(fields)) == len(fields)
        assert set(schema["primaryKey"]) <= set(fields)
        assert schema["primaryKey"]
        for field in schema["fields"]:
            assert field["type"] in FIELD_TYPES
            assert set(field) <= {"name", "type", "description", "unit", "missingValues", "constraints"}
            assert set(field.get("constraints", {})) <= {"required", "enum"}
        if resource["format"] == "csv":
            header = content.split(b"\n", 1)[0].decode("utf-8")
            assert header.split(",") == fields


def test_another_program_finds_the_package_valid(awkward: Exported) -> None:
    """Frictionless reads the descriptor, and the first rows of every table by its types, keys and constraints."""
    assert list(Package.metadata_validate(awkward.package)) == []
    package = Package(str(awkward.folder / "datapackage.json"))
    checked = 0
    for described in package.resources:
        if described.format != "csv":
            continue
        # Hash and length are of whole files, which another test looks at.
        resource = Resource.from_descriptor(
            {key: value for key, value in described.to_descriptor().items() if key not in ("hash", "bytes")},
            basepath=str(awkward.folder),
        )
        report = resource.validate(Checklist(), limit_rows=2_000)
        assert report.valid, (described.name, report.flatten(["rowNumber", "fieldName", "type", "message"])[:5])
        checked += 1
    assert checked == len(PUBLISHED)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.resolve().iterdir()}


def test_the_same_database_gives_the_same_bytes(sample: Exported, tmp_path: Path) -> None:
    """As the nightly run wrote them, and by the command in a process of another time zone, in a folder of any name."""
    # DuckDB would read a pattern and a column out of it.
    published = tmp_path / "member=[a]*" / "published"
    shutil.copytree((sample.published / "kpis.duckdb").resolve().parent, published)
    done = kpi("export", "--data-dir", published.parent, TZ="Pacific/Auckland", PYTHONHASHSEED="4711")
    assert done.returncode == 0, done.stderr
    first, again = contents(sample.folder), contents(published / "exports")
    assert sorted(first) == sorted(again)
    assert [name for name in first if first[name] != again[name]] == []


def test_a_database_of_another_version_is_refused(sample: Exported, tmp_path: Path) -> None:
    (tmp_path / "published").mkdir()
    database = tmp_path / "published" / "kpis.duckdb"
    shutil.copyfile(sample.published / "kpis.duckdb", database)
    with duckdb.connect(str(database)) as con:
        con.execute("alter table exemptions add column more varchar")
    done = kpi("export", "--data-dir", tmp_path)
    assert done.returncode == 2
    assert "exemptions" in done.stderr
    assert "kpi run" in done.stderr
    assert not (tmp_path / "published" / "exports").exists()


def test_without_anything_published_it_says_so(tmp_path: Path) -> None:
    done = kpi("export", "--data-dir", tmp_path)
    assert done.returncode == 2
    assert "kpi run" in done.stderr


def materialized(data: Path, *keys: dg.AssetKey) -> dg.ExecuteInProcessResult:
    """The step that a run makes report and exports by, on what is published in a folder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KPI_CONFIG", str(SAMPLE / "kpi.toml"))
        patch.setenv("KPI_DATA_DIR", str(data))
        return dg.materialize(
            [write_report_and_exports],
            resources={"pipeline": Pipeline()},
            selection=[*keys],
            raise_on_error=False,
        )


@pytest.mark.parametrize(("key", "other"), [(EXPORTS, "site"), (SITE, "exports")])
def test_report_and_exports_can_be_made_apart(key: dg.AssetKey, other: str, sample: Exported, tmp_path: Path) -> None:
    shutil.copytree((sample.published / "kpis.duckdb").resolve().parent, tmp_path / "published")
    result = materialized(tmp_path, key)
    assert [done.asset_key for done in result.asset_materializations_for_node("report")] == [key]
    assert (tmp_path / "published" / key.path[-1]).exists()
    assert not (tmp_path / "published" / other).exists()


def test_exports_that_fail_leave_the_report(sample: Exported, tmp_path: Path) -> None:
    published = tmp_path / "published"
    shutil.copytree((sample.published / "kpis.duckdb").resolve().parent, published)
    (published / "hubs.parquet").unlink()
    result = materialized(tmp_path, SITE, EXPORTS)
    assert not result.success
    (failed,) = [event for event in result.all_events if event.is_step_failure]
    assert "hubs.parquet" in str(failed.step_failure_data.error)
    assert [done.asset_key for done in result.asset_materializations_for_node("report")] == [SITE]
    assert (published / "site" / "internal" / "index.html").exists()
    assert not (published / "exports").exists()
