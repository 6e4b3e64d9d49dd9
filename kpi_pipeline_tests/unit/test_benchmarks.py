"""What is measured is right: every contender gives the engine's numbers, and wrong ones are found out."""

from pathlib import Path

import duckdb
import pytest

from benchmarks import comparison, metric_layer, report
from benchmarks.contenders import CONTENDERS, Contender, Task
from benchmarks.data import LAST, NIGHTS, write_user_days

DAYS = 70


@pytest.fixture(scope="module")
def user_days(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("benchmarks") / "user_days"
    write_user_days(folder, 8_000, DAYS)
    return folder


def quiet(_: str) -> None:
    pass


@pytest.mark.parametrize("name", CONTENDERS)
def test_a_contender_gives_the_same_numbers(user_days: Path, tmp_path: Path, name: str) -> None:
    found = comparison.compare(user_days, tmp_path, DAYS, quiet, (name,))
    assert list(found["contenders"]) == [name]


def one_too_many(task: Task) -> None:
    CONTENDERS["unnest"].count(task)
    with duckdb.connect() as con:
        con.execute(f"create table counted as from '{task.result}'")
        con.execute("update counted set mau = mau + 1 where date = (select max(date) from counted) and cell = 3")
        con.execute(f"copy counted to '{task.result}' (format parquet)")


def test_wrong_numbers_are_found_out(user_days: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(CONTENDERS, "wrong", Contender("one too many", one_too_many))
    with pytest.raises(comparison.WrongNumbersError, match="one too many: 2 rows differ"):
        comparison.compare(user_days, tmp_path, DAYS, quiet, ("wrong",))


def test_generated_days_are_what_they_are_said_to_be(user_days: Path) -> None:
    with duckdb.connect() as con:
        rows, keys, first, last = con.execute(
            "select count(*), count(distinct (date, cell, person_key)), min(date), max(date) "
            f"from '{user_days}/*.parquet'"
        ).fetchall()[0]
        nights = con.execute(f"select min(date), count(distinct date) from '{user_days}/nights/*.parquet'").fetchall()
    assert rows == keys
    assert (last, (last - first).days + 1) == (LAST, DAYS)
    assert nights[0][1] == NIGHTS
    assert nights[0][0] > LAST


def test_the_kept_sql_is_what_metricflow_generates() -> None:
    assert metric_layer.GENERATED.read_text(encoding="utf-8") == metric_layer.generate()


def test_the_page_has_its_generated_part() -> None:
    text = report.PAGE.read_text(encoding="utf-8")
    assert text.index(report.BEGIN) < text.index(report.END)
