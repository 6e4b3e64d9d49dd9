"""Recognition per service day against brute force: fractions day by day, and identities to the cent."""

from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from zoneinfo import ZoneInfo

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kpi_pipeline.contracts import WAREHOUSE
from kpi_pipeline.settings import BusinessHours
from kpi_pipeline.stages.calendar import fill_calendar
from kpi_pipeline.stages.money import recognise
from kpi_pipeline.warehouse import Connection, create_tables

CENT = Decimal("0.01")
FIRST = date(2023, 11, 1)
DAYS = st.integers(0, 1500).map(lambda n: FIRST + timedelta(days=n))
LENGTHS = st.one_of(st.integers(1, 70), st.sampled_from([365, 366, 730, 731]), st.integers(1, 2000))
AMOUNTS = st.one_of(st.integers(-500, 500), st.integers(-(10**14), 10**14)).map(lambda cents: cents * CENT)
LINES = st.lists(st.tuples(AMOUNTS, DAYS, LENGTHS), min_size=1, max_size=8)
PROPERTY = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture
def con() -> Iterator[Connection]:
    with duckdb.connect() as connection:
        create_tables(connection, [t for t in WAREHOUSE if t.name.startswith(("staged.", "facts."))])
        yield connection


def put(con: Connection, lines: list[tuple[Decimal, date, int]]) -> None:
    con.execute("truncate staged.ledger")
    con.executemany(
        "insert into staged.ledger values ($date, 'revenue', 'grants', null, $date, $last, $amount, 'USD', 1, $amount, "
        "'a.csv', $row)",
        [
            {"date": first, "last": first + timedelta(days=length - 1), "amount": amount, "row": row}
            for row, (amount, first, length) in enumerate(lines)
        ],
    )


def months_of(con: Connection, row: int = 0) -> dict[date, Decimal]:
    found = con.execute("select month, amount from facts.recognised where item = ? order by 1", [f"a.csv:{row}"])
    return dict(found.fetchall())


@PROPERTY
@given(lines=LINES, as_of=DAYS)
def test_months_sum_to_the_contract_and_are_within_a_cent_of_their_days(
    con: Connection, lines: list[tuple[Decimal, date, int]], as_of: date
) -> None:
    put(con, lines)
    recognise(con, as_of)
    for row, (amount, first, length) in enumerate(lines):
        shares = months_of(con, row)
        assert sum(shares.values()) == amount
        exact: dict[date, Fraction] = {}
        for n in range(length):
            month = (first + timedelta(days=n)).replace(day=1)
            exact[month] = exact.get(month, Fraction(0)) + Fraction(amount) / length
        assert shares.keys() == exact.keys()
        assert all(abs(Fraction(shares[month]) - exact[month]) < Fraction(CENT) for month in exact)


@PROPERTY
@given(amount=AMOUNTS, first=DAYS, length=LENGTHS)
def test_largest_remainder_is_what_counting_gives(con: Connection, amount: Decimal, first: date, length: int) -> None:
    put(con, [(amount, first, length)])
    recognise(con, first)
    cents = int(abs(amount) / CENT)
    exact: dict[date, Fraction] = {}
    for n in range(length):
        month = (first + timedelta(days=n)).replace(day=1)
        exact[month] = exact.get(month, Fraction(0)) + Fraction(cents, length)
    left = cents - sum(int(share) for share in exact.values())
    chosen = sorted(exact, key=lambda month: (-(exact[month] % 1), month))[:left]
    sign = -1 if amount < 0 else 1
    assert months_of(con) == {month: sign * (int(exact[month]) + (month in chosen)) * CENT for month in exact}


@PROPERTY
@given(lines=LINES, as_of=DAYS)
def test_what_is_earned_to_date_follows_the_days(
    con: Connection, lines: list[tuple[Decimal, date, int]], as_of: date
) -> None:
    """All of a month that has passed, nothing of one to come, of the running one its days within half a cent."""
    put(con, lines)
    recognise(con, as_of)
    found = con.execute(
        "select r.month, r.amount, r.days_to_date, r.amount_to_date, l.first_day, l.last_day from facts.recognised r "
        "join staged.ledger l on r.item = 'a.csv:' || l._row"
    ).fetchall()
    for month, amount, days_to_date, to_date, first, last in found:
        every = [first + timedelta(days=n) for n in range((last - first).days + 1)]
        days = [day for day in every if day.replace(day=1) == month]
        done = sum(day <= as_of for day in days)
        assert days_to_date == done
        exact = Fraction(amount) * done / len(days)
        assert abs(Fraction(to_date) - exact) <= Fraction(CENT) / 2
        assert done not in (0, len(days)) or Fraction(to_date) == exact


@pytest.mark.parametrize(("year", "february"), [(2023, "76.72"), (2024, "79.23")])
def test_a_calendar_year_is_twelve_months(con: Connection, year: int, february: str) -> None:
    """And not 13; a leap year's February has a day more."""
    put(con, [(Decimal("1000.00"), date(year, 1, 1), (date(year, 12, 31) - date(year, 1, 1)).days + 1)])
    recognise(con, date(2026, 1, 1))
    shares = months_of(con)
    assert list(shares) == [date(year, month, 1) for month in range(1, 13)]
    assert shares[date(year, 2, 1)] == Decimal(february)
    assert sum(shares.values()) == 1000


@pytest.mark.parametrize("amount", ["100.01", "-100.01", "0.01", "0"])
def test_a_contract_of_one_day_is_one_month(con: Connection, amount: str) -> None:
    put(con, [(Decimal(amount), date(2024, 2, 29), 1)])
    recognise(con, date(2024, 2, 29))
    assert months_of(con) == {date(2024, 2, 1): Decimal(amount)}


def test_a_credit_note_mirrors_what_it_takes_back(con: Connection) -> None:
    put(con, [(Decimal("1000.01"), date(2024, 1, 15), 100), (Decimal("-1000.01"), date(2024, 1, 15), 100)])
    recognise(con, date(2024, 3, 3))
    found = con.execute("select sum(amount), sum(amount_to_date) from facts.recognised group by month").fetchall()
    assert set(found) == {(0, 0)}


KINDS = st.sampled_from(
    [("revenue", "grants"), ("revenue", "uncategorised"), ("cost", "services"), ("cost", "executive")]
)


@PROPERTY
@given(
    lines=st.lists(st.tuples(KINDS, AMOUNTS, DAYS, LENGTHS), min_size=1, max_size=8),
    as_of=DAYS,
    fiscal_month=st.integers(1, 12),
)
def test_quarters_sum_their_months_and_categories_the_whole(
    con: Connection, lines: list[tuple[tuple[str, str], Decimal, date, int]], as_of: date, fiscal_month: int
) -> None:
    """Whenever the fiscal year begins; every month from the first service day on, and none to come."""
    put(con, [line[1:] for line in lines])
    for row, ((kind, category), *_) in enumerate(lines):
        con.execute("update staged.ledger set kind = ?, category = ? where _row = ?", [kind, category, row])
    fill_calendar(con, FIRST, as_of, BusinessHours(), ZoneInfo("UTC"), fiscal_month)
    recognise(con, as_of)
    rows = con.execute(
        "select kind, period, grain, member, period_start, period_end, coalesce(amount, 0) "
        "from facts.recognised_periods"
    ).fetchall()
    said = {row[:5]: row[6] for row in rows}
    for kind in ("revenue", "cost"):
        begun = [first for (k, _), _, first, _ in lines if k == kind and first <= as_of]
        first = min(begun, default=as_of + timedelta(days=1)).replace(day=1)
        months = {month for month in _months(FIRST, as_of) if month >= first and begun}
        assert {row[4] for row in rows if row[:2] == (kind, "month")} == months
    for kind, period, grain, member, start, end, amount in rows:
        if grain == "organisation":
            parts = [said[key] for key in said if key[:3] == (kind, period, "category") and key[4] == start]
            assert amount == sum(parts)
        if period == "quarter":
            months_of_it = [key for key in said if key[:4] == (kind, "month", grain, member) and start <= key[4] <= end]
            assert amount == sum(said[key] for key in months_of_it)
    done = con.execute(
        "select kind, sum(amount_to_date) from facts.recognised where month <= ? group by kind", [as_of]
    ).fetchall()
    for kind, amount in done:
        assert amount == sum(v for key, v in said.items() if key[:3] == (kind, "month", "organisation"))


def _months(first: date, last: date) -> list[date]:
    return sorted({(first + timedelta(days=n)).replace(day=1) for n in range((last - first).days + 1)})
