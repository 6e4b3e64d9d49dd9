"""Wrong and awkward ceremonies, projects and tasks of interns: quarantined, or counted as documented."""

from collections.abc import Iterator
from datetime import date, datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest

from kpi_pipeline.contracts import delivery
from kpi_pipeline.landing import Landing
from kpi_pipeline.sources.files import list_files
from kpi_pipeline.stages import delivery as stage
from kpi_pipeline.stages import raw
from kpi_pipeline.stages.checks import newest_data
from kpi_pipeline.warehouse import Connection, scalar

from .organisation import FETCHED, empty_warehouse

HEADERS = {
    "ceremonies": "date,team,kind,expected,attended",
    "projects": "project,team,planned_on,due_on,completed_on,cancelled_on,people",
    "intern_tasks": "task,given_on,due_on,completed_on,withdrawn_on,interns",
}
GOOD = {
    "ceremonies": "2025-06-02,Frontend,stand-up,5,4",
    "projects": "Sign-in  Page,Frontend,2025-05-01,2025-06-20,2025-06-19,,3",
    "intern_tasks": "T-1,2025-06-02,2025-06-10,2025-06-09,,5",
}


class Drop:
    """Files are dropped, landed, loaded and staged, through the library."""

    def __init__(self, root: Path) -> None:
        self.root = root
        path = root / "warehouse.duckdb"
        path.write_bytes(empty_warehouse())
        self.con: Connection = duckdb.connect(str(path))
        self.con.execute("insert into staged.teams values ('frontend', 'tech', ['frontend', 'tech'])")
        self.landing = Landing(root / "landing")

    def put(self, source: str, *rows: str, header: str = "", name: str = "a.csv", at: datetime = FETCHED) -> None:
        folder = self.root / source
        folder.mkdir(exist_ok=True)
        (folder / name).write_text("\n".join([header or HEADERS[source], *rows]) + "\n")
        self.landing.land(source, "table", list_files(source, folder), at)

    def run(self) -> None:
        for record in delivery.RECORDS:
            raw.load(self.con, self.landing, record, None, (self.root / record.source).exists())
        stage.make_facts(self.con)

    def query(self, statement: str) -> list[tuple[Any, ...]]:
        return self.con.execute(statement).fetchall()

    def quarantine(self) -> list[tuple[int | None, str]]:
        return self.query("select row, reason from raw.quarantine order by all")


@pytest.fixture
def drop(tmp_path: Path) -> Iterator[Drop]:
    made = Drop(tmp_path)
    yield made
    made.con.close()


# FETCHED is 10 July 2025.
BAD = {
    ("ceremonies", "2025-06-03,frontend,stand-up,-1,-1"): "negative:expected",
    ("ceremonies", "2025-06-03,frontend,stand-up,5,-1"): "negative:attended",
    ("ceremonies", "2025-06-03,frontend,stand-up,4,5"): "more_than_expected",
    ("ceremonies", "2025-06-03,frontend,party,4,4"): "invalid:kind",
    ("ceremonies", "2025-07-11,frontend,stand-up,4,4"): "future:date",
    ("ceremonies", "2025-06-03, ,stand-up,4,4"): "missing:team",
    ("ceremonies", "2025-06-03,frontend,stand-up,4.5,4"): "invalid:expected",
    ("projects", " ,frontend,,2025-06-20,,,"): "missing:project",
    ("projects", "b,,,2025-06-20,,,"): "missing:team",
    ("projects", "b,frontend,,,,,"): "missing:due_on",
    ("projects", "b,frontend,,20/06/2025,,,"): "invalid:due_on",
    ("projects", "b,frontend,,2025-06-20,yes,,"): "invalid:completed_on",
    ("projects", "b,frontend,,2025-06-20,2025-07-11,,"): "future:completed_on",
    ("projects", "b,frontend,,2025-06-20,,2025-07-11,"): "future:cancelled_on",
    ("projects", "b,frontend,2025-07-11,2025-08-20,,,"): "future:planned_on",
    ("projects", "b,frontend,,2025-06-20,,,-1"): "negative:people",
    ("projects", "b,frontend,,2025-06-20,,,two"): "invalid:people",
    ("projects", "b,frontend,,2025-06-20,2025-06-20,2025-06-20,"): "completed_and_cancelled",
    ("projects", "b,frontend,2025-06-21,2025-06-20,,,"): "before_it_was_planned",
    ("projects", "b,frontend,2025-06-10,2025-06-20,2025-06-09,,"): "before_it_was_planned",
    ("projects", "b,frontend,2025-06-10,2025-06-20,,2025-06-09,"): "before_it_was_planned",
    ("intern_tasks", ",2025-06-02,,,,"): "missing:task",
    ("intern_tasks", "b,,2025-06-10,,,"): "missing:given_on",
    ("intern_tasks", "b,2025-07-11,,,,"): "future:given_on",
    ("intern_tasks", "b,2025-06-02,,2025-07-11,,"): "future:completed_on",
    ("intern_tasks", "b,2025-06-02,,,2025-07-11,"): "future:withdrawn_on",
    ("intern_tasks", "b,2025-06-02,,,,-1"): "negative:interns",
    ("intern_tasks", "b,2025-06-02,,2025-06-03,2025-06-03,"): "completed_and_withdrawn",
    ("intern_tasks", "b,2025-06-02,2025-06-01,,,"): "before_it_was_given",
    ("intern_tasks", "b,2025-06-02,,2025-06-01,,"): "before_it_was_given",
    ("intern_tasks", "b,2025-06-02,,,2025-06-01,"): "before_it_was_given",
}


@pytest.mark.parametrize(("source", "row"), BAD)
def test_a_bad_row_is_quarantined_and_the_good_one_counts(drop: Drop, source: str, row: str) -> None:
    drop.put(source, row, GOOD[source])
    drop.run()
    assert drop.quarantine() == [(1, BAD[source, row])]
    assert drop.query(f"select count(*) from facts.{source}") == [(1,)]


def test_every_rule_has_a_bad_row() -> None:
    rules = {(record.source, reason) for record in delivery.RECORDS for reason, _ in record.rules}
    assert rules <= {(source, reason) for (source, _), reason in BAD.items()}


@pytest.mark.parametrize("column", ["intern", "name", "assignee"])
def test_a_file_that_names_interns_is_rejected_whole(drop: Drop, column: str) -> None:
    drop.put("intern_tasks", f"{GOOD['intern_tasks']},zz-ada", header=f"{HEADERS['intern_tasks']},{column}")
    drop.run()
    assert drop.quarantine() == [(None, "wrong_columns")]
    assert drop.query("from facts.intern_tasks") == []
    drop.con.execute("checkpoint")
    assert b"zz-ada" not in (drop.root / "warehouse.duckdb").read_bytes()


def test_a_file_without_the_days_of_completion_is_rejected(drop: Drop) -> None:
    """Else everything would look unfinished."""
    drop.put("projects", "a,frontend,2025-06-20", header="project,team,due_on")
    drop.put("intern_tasks", "a,2025-06-20", header="task,given_on")
    drop.run()
    assert drop.quarantine() == [(None, "wrong_columns"), (None, "wrong_columns")]


def test_optional_columns_may_be_missing(drop: Drop) -> None:
    drop.put("projects", "a,frontend,2025-06-20,", header="project,team,due_on,completed_on")
    drop.put("intern_tasks", "a,2025-06-20,2025-06-21", header="task,given_on,completed_on")
    drop.run()
    assert drop.quarantine() == []
    assert drop.query("select project, due_on, people from facts.projects") == [("a", date(2025, 6, 20), None)]
    assert drop.query("select task, completed_on, interns from facts.intern_tasks") == [("a", date(2025, 6, 21), None)]


def test_names_are_compared_without_capitals_and_extra_whitespace(drop: Drop) -> None:
    drop.put(
        "projects",
        GOOD["projects"],
        " sign-in page , FRONTEND ,2025-05-01,2025-06-20,2025-06-19,,3",
        "New,x,,2026-06-20,,,",
    )
    drop.run()
    assert drop.quarantine() == []
    assert drop.query("select project, team, teams, due_on from facts.projects order by 1") == [
        ("new", "x", ["x"], date(2026, 6, 20)),
        ("sign-in page", "frontend", ["frontend", "tech"], date(2025, 6, 20)),
    ]


@pytest.mark.parametrize(
    ("source", "other"),
    [
        ("projects", "SIGN-IN page,Frontend,2025-05-01,2025-06-20,,,3"),
        ("projects", "sign-in page,mobile,2025-05-01,2025-06-20,2025-06-19,,3"),
        ("projects", "sign-in page,Frontend,2025-05-01,2025-06-20,2025-06-19,,"),
        ("intern_tasks", "t-1,2025-06-02,2025-06-10,,,5"),
        ("intern_tasks", "t-1,2025-06-02,,2025-06-09,,5"),
    ],
)
def test_rows_that_contradict_each_other_are_all_quarantined(drop: Drop, source: str, other: str) -> None:
    drop.put(source, GOOD[source], GOOD[source], name="a.csv")
    drop.put(source, other, name="b.csv")
    drop.run()
    assert drop.query("select file, row, reason, stage from raw.quarantine order by all") == [
        ("a.csv", 1, "conflicting_duplicate", "staged"),
        ("a.csv", 2, "conflicting_duplicate", "staged"),
        ("b.csv", 1, "conflicting_duplicate", "staged"),
    ]
    assert drop.query(f"from facts.{source}") == []
    drop.put(source, name="b.csv", at=FETCHED.replace(hour=7))  # taken out
    drop.run()
    assert drop.quarantine() == []
    assert drop.query(f"select count(*) from facts.{source}") == [(1,)]


def test_the_newest_delivery_is_all_there_is(drop: Drop) -> None:
    drop.put("projects", GOOD["projects"], "old,frontend,,2025-06-01,,,")
    drop.run()
    drop.put("projects", "Sign-in page,Frontend,2025-05-01,2025-09-30,,,3", at=FETCHED.replace(hour=7))
    drop.run()
    assert drop.query("select project, due_on, completed_on from facts.projects") == [
        ("sign-in page", date(2025, 9, 30), None)
    ]


def test_a_file_that_nobody_brings_up_to_date_grows_old_though_dates_in_it_pass(drop: Drop) -> None:
    drop.put("projects", "a,frontend,2025-03-01,2025-06-20,,,", "b,frontend,,2025-06-21,,,")
    drop.put("intern_tasks", "a,2025-03-02,2025-06-20,,,")
    drop.run()
    as_of = {"as_of": date(2025, 6, 30)}
    assert scalar(drop.con, newest_data("projects"), as_of) == date(2025, 3, 1)
    assert scalar(drop.con, newest_data("intern_tasks"), as_of) == date(2025, 3, 2)
