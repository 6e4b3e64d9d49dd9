"""Projects and tasks completed: whatever the dates, by any period it is what counting them one by one gives, and a
period that has closed stays as it is whatever is completed later.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from fractions import Fraction

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kpi_pipeline import catalog
from kpi_pipeline.contracts import TABLES
from kpi_pipeline.warehouse import create_tables, run, sql

FIRST, AS_OF = date(2025, 12, 20), date(2026, 4, 20)
PROJECTS = catalog.load().kpi("frontend_team.projects_completed_rate")
IN_TIME = catalog.load().kpi("engineering_manager.projects_completed_on_time_rate")
TASKS = catalog.load().kpi("interns.tasks_completed_rate")
TEAMS = {"frontend": ["frontend"], "frontend design": ["frontend design", "frontend"], "devops": ["devops"]}
DAYS = st.integers(0, 130).map(lambda n: FIRST + timedelta(days=n))
Key = tuple[str, str, date, date]
Values = dict[Key, tuple[Fraction | None, int]]


@dataclass(frozen=True)
class Work:
    team: str
    given: date
    due: date | None
    completed: date | None
    off: date | None


@st.composite
def works(draw: st.DrawFn) -> Work:
    given = draw(DAYS)
    after = st.integers(0, 50).map(lambda n: given + timedelta(days=n))
    completed = draw(st.none() | after)
    off = draw(st.none() | after) if completed is None else None
    return Work(draw(st.sampled_from(list(TEAMS))), given, draw(st.none() | after), completed, off)


def published(kpi: catalog.Kpi, all_works: Sequence[Work], as_of: date) -> Values:
    with duckdb.connect() as con:
        create_tables(con, [TABLES[name] for name in ("facts.periods", "facts.projects", "facts.intern_tasks")])
        con.execute(
            f"insert into facts.periods by name {sql('stages', 'periods')}",
            {"first": FIRST, "as_of": as_of, "fiscal_month": 1},
        )
        for number, w in enumerate(all_works):
            days = [w.given, w.due or w.given, w.completed, w.off]
            con.execute(
                "insert into facts.projects values (?, ?, ?, ?, ?, ?, ?, null)", [number, w.team, TEAMS[w.team], *days]
            )
            con.execute(
                "insert into facts.intern_tasks values (?, ?, ?, ?, ?, null)",
                [number, w.given, w.due, w.completed, w.off],
            )
        found = run(
            con,
            f"select grain, member, period_start, period_end, value, n from ({kpi.measure.formula})",
            {**kpi.bound, "as_of": as_of},
        )
    return {(g, m, start, end): (None if value is None else Fraction(value), n) for g, m, start, end, value, n in found}


def spans(as_of: date) -> list[tuple[str, date, date]]:
    """Months, quarters and windows, walking day by day."""
    days = [FIRST + timedelta(days=n) for n in range((as_of - FIRST).days + 1)]
    found = set()
    for day in days:
        found.add((":rolling_30_days", day - timedelta(days=29), day))
        for months in (1, 3):
            start = date(day.year, (day.month - 1) // months * months + 1, 1)
            after = start + timedelta(days=31 * months)
            found.add(("", start, min(after.replace(day=1) - timedelta(days=1), as_of)))
    return sorted(found)


def counted(kpi: catalog.Kpi, all_works: Sequence[Work], grain: str, member: str, as_of: date) -> Values:
    """One by one."""
    of_tasks = kpi is TASKS
    found: Values = {}
    first: date | None = None
    mine = []
    for w in all_works:
        day = w.due or w.given
        if of_tasks and w.due is None and w.off is not None and w.off <= as_of:
            continue
        if not (of_tasks and w.due is None) and w.off is not None and w.off < day:
            continue
        if day > as_of or (grain == "team" and member not in TEAMS[w.team]):
            continue
        mine.append((day, w.completed))
        first = day if first is None else min(first, day)
    for span, start, end in spans(as_of):
        if first is None or end < first:
            continue
        due = [(day, completed) for day, completed in mine if start <= day <= end]
        until = [day if kpi is IN_TIME else end for day, _ in due]
        done = sum(one[1] is not None and one[1] <= last for one, last in zip(due, until, strict=True))
        value = Fraction(round(Fraction(100 * done, len(due)) * 10**9), 10**9) if due else None
        found[grain + span, member, start, end] = value, len(due)
    return found


@pytest.mark.parametrize("kpi", [PROJECTS, IN_TIME, TASKS], ids=lambda kpi: kpi.id)
@given(st.lists(works(), max_size=12))
@settings(max_examples=12, deadline=None)
def test_it_is_what_counting_gives(kpi: catalog.Kpi, all_works: list[Work]) -> None:
    grain, member = kpi.place
    found = {key: value for key, value in published(kpi, all_works, AS_OF).items() if key[1] == member}
    assert found == counted(kpi, all_works, grain, member, AS_OF)


@pytest.mark.parametrize("kpi", [PROJECTS, IN_TIME], ids=lambda kpi: kpi.id)
@given(st.lists(works(), max_size=12), st.integers(0, 60))
@settings(max_examples=12, deadline=None)
def test_what_happens_later_changes_no_period_that_has_closed(
    kpi: catalog.Kpi, all_works: list[Work], back: int
) -> None:
    """As of an earlier day, from a delivery that didn't know the rest yet, what had ended by then was the same."""
    then = AS_OF - timedelta(days=back)

    def known(day: date | None) -> date | None:
        return day if day is not None and day <= then else None

    before = [Work(w.team, w.given, w.due, known(w.completed), known(w.off)) for w in all_works if w.given <= then]
    # By kind: the first 30 days of a month are a month to date then, and a window of 30 days for good.
    closed = set(spans(then)) & set(spans(AS_OF))
    now = published(kpi, all_works, AS_OF)
    for key, value in published(kpi, before, then).items():
        _, colon, span = key[0].partition(":")
        if (colon + span, *key[2:]) in closed:
            assert now[key] == value
