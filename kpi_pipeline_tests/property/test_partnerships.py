"""New partners, and the share of those onboarded that build, compared with looking at each partner day by day."""

from collections.abc import Sequence
from datetime import date, timedelta
from fractions import Fraction

import duckdb
from hypothesis import given, settings
from hypothesis import strategies as st

from kpi_pipeline import catalog
from kpi_pipeline.contracts import TABLES
from kpi_pipeline.warehouse import create_tables, run, sql

START = date(2026, 1, 1)
DAYS = 40
PERIODS = [("month", 0, 30, True), ("month", 31, 39, False), ("quarter", 0, 39, False)]
NAMES = ("reef", "kelp", "sand")
KINDS = ("adopter", "sponsor", "other")
MEASURES = {measure.name: measure for measure in catalog.load().measures}
OFFSETS = st.one_of(st.none(), st.integers(0, 45))


@st.composite
def rows(draw: st.DrawFn) -> tuple[str, str, int, int | None, int | None, int | None, int | None]:
    """partner, kind, and days from the start: established, onboarded, building from and to, ended."""
    established = draw(st.integers(0, DAYS - 1))
    ended = draw(st.one_of(st.none(), st.integers(established, 60)))
    onboarded = draw(st.one_of(st.none(), st.integers(established, 45 if ended is None else ended)))
    building = draw(OFFSETS)
    stopped = draw(st.integers(building, 60)) if building is not None and draw(st.booleans()) else None
    return draw(st.sampled_from(NAMES)), draw(st.sampled_from(KINDS)), established, onboarded, building, stopped, ended


Row = tuple[str, str, int, int | None, int | None, int | None, int | None]


def day(offset: int | None) -> date | None:
    return None if offset is None else START + timedelta(days=offset)


def state(listed: Sequence[Row], partner: str, evening: int) -> tuple[bool, bool] | None:
    """Whether a partner is onboarded, and builds, by its newest partnership that has begun; None: it has none."""
    begun = [row for row in listed if row[0] == partner and row[2] <= evening]
    if not begun:
        return None
    newest = max(row[2] for row in begun)
    *_, onboarded, building, stopped, ended = [row for row in begun if row[2] == newest][-1]
    is_onboarded = onboarded is not None and onboarded <= evening and (ended is None or evening < ended)
    is_building = building is not None and building <= evening and (stopped is None or evening < stopped)
    return is_onboarded, is_onboarded and is_building


@settings(max_examples=120, deadline=None)
@given(st.lists(rows(), min_size=1, max_size=9))
def test_partners_at_the_end_of_a_period_and_new_ones_in_it(listed: list[Row]) -> None:
    rate, new = MEASURES["onboarded_partners_building_rate"], MEASURES["technical_partnerships_established"]
    own = {"own_grain": "organisation", "own_member": "organisation", "scope": [["kind=adopter", "kind=sponsor"]]}
    bound = {"as_of": START + timedelta(days=DAYS - 1)}
    with duckdb.connect() as con:
        create_tables(con, [TABLES[name] for name in ("raw.partners", "facts.partnerships", "facts.periods")])
        for number, (partner, kind, *offsets) in enumerate(listed):
            values = [f" {partner.upper()} " if number % 2 else partner, kind, *map(day, offsets), "a.csv", number]
            con.execute("insert into raw.partners values (?, ?, ?, ?, ?, ?, ?, ?, ?)", values)
        for kind, first, last, is_closed in PERIODS:
            con.execute("insert into facts.periods values (?, ?, ?, ?)", [kind, day(first), day(last), is_closed])
        con.execute(f"insert into facts.partnerships by name {sql('stages', 'partnerships')}")
        found = run(con, f"select period_start, period_end, value, numerator, n from ({rate.formula})", bound)
        newcomers = run(
            con,
            f"select period_start, period_end, value from ({new.formula}) where grain = 'organisation'",
            {**new.bound, **own, **bound},
        )
    first = min(row[2] for row in listed)
    expected = set()
    for _, start, end, _ in PERIODS:
        states = [one for name in NAMES if (one := state(listed, name, end)) is not None]
        onboarded, building = sum(o for o, _ in states), sum(b for _, b in states)
        if first <= end:
            expected.add((day(start), day(end), building, onboarded))
    assert {(start, end, building, n) for start, end, _, building, n in found} == expected
    for *_, value, building, n in found:
        assert (value is None) == (n == 0)
        assert value is None or abs(Fraction(value) - Fraction(100 * int(building), n)) <= Fraction(1, 2 * 10**9)
    began = {}
    for name in NAMES:
        if mine := [row for row in listed if row[0] == name]:
            began[name] = [row for row in mine if row[2] == min(r[2] for r in mine)][-1]
    technical = [row[2] for row in began.values() if row[1] != "other"]
    assert {(start, end): int(value) for start, end, value in newcomers} == {
        (day(start), day(end)): sum(start <= offset <= end for offset in technical)
        for _, start, end, _ in PERIODS
        if technical and min(technical) <= end
    }
