"""Wrong and awkward transactions, registrations and activity: quarantined, or counted as documented."""

from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pytest
from pydantic import SecretStr

from kpi_pipeline.contracts import RECORDS, product
from kpi_pipeline.landing import Landing
from kpi_pipeline.sources.files import list_files
from kpi_pipeline.stages import product as stage
from kpi_pipeline.stages import raw
from kpi_pipeline.stages.checks import evaluate
from kpi_pipeline.stages.checks.product import CHECKS
from kpi_pipeline.warehouse import Connection

from .organisation import AS_OF, FETCHED, SECRET, empty_warehouse, key_of

COUNTS = "attempted_at,product,kind,status,count"
SINGLE = "attempted_at,product,kind,status,transaction_id,updated_at"
REGISTRATIONS = "user,audience,registered_on,closed_on"
ACTIVITY = "date,user"
USERS = "select date, audiences, registered, active from facts.product_users order by all"
TRANSACTIONS = "select date, product, kind, attempted, succeeded, refunded, failed from facts.transactions order by all"


class Drop:
    """Files are dropped, landed, loaded and staged, through the library."""

    def __init__(self, root: Path) -> None:
        self.root = root
        path = root / "warehouse.duckdb"
        path.write_bytes(empty_warehouse())
        self.con: Connection = duckdb.connect(str(path))
        self.con.execute("set timezone = 'UTC'")
        self.con.execute(
            "insert into facts.periods select 'rolling_30_days', d::date - 29, d::date, true "
            "from generate_series(date '2025-05-01', ?::date, interval 1 day) t (d)",
            [AS_OF],
        )
        self.landing = Landing(root / "landing")

    def put(self, source: str, header: str, *rows: str, name: str = "a.csv") -> None:
        folder = self.root / source
        folder.mkdir(exist_ok=True)
        (folder / name).write_text("\n".join([header, *rows]) + "\n")
        self.landing.land(source, "table", list_files(source, folder), FETCHED)

    def run(self) -> None:
        for record in product.RECORDS:
            secret = SecretStr(SECRET) if record.personal else None
            raw.load(self.con, self.landing, RECORDS[record.source], secret, (self.root / record.source).exists())
        stage.make_facts(self.con)

    def query(self, statement: str) -> list[tuple[Any, ...]]:
        return self.con.execute(statement).fetchall()

    def quarantine(self) -> list[tuple[int | None, str]]:
        return self.query("select row, reason from raw.quarantine order by all")

    def warnings(self) -> set[str]:
        return {check.name for check in CHECKS if not evaluate(self.con, check, {}).passed}


@pytest.fixture
def drop(tmp_path: Path) -> Iterator[Drop]:
    made = Drop(tmp_path)
    yield made
    made.con.close()


GOOD = "2025-06-01,Atlas,payment,succeeded,7"
COUNTED = [(date(2025, 6, 1), "atlas", "payment", 7, 7, 0, 0)]


@pytest.mark.parametrize(
    ("header", "row", "reason"),
    [
        (COUNTS, ",Atlas,payment,succeeded,7", "missing:attempted_at"),
        (COUNTS, "01/06/2025 noon,Atlas,payment,succeeded,7", "invalid:attempted_at"),
        (COUNTS, "2025-07-11,Atlas,payment,succeeded,7", "future:attempted_at"),
        (COUNTS, "2025-06-01,,payment,succeeded,7", "missing:product"),
        (COUNTS, "2025-06-01,Atlas,gift,succeeded,7", "invalid:kind"),
        (COUNTS, "2025-06-01,Atlas,payment,maybe,7", "invalid:status"),
        (COUNTS, "2025-06-01,Atlas,payment,,7", "missing:status"),
        (COUNTS, "2025-06-01,Atlas,payment,succeeded,-1", "negative:count"),
        (COUNTS, "2025-06-01,Atlas,payment,succeeded,1.5", "invalid:count"),
        (COUNTS, "2025-06-01,Atlas,payment,succeeded,many", "invalid:count"),
        (f"{COUNTS},transaction_id", "2025-06-01,Atlas,payment,succeeded,2,x", "several_with_one_id"),
        (f"{COUNTS},transaction_id", "2025-06-01,Atlas,payment,succeeded,0,x", "several_with_one_id"),
        (SINGLE, "2025-06-01T10:00Z,Atlas,payment,failed,x,2025-06-01T09:59Z", "updated_before_attempted"),
        (SINGLE, "2025-06-01T10:00Z,Atlas,payment,failed,x,soon", "invalid:updated_at"),
    ],
)
def test_bad_transaction(drop: Drop, header: str, row: str, reason: str) -> None:
    drop.put("transactions", COUNTS, GOOD, name="a.csv")
    drop.put("transactions", header, row, name="b.csv")
    drop.run()
    assert drop.quarantine() == [(1, reason)]
    assert drop.query(TRANSACTIONS) == COUNTED


def test_counts_are_added_up_and_one_without_a_count_is_one(drop: Drop) -> None:
    drop.put("transactions", COUNTS, GOOD, "2025-06-01T23:59:59+02:00, ATLAS ,Payment,Failed,", name="a.csv")
    drop.put("transactions", "attempted_at,product,kind,status", "2025-06-01,atlas,payment,pending", name="b.csv")
    drop.run()
    assert drop.quarantine() == []
    assert drop.query(TRANSACTIONS) == [(date(2025, 6, 1), "atlas", "payment", 9, 7, 0, 1)]
    assert drop.warnings() == {"transaction_counts_are_in_one_file"}


def test_a_moment_counts_on_its_utc_day(drop: Drop) -> None:
    drop.put("transactions", COUNTS, "2025-06-02T00:30:00+02:00,Atlas,payment,succeeded,7")
    drop.run()
    assert drop.query(TRANSACTIONS) == COUNTED


@pytest.mark.parametrize(
    ("states", "expected"),
    [
        # The newest state counts, whichever file or row it is in.
        ([("succeeded", "2025-06-03"), ("pending", "2025-06-02")], (1, 1, 0, 0)),
        ([("succeeded", "2025-06-03"), ("refunded", "2025-06-09")], (1, 1, 1, 0)),
        ([("succeeded", "2025-06-03"), ("succeeded", "2025-06-03")], (1, 1, 0, 0)),
        # Without a moment a state is that of the attempt.
        ([("pending", ""), ("failed", "2025-06-02")], (1, 0, 0, 1)),
        ([("attempted", "")], (1, 0, 0, 0)),
    ],
)
@pytest.mark.parametrize("files", [1, 2])
def test_a_transaction_counts_once_in_its_newest_state(
    drop: Drop, states: list[tuple[str, str]], expected: tuple[int, ...], files: int
) -> None:
    rows = [f"2025-06-01,Atlas,payment,{status},x,{moment}" for status, moment in states]
    for number in range(files):
        drop.put("transactions", SINGLE, *rows[number::files], name=f"{number}.csv")
    drop.run()
    assert drop.quarantine() == []
    assert drop.query(TRANSACTIONS) == [(date(2025, 6, 1), "atlas", "payment", *expected)]
    assert drop.warnings() == set()


def test_states_of_one_moment_that_contradict_each_other_are_rejected(drop: Drop) -> None:
    """The older state counts, until a newer one settles it; of another transaction none is left."""
    rows = [
        "2025-06-01,Atlas,payment,pending,x,2025-06-01",
        "2025-06-01,Atlas,payment,failed,x,2025-06-02",
        "2025-06-01,Atlas,payment,succeeded,x,2025-06-02",
        "2025-06-01,Atlas,payment,failed,y,",
        "2025-06-01,Atlas,consultation,failed,y,",
    ]
    drop.put("transactions", SINGLE, *rows)
    drop.run()
    assert drop.quarantine() == [(row, "contradicting_versions") for row in (2, 3, 4, 5)]
    assert drop.query(TRANSACTIONS) == [(date(2025, 6, 1), "atlas", "payment", 1, 0, 0, 0)]
    assert drop.warnings() == set()
    drop.put("transactions", SINGLE, "2025-06-01,Atlas,payment,succeeded,x,2025-06-03", name="b.csv")
    drop.run()
    assert drop.query(TRANSACTIONS) == [(date(2025, 6, 1), "atlas", "payment", 1, 1, 0, 0)]


GOOD_USER = "zz-alice,b2c,2025-05-01,"
ACTIVE = ("2025-05-01,zz-alice", "2025-05-31,ZZ-Alice ")
# From the 30th day of activity to its newest: active on 30 May by the first day, on 31 May by the second.
ALICE = [(date(2025, 5, day), ["b2c"], 1, 1) for day in (30, 31)]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (",b2c,2025-05-01,", "missing:user"),
        ("zz-bobby,,2025-05-01,", "missing:audience"),
        ("zz-bobby,b2g,2025-05-01,", "invalid:audience"),
        ("zz-bobby,b2c,,", "missing:registered_on"),
        ("zz-bobby,b2c,1 May,", "invalid:registered_on"),
        ("zz-bobby,b2c,2025-07-11,", "future:registered_on"),
        ("zz-bobby,b2c,2025-05-01,never", "invalid:closed_on"),
        ("zz-bobby,b2c,2025-05-02,2025-05-01", "ends_before_it_begins"),
    ],
)
def test_bad_registration(drop: Drop, row: str, reason: str) -> None:
    drop.put("registrations", REGISTRATIONS, GOOD_USER, row)
    drop.put("product_activity", ACTIVITY, *ACTIVE)
    drop.run()
    assert drop.quarantine() == [(2, reason)]
    assert drop.query(USERS) == ALICE


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("2025-05-01,", "missing:user"),
        (",zz-bobby", "missing:date"),
        ("May,zz-bobby", "invalid:date"),
        ("2025-07-11,zz-bobby", "future:date"),
    ],
)
def test_bad_activity(drop: Drop, row: str, reason: str) -> None:
    drop.put("registrations", REGISTRATIONS, GOOD_USER)
    drop.put("product_activity", ACTIVITY, ACTIVE[0], row, ACTIVE[1])
    drop.run()
    assert drop.quarantine() == [(2, reason)]
    assert drop.query(USERS) == ALICE


def test_no_name_of_a_user_gets_beyond_landing(drop: Drop) -> None:
    drop.put("registrations", REGISTRATIONS, GOOD_USER)
    drop.put("product_activity", ACTIVITY, *ACTIVE)
    drop.run()
    assert drop.query("select distinct person_key from raw.product_activity") == [(key_of("zz-alice", "product"),)]
    assert drop.query("select person_key from raw.registrations") == [(key_of("zz-alice", "product"),)]
    drop.con.execute("checkpoint")
    assert b"zz-alice" not in (drop.root / "warehouse.duckdb").read_bytes().lower()


def test_a_registration_with_two_ends_is_rejected_and_one_that_is_there_twice_is_one(drop: Drop) -> None:
    two_ends = ("zz-bobby,b2c,2025-05-01,", "ZZ-Bobby,b2c,2025-05-01,2025-06-01")
    drop.put("registrations", REGISTRATIONS, GOOD_USER, GOOD_USER, *two_ends)
    drop.put("product_activity", ACTIVITY, *ACTIVE, "2025-05-31,zz-bobby")
    drop.run()
    assert drop.quarantine() == [(3, "conflicting_duplicate"), (4, "conflicting_duplicate")]
    assert drop.query(USERS) == ALICE
    assert drop.warnings() == {"activity_is_of_registered_users"}


def test_who_has_closed_is_not_registered_and_comes_back(drop: Drop) -> None:
    """Closed on 30 May, for the other audience too from the 31st, back in June; a later end changes nothing yet."""
    drop.put(
        "registrations",
        REGISTRATIONS,
        *(GOOD_USER + "2025-05-30", "zz-alice,b2c,2025-06-01,2099-01-01", "zz-alice,b2b,2025-05-31,2025-06-02"),
    )
    drop.put("product_activity", ACTIVITY, "2025-05-01,zz-eve", "2025-05-29,zz-alice", "2025-06-03,zz-eve")
    drop.run()
    found = {(day, tuple(cell)): users for day, cell, *users in drop.query(USERS) if users[0]}
    assert found == {
        (date(2025, 5, 31), ("b2b",)): [1, 1],
        (date(2025, 6, 1), ("b2b", "b2c")): [1, 1],
        (date(2025, 6, 2), ("b2c",)): [1, 1],
        (date(2025, 6, 3), ("b2c",)): [1, 1],
    }


def test_activity_of_who_is_not_registered_is_shown_and_not_counted(drop: Drop) -> None:
    """Before registering, and on the day of closing."""
    drop.put(
        "registrations", REGISTRATIONS, GOOD_USER, "zz-bobby,b2c,2025-05-20,2025-06-01", "zz-carol,b2c,2025-06-01,"
    )
    bad = ("2025-05-19,zz-bobby", "2025-06-01,zz-bobby", "2025-05-30,zz-carol", "2025-05-31,zz-nobody")
    drop.put("product_activity", ACTIVITY, *ACTIVE, *bad)
    drop.run()
    assert drop.query(USERS) == [
        (date(2025, 5, 30), ["b2c"], 2, 1),
        (date(2025, 5, 31), ["b2c"], 2, 1),
        (date(2025, 6, 1), ["b2c"], 2, 1),
    ]
    assert drop.warnings() == {"activity_is_of_registered_users"}


def test_a_vanished_user_is_gone_and_vanished_activity_stays(drop: Drop) -> None:
    drop.put("registrations", REGISTRATIONS, GOOD_USER, "zz-bobby,b2b,2025-05-01,")
    drop.put("product_activity", ACTIVITY, ACTIVE[0], name="may.csv")
    drop.put("product_activity", ACTIVITY, ACTIVE[1], name="june.csv")
    drop.run()
    (drop.root / "product_activity" / "may.csv").unlink()
    drop.put("product_activity", ACTIVITY, ACTIVE[1], name="june.csv")
    drop.put("registrations", REGISTRATIONS, GOOD_USER)
    drop.run()
    assert drop.query(USERS) == ALICE


def test_without_30_days_of_activity_there_is_no_value(drop: Drop) -> None:
    drop.put("registrations", REGISTRATIONS, GOOD_USER)
    drop.put("product_activity", ACTIVITY, "2025-05-02,zz-alice", "2025-05-30,zz-alice")
    drop.run()
    assert drop.query(USERS) == []
