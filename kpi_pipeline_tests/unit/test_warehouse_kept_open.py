"""A warehouse that stays open between the steps of a run: each has its own connection; others wait, or are let in."""

import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from kpi_pipeline.errors import WarehouseError
from kpi_pipeline.warehouse import Warehouse

# Another process that opens the database, and says whether it could.
OTHER = """
import sys
from pathlib import Path
from kpi_pipeline import warehouse
warehouse.LOCK_SECONDS = 0.2
try:
    with warehouse.Warehouse(Path(sys.argv[1]), Path(sys.argv[2])).open() as con:
        print(con.execute("select count(*) from ops.fingerprints").fetchall()[0][0])
except warehouse.WarehouseError as error:
    print("locked" if "another run" in str(error) else error)
"""


@pytest.fixture
def warehouse(tmp_path: Path) -> Warehouse:
    return Warehouse(tmp_path / "warehouse.duckdb", tmp_path / "private" / "spill")


def seen_by_another(warehouse: Warehouse) -> str:
    command = [sys.executable, "-c", OTHER, str(warehouse.path), str(warehouse.spill_dir)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def test_a_step_sees_what_the_one_before_committed_and_not_what_it_left_behind(warehouse: Warehouse) -> None:
    with warehouse.kept_open():
        with warehouse.open() as con:
            con.execute("insert into ops.fingerprints values ('one', '1')")
            con.execute("create temp table leftover as select 1")
            con.execute("set timezone = 'Asia/Tokyo'")
            con.execute("begin")
            con.execute("insert into ops.fingerprints values ('never committed', '2')")
        with warehouse.open() as con:
            assert con.execute("select name from ops.fingerprints").fetchall() == [("one",)]
            assert con.execute("select current_setting('timezone')").fetchall() == [("UTC",)]
            with pytest.raises(duckdb.CatalogException):
                con.execute("from leftover")
    # Closed at the end: whoever comes next finds it whole.
    assert not Path(f"{warehouse.path}.wal").exists()
    assert seen_by_another(warehouse) == "1"


def test_others_wait_until_it_is_let_go(warehouse: Warehouse) -> None:
    with warehouse.kept_open():
        assert seen_by_another(warehouse) == "0"
        with warehouse.open() as con:
            con.execute("insert into ops.fingerprints values ('one', '1')")
        assert seen_by_another(warehouse) == "locked"
        warehouse.let_go()
        assert seen_by_another(warehouse) == "1"
        with warehouse.open() as con:
            con.execute("insert into ops.fingerprints values ('two', '2')")
        assert seen_by_another(warehouse) == "locked"
    assert seen_by_another(warehouse) == "2"


def test_what_was_noted_is_forgotten_as_soon_as_others_could_have_changed_something(warehouse: Warehouse) -> None:
    warehouse.noted().add("before it is kept open")
    with warehouse.kept_open():
        warehouse.noted().add("before it is open")
        with warehouse.open():
            assert warehouse.noted() == set()
            warehouse.noted().add("checked")
        with warehouse.open():
            assert warehouse.noted() == {"checked"}
        warehouse.let_go()
        assert warehouse.noted() == set()
        with warehouse.open():
            assert warehouse.noted() == set()
            warehouse.noted().add("checked")
    assert warehouse.noted() == set()
    with warehouse.kept_open(), warehouse.open():
        assert warehouse.noted() == set()


def test_a_step_that_fails_takes_nothing_else_with_it(warehouse: Warehouse) -> None:
    def fail() -> None:
        with warehouse.open() as con:
            con.execute("begin")
            con.execute("insert into ops.fingerprints values ('half', '1')")
            raise RuntimeError("a step")

    with warehouse.kept_open():
        with pytest.raises(RuntimeError, match="a step"):
            fail()
        with warehouse.open() as con:
            assert con.execute("select count(*) from ops.fingerprints").fetchall() == [(0,)]


def test_without_being_kept_each_opens_it_anew(warehouse: Warehouse) -> None:
    with warehouse.open() as con:
        con.execute("insert into ops.fingerprints values ('one', '1')")
    assert seen_by_another(warehouse) == "1"
    warehouse.let_go()


def test_a_file_that_is_no_database_is_said_to_be_none(warehouse: Warehouse) -> None:
    warehouse.path.write_bytes(b"no database" * 1000)
    with warehouse.kept_open(), pytest.raises(WarehouseError, match="a DuckDB database"), warehouse.open():
        pass
    warehouse.path.unlink()
    with warehouse.open() as con:
        assert con.execute("select count(*) from ops.fingerprints").fetchall() == [(0,)]
