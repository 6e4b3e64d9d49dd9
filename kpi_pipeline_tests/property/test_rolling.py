"""The rolling engine against brute force: sets of people, day by day, for any history and any order of updates."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from uuid import UUID

import duckdb
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from kpi_pipeline import rolling
from kpi_pipeline.contracts import WAREHOUSE
from kpi_pipeline.rolling import engine
from kpi_pipeline.warehouse import Connection, create_tables, run, sql

Row = tuple[date, int, int]  # day, cell, person
# Cells 0 and 1 are one hub before and after a change of community; cell 2 serves two communities; 3 stands alone.
MEMBERS: dict[tuple[str, str], frozenset[int]] = {
    ("organisation", "organisation"): frozenset({0, 1, 2, 3}),
    ("hub", "a/one"): frozenset({0, 1}),
    ("hub", "a/two"): frozenset({2}),
    ("hub", "b/three"): frozenset({3}),
    ("cluster", "a"): frozenset({0, 1, 2}),
    ("cluster", "b"): frozenset({3}),
    ("hub_type", "research"): frozenset({0, 3}),
    ("hub_type", "education"): frozenset({1, 2}),
    ("community", "x"): frozenset({0, 2}),
    ("community", "y"): frozenset({1, 2, 3}),
}
LEAP = date(2024, 2, 29)
# Gaps at and around both window edges, over a leap day and a year's end.
OFFSETS = [0, 1, 5, 6, 7, 8, 28, 29, 30, 31, 32, 59, 60, 61, 90, 120]
days = st.sampled_from([date(2023, 12, 20) + timedelta(days=n) for n in OFFSETS] + [LEAP, LEAP + timedelta(days=30)])
rows = st.tuples(days, st.integers(0, 3), st.integers(1, 5))
histories = st.sets(rows, max_size=40)
THROUGH = date(2024, 6, 30)
slow = settings(max_examples=50, deadline=None, suppress_health_check=list(HealthCheck))


@contextmanager
def an_engine() -> Iterator[Connection]:
    with duckdb.connect() as con:
        create_tables(con, [table for table in WAREHOUSE if table.schema == "facts"])
        for number, ((grain, member), cells) in enumerate(MEMBERS.items()):
            con.execute("insert into facts.members values (?, ?, ?)", [number, grain, member])
            con.executemany("insert into facts.cell_members values (?, ?)", [(cell, number) for cell in cells])
        yield con


def update(con: Connection, history: set[Row], changed: set[date], through: date = THROUGH) -> rolling.Change:
    """Tells the engine what the changed days hold. Afterwards first_seen has one row for each cell and person."""
    con.execute("create or replace temp table given_rows (date date, cell integer, person_key uuid)")
    if held := [(day, cell, UUID(int=person)) for day, cell, person in history if day in changed]:
        con.executemany("insert into given_rows values (?, ?, ?)", held)
    change = rolling.update(con, sorted(changed), "select * from given_rows", through)
    first_days = "select cell, person_key, min(date) from facts.user_days group by all order by all"
    assert (
        con.execute("select cell, person_key, first_date from facts.first_seen order by all").fetchall()
        == con.execute(first_days).fetchall()
    )
    return change


def active_users(con: Connection) -> dict[tuple[date, str, str], tuple[int, ...]]:
    found = con.execute('select date, grain, member, dau, wau, mau, new, "returning", lapsed from facts.active_users')
    result = found.fetchall()
    assert len({row[:3] for row in result}) == len(result)
    return {(row[0], row[1], row[2]): row[3:] for row in result}


def brute_force(history: set[Row], through: date = THROUGH) -> dict[tuple[date, str, str], tuple[int, ...]]:
    """Distinct people by looking at every window of every day."""
    expected = {}
    for (grain, member), cells in MEMBERS.items():
        seen: dict[date, set[int]] = {}
        for day, cell, person in history:
            if cell in cells:
                seen.setdefault(day, set()).add(person)
        ever: set[int] = set()
        day = min(seen, default=through + timedelta(days=1))
        while day <= through:
            today = seen.get(day, set())

            def within(first: int, last: int, day: date = day, seen: dict[date, set[int]] = seen) -> set[int]:
                """People seen from `first` to `last` days ago, both included."""
                return set().union(*(seen.get(day - timedelta(days=n), set()) for n in range(first, last + 1)))

            new = today - ever
            returning = today - new - within(1, 29)
            lapsed = seen.get(day - timedelta(days=30), set()) - within(1, 29)
            counts = (today, within(0, 6), within(0, 29), new, returning, lapsed)
            expected[day, grain, member] = tuple(len(people) for people in counts)
            ever |= today
            day += timedelta(days=1)
    return expected


@slow
@given(histories)
@example({(LEAP, 0, 1), (LEAP + timedelta(days=30), 1, 1)})
@example({(LEAP, 0, 1), (LEAP + timedelta(days=29), 2, 1), (LEAP + timedelta(days=60), 3, 1)})
def test_all_at_once_equals_brute_force(history: set[Row]) -> None:
    with an_engine() as con:
        change = update(con, history, {day for day, _, _ in history})
        assert change.added == len(history)
        assert active_users(con) == brute_force(history)


@slow
@given(histories, st.randoms(use_true_random=False))
def test_any_order_of_days_equals_all_at_once(history: set[Row], chance: object) -> None:
    """Day by day, late days and backfills of several days in any order; each by the difference alone."""
    by_day = sorted({day for day, _, _ in history})
    chance.shuffle(by_day)  # type: ignore[attr-defined]
    with an_engine() as con, never_rebuilding():
        while by_day:
            size = chance.randint(1, 3)  # type: ignore[attr-defined]
            changed, by_day = set(by_day[:size]), by_day[size:]
            update(con, history, changed)
        assert active_users(con) == brute_force(history)


@slow
@given(histories, st.lists(st.tuples(st.sets(days, min_size=1, max_size=4), histories), max_size=4), st.booleans())
def test_days_landed_again_are_restated(
    history: set[Row], relanded: list[tuple[set[date], set[Row]]], rebuild: bool
) -> None:
    """A day that is delivered again replaces what it held: rows come and go, first days move in both directions."""
    with an_engine() as con, never_rebuilding() if not rebuild else always_rebuilding():
        update(con, history, {day for day, _, _ in history})
        for changed, content in relanded:
            history = {r for r in history if r[0] not in changed} | {r for r in content if r[0] in changed}
            update(con, history, changed)
        expected = brute_force(history)
        assert active_users(con) == expected
        # Nothing is left over in the state that a later day would stumble on.
        later = THROUGH + timedelta(days=1)
        update(con, history | {(later, 0, 1)}, {later}, later)
        assert active_users(con) == brute_force(history | {(later, 0, 1)}, later)


@slow
@given(histories, st.integers(1, 12))
def test_quiet_days_pass_too(history: set[Row], quiet: int) -> None:
    """Without any new row, people lapse and windows empty as days go by, whether in one step or one by one."""
    last = max((day for day, _, _ in history), default=LEAP) + timedelta(days=25)
    end = last + timedelta(days=quiet)
    with an_engine() as con:
        update(con, history, {day for day, _, _ in history}, last)
        for n in range(1, quiet + 1):
            update(con, set(), set(), last + timedelta(days=n))
        assert active_users(con) == brute_force(history, end)


@slow
@given(histories, st.lists(st.tuples(st.sets(days, min_size=1, max_size=6), days), min_size=1, max_size=5))
def test_days_after_the_as_of_wait_for_their_turn(history: set[Row], nights: list[tuple[set[date], date]]) -> None:
    """Data may be ahead of the as-of day (today's, half full); it must neither count early nor be lost later."""
    with an_engine() as con, never_rebuilding():
        landed = set[date]()
        for changed, as_of in nights:
            landed |= changed
            update(con, history, changed, as_of)
            found = {key: counts for key, counts in active_users(con).items() if key[0] <= as_of}
            assert found == brute_force({row for row in history if row[0] in landed}, as_of)
        update(con, history, {day for day, _, _ in history})
        assert active_users(con) == brute_force(history)


def test_the_same_day_again_changes_nothing() -> None:
    history = {(LEAP, 0, 1), (LEAP, 2, 2)}
    with an_engine() as con:
        update(con, history, {LEAP})
        before = active_users(con)
        assert update(con, history, {LEAP}) == rolling.Change()
        assert active_users(con) == before


def test_the_newest_day_again_and_the_day_before_it_late() -> None:
    before, newest = LEAP, LEAP + timedelta(days=1)
    first = {(newest, 0, 1), (newest, 2, 2)}
    again = {(newest, 0, 1), (newest, 3, 3)}
    late = again | {(before, 0, 1), (before, 2, 4)}
    with an_engine() as con, never_rebuilding():
        for history, day in ((first, newest), (again, newest), (late, before)):
            update(con, history, {day}, newest)
            assert active_users(con) == brute_force(history, newest)


@pytest.mark.parametrize(("gap", "returning", "lapsed_on_return"), [(29, 0, 0), (30, 1, 1), (31, 1, 0)])
def test_a_gap_of_exactly_30_days_lapses_and_returns_on_one_day(
    gap: int, returning: int, lapsed_on_return: int
) -> None:
    """Worked by hand. MAU stays 1 at 29 and 30 days; at 31 there is one day, day 30, without anybody."""
    back = LEAP + timedelta(days=gap)
    with an_engine() as con:
        update(con, {(LEAP, 3, 1), (back, 3, 1)}, {LEAP, back})
        found = active_users(con)
        dau, wau, mau, new, came_back, lapsed = found[back, "organisation", "organisation"]
        assert (dau, wau, mau, new, came_back, lapsed) == (1, 1, 1, 0, returning, lapsed_on_return)
        assert found[LEAP + timedelta(days=30), "organisation", "organisation"][2] == (0 if gap == 31 else 1)


@contextmanager
def never_rebuilding() -> Iterator[None]:
    yield from _with_share(float("inf"))


@contextmanager
def always_rebuilding() -> Iterator[None]:
    yield from _with_share(-1.0)


def _with_share(share: float) -> Iterator[None]:
    patch = pytest.MonkeyPatch()
    patch.setattr(engine, "REBUILD_SHARE", share)
    try:
        yield
    finally:
        patch.undo()


@pytest.mark.parametrize(
    ("day", "is_newest", "near_days"),
    [
        (date(2024, 3, 8), False, 7),  # there are days after it
        (date(2024, 3, 11), True, 4),  # Monday: Friday is 3 days away, Saturday had less than half of its people
        (date(2024, 3, 12), True, 2),  # Tuesday: Monday had half of Friday's
        (date(2024, 3, 14), True, 4),  # Thursday, after two empty days
        (date(2024, 4, 30), True, 7),  # nobody in the week before
    ],
)
def test_people_are_looked_for_back_to_the_last_busy_day(day: date, is_newest: bool, near_days: int) -> None:
    people = {4: 10, 5: 10, 6: 10, 7: 10, 8: 10, 9: 4, 11: 5}
    history = {(date(2024, 3, number), 0, person) for number, many in people.items() for person in range(many)}
    with an_engine() as con:
        update(con, history, {when for when, _, _ in history})
        assert run(con, sql("rolling", "near_days"), {**engine.WINDOWS, "day": day}) == [(is_newest, near_days)]
