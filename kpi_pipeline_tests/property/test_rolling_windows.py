"""Rolling 30 days of times: on every day what a plain walk over the days gives, for random closes and replies."""

from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from fractions import Fraction
from typing import Any
from zoneinfo import ZoneInfo

import duckdb
from hypothesis import example, given, settings
from hypothesis import strategies as st

from kpi_pipeline import catalog
from kpi_pipeline.contracts import TABLES
from kpi_pipeline.settings import BusinessHours
from kpi_pipeline.stages.calendar import fill_calendar
from kpi_pipeline.warehouse import Connection, create_tables, run

FIRST, AS_OF = date(2024, 1, 20), date(2024, 4, 15)  # with a leap day
CLOSES = st.lists(
    st.tuples(st.integers(0, (AS_OF - FIRST).days), st.integers(1, 86_399), st.sampled_from(("a", "b"))), max_size=12
)
Close = tuple[int, int, str]  # day since FIRST, seconds that it took within that day, repository or community
MEASURES = {measure.name: measure for measure in catalog.load().measures}


def windows_of(con: Connection, measure: str, grain: str) -> dict[tuple[date, date], tuple[Any, ...]]:
    rows = run(
        con,
        f"select period_start, period_end, value, n, numerator, denominator from ({MEASURES[measure].formula}) "
        f"where grain = '{grain}:rolling_30_days' and member in ('organisation', 'a')",
        {"as_of": AS_OF},
    )
    found = {row[:2]: row[2:] for row in rows}
    assert len(found) == len(rows)
    return found


def by_hand(closes: Sequence[Close], *, every_day: bool) -> dict[tuple[date, date], tuple[Any, ...]]:
    """Walks through the days of each window: 30 of them, of which the last is the day itself."""
    found = {}
    first = min((FIRST + timedelta(days=day) for day, _, _ in closes), default=None)
    end = first
    while end is not None and end <= AS_OF:
        days = [end - timedelta(days=n) for n in range(30)]
        inside = [Fraction(seconds, 3600) for day, seconds, _ in closes if FIRST + timedelta(days=day) in days]
        if inside or every_day:
            mean = sum(inside) / len(inside) if inside else None
            found[days[-1], days[0]] = (mean, len(inside), sum(inside) if inside else None, len(inside) or None)
        end += timedelta(days=1)
    return found


def assert_same(
    found: dict[tuple[date, date], tuple[Any, ...]], truth: dict[tuple[date, date], tuple[Any, ...]]
) -> None:
    assert sorted(found) == sorted(truth)
    for window, (value, n, numerator, denominator) in found.items():
        mean, count, total, parts = truth[window]
        assert (n, denominator or None) == (count, parts), window
        for mine, other in ((value, mean), (numerator, total)):
            assert (mine is None) == (other is None), window
            assert other is None or abs(Fraction(mine) - other) <= Fraction(1, 2 * 10**9), window


def warehouse(con: Connection, *names: str) -> None:
    create_tables(con, [TABLES[name] for name in ("facts.periods", "facts.business_hours", *names)])
    fill_calendar(con, FIRST, AS_OF, BusinessHours(), ZoneInfo("UTC"), 1)


def moments(close: Close) -> tuple[datetime, datetime]:
    day, seconds, _ = close
    begin = datetime.combine(FIRST + timedelta(days=day), time())
    return begin, begin + timedelta(seconds=seconds)


# 31 January and 29 February are 29 days apart, so in one window; 31 January and 1 March aren't.
EDGES = [(11, 3600, "a"), (40, 7200, "a"), (41, 1, "b"), (85, 86_399, "a")]


@settings(max_examples=40, deadline=None)
@example(EDGES)
@given(CLOSES)
def test_issue_completion(closes: list[Close]) -> None:
    with duckdb.connect() as con:
        warehouse(con, "facts.issue_open", "facts.issue_assigned")
        for number, close in enumerate(closes):
            begin, end = moments(close)
            con.execute(
                "insert into facts.issue_open by name select ? as repository, ? as number, ? as from_at, ? as to_at, "
                "'completed' as ended_by",
                [close[2], number, begin, end],
            )
            con.execute("insert into facts.issue_assigned values (?, ?, ?, null)", [close[2], number, begin])
        everything = windows_of(con, "issue_completion_time", "organisation")
        of_a = windows_of(con, "issue_completion_time", "repository")
    assert_same(everything, by_hand(closes, every_day=True))
    assert_same(of_a, by_hand([close for close in closes if close[2] == "a"], every_day=False))


@settings(max_examples=40, deadline=None)
@example(EDGES)
@given(CLOSES)
def test_ticket_turnaround(closes: list[Close]) -> None:
    with duckdb.connect() as con:
        warehouse(con, "facts.tickets")
        for number, close in enumerate(closes):
            begin, end = moments(close)
            con.execute(
                "insert into facts.tickets by name select ? as ticket_id, ? as created_at, ? as community, "
                "'p' as product, 1 as priority, ? as replied_at, ? as reply_seconds, 0 as reply_business_seconds",
                [number, begin, close[2], end, close[1]],
            )
        everything = windows_of(con, "ticket_turnaround_time", "organisation")
        of_a = windows_of(con, "ticket_turnaround_time", "community")
    assert_same(everything, by_hand(closes, every_day=True))
    assert_same(of_a, by_hand([close for close in closes if close[2] == "a"], every_day=False))


def test_the_first_day_of_a_window_is_in_it_and_the_day_before_is_not() -> None:
    """What the walk itself says of leap day: D-29 counts, D-30 doesn't."""
    truth = by_hand(EDGES, every_day=True)
    assert truth[date(2024, 1, 31), date(2024, 2, 29)][1] == 2
    assert truth[date(2024, 2, 1), date(2024, 3, 1)][1] == 2
    assert truth[date(2024, 2, 29), date(2024, 3, 29)][1] == 2
    assert truth[date(2024, 3, 1), date(2024, 3, 30)][1] == 1
    assert truth[date(2024, 3, 2), date(2024, 3, 31)][1] == 0
