"""Work on several connections at a time: results in order, what is committed is seen, and errors end it."""

import threading
import time
from collections.abc import Iterator

import duckdb
import pytest

from kpi_pipeline.warehouse import Connection, one_thread_each, side_by_side


@pytest.fixture
def con() -> Iterator[Connection]:
    with duckdb.connect() as con:
        con.execute("create table seen (number integer)")
        yield con


def test_results_come_in_order_however_long_each_takes(con: Connection) -> None:
    second_is_done = threading.Event()

    def work(own: Connection, number: int) -> int:
        if number == 1:
            assert second_is_done.wait(10)
        own.execute("insert into seen values (?)", [number])
        if number == 2:
            second_is_done.set()
        return number * 10

    assert list(side_by_side(con, work, [1, 2, 3], 2)) == [10, 20, 30]
    assert con.execute("from seen order by all").fetchall() == [(1,), (2,), (3,)]


def test_no_more_than_so_many_at_a_time(con: Connection) -> None:
    used: set[int] = set()

    def work(own: Connection, _: int) -> None:
        used.add(id(own))
        own.execute("select 1")

    list(side_by_side(con, work, range(20), 3))
    assert len(used) <= 3


def test_temporary_tables_are_of_one_connection(con: Connection) -> None:
    con.execute("create temp table mine as select 1 as x")

    def work(own: Connection, _: int) -> int:
        (found,) = own.execute("select count(*) from duckdb_tables() where table_name = 'mine'").fetchall()
        return int(found[0])

    assert list(side_by_side(con, work, [1], 1)) == [0]


def test_the_first_error_ends_it_after_what_came_before(con: Connection) -> None:
    def work(own: Connection, number: int) -> int:
        if number == 3:
            raise ValueError(number)
        time.sleep(0.01)
        own.execute("insert into seen values (?)", [number])
        return number

    results = side_by_side(con, work, range(1, 100), 2)
    assert [next(results), next(results)] == [1, 2]
    with pytest.raises(ValueError, match="3"):
        next(results)
    assert con.execute("select count(*) < 50 from seen").fetchall() == [(True,)]
    # The connection that it came from is as it was.
    con.execute("insert into seen values (1000)")


def test_who_stops_listening_ends_it(con: Connection) -> None:
    def work(own: Connection, number: int) -> int:
        own.execute("insert into seen values (?)", [number])
        return number

    results = side_by_side(con, work, range(1000), 2)
    assert next(results) == 0
    results.close()
    threads = [thread for thread in threading.enumerate() if thread.name.startswith("ThreadPool") and thread.is_alive()]
    assert threads == []


def test_one_thread_each_is_taken_back_whatever_happens(con: Connection) -> None:
    def threads(own: Connection, _: int = 0) -> int:
        return int(own.execute("select current_setting('threads')").fetchall()[0][0])

    def fail() -> None:
        with one_thread_each(con) as at_once:
            assert at_once == 4
            assert list(side_by_side(con, threads, range(at_once), at_once)) == [1, 1, 1, 1]
            raise ValueError("wrong")

    con.execute("set threads = 3")
    with pytest.raises(ValueError, match="wrong"):
        fail()
    assert threads(con) == 3
