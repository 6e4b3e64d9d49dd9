"""Recognised amounts by month and quarter: sums and states worked out by hand."""

from datetime import date
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import duckdb

from kpi_pipeline.contracts import WAREHOUSE
from kpi_pipeline.settings import BusinessHours
from kpi_pipeline.stages.calendar import fill_calendar
from kpi_pipeline.stages.checks import evaluate
from kpi_pipeline.stages.checks.money import CHECKS
from kpi_pipeline.stages.money import recognise
from kpi_pipeline.warehouse import create_tables

Line = tuple[str, str, str, str, str, int]  # booked, kind, category, first and last day, amount
JANUARY, FEBRUARY, QUARTER = ("month", date(2026, 1, 1)), ("month", date(2026, 2, 1)), ("quarter", date(2026, 1, 1))
COSTS = {"engineering", "partnerships and community", "executive", "fiscal fee", "services", "uncategorised"}


def periods(as_of: date, *lines: Line) -> dict[tuple[str, str, date, str], tuple[Any, ...]]:
    """(amount, credits, items, status) by kind, period, its start and member."""
    with duckdb.connect() as con:
        create_tables(con, [t for t in WAREHOUSE if t.name.startswith(("staged.", "facts."))])
        fill_calendar(con, date(2025, 12, 1), as_of, BusinessHours(), ZoneInfo("UTC"), 1)
        con.executemany(
            "insert into staged.ledger by name select ?::date as date, ? as kind, ? as category, ?::date as first_day, "
            "?::date as last_day, ? as amount, 'USD' as currency, 1 as rate, amount as reported_amount, "
            "'books.csv' as _file, ? as _row",
            [(*line, number) for number, line in enumerate(lines)],
        )
        recognise(con, as_of)
        ours = [check for check in CHECKS if check.table == "facts.recognised_periods"]
        assert [check.name for check in ours if not evaluate(con, check, {}).passed] == []
        rows = con.execute(
            "select kind, period, period_start, member, amount, credits, items, status from facts.recognised_periods"
        ).fetchall()
    return {row[:4]: row[4:] for row in rows}


def test_a_running_month_and_quarter_hold_what_falls_on_days_up_to_now() -> None:
    """From 1 to 28 February a unit a day: 10 of them by the 10th. Nothing is known of December: it isn't there."""
    found = periods(
        date(2026, 2, 10),
        ("2026-01-05", "cost", "engineering", "2026-01-05", "2026-01-05", 900),
        ("2026-01-20", "cost", "engineering", "2026-01-20", "2026-01-20", -100),
        ("2026-01-03", "cost", "uncategorised", "2026-01-03", "2026-01-03", 50),
        ("2026-02-03", "cost", "engineering", "2026-02-01", "2026-02-28", 28),
        ("2026-02-03", "cost", "services", "2026-03-01", "2026-03-31", 31),
    )
    assert {key[1:3] for key in found} == {JANUARY, FEBRUARY, QUARTER}
    assert {key[3] for key in found} == {"organisation", *COSTS}
    engineering = {key[1:3]: row for key, row in found.items() if key[3] == "engineering"}
    assert engineering == {
        JANUARY: (800, -100, 2, "ok"),
        FEBRUARY: (10, 0, 1, "to date"),
        QUARTER: (810, -100, 3, "to date"),
    }
    whole = {key[1:3]: row for key, row in found.items() if key[3] == "organisation"}
    assert whole == {
        JANUARY: (850, -100, 3, "ok"),
        FEBRUARY: (10, 0, 1, "to date"),
        QUARTER: (860, -100, 4, "to date"),
    }
    assert found["cost", *JANUARY, "services"] == (0, 0, 0, "ok")


def test_where_the_books_end_what_follows_is_incomplete_or_unknown() -> None:
    """38 days from 22 January on, a unit a day; nothing was booked after the 22nd."""
    found = periods(
        date(2026, 2, 28),
        ("2026-01-22", "revenue", "grants", "2026-01-22", "2026-02-28", 38),
    )
    assert found["revenue", *JANUARY, "grants"] == (10, 0, 1, "ok")
    assert found["revenue", *FEBRUARY, "grants"] == (28, 0, 1, "incomplete")
    assert found["revenue", *FEBRUARY, "organisation"] == (28, 0, 1, "incomplete")
    assert found["revenue", *FEBRUARY, "development contracts"] == (None, None, 0, "no data")
    assert found["revenue", *QUARTER, "organisation"] == (38, 0, 1, "incomplete")
    assert {key[0] for key in found} == {"revenue"}


def test_revenue_and_costs_begin_each_with_their_own_first_month() -> None:
    found = periods(
        date(2026, 2, 28),
        ("2025-12-31", "cost", "services", "2025-12-31", "2025-12-31", 5),
        ("2026-02-01", "revenue", "grants", "2026-02-01", "2026-02-01", 7),
    )
    months = {kind: sorted(start for k, period, start, _ in found if (k, period) == (kind, "month")) for kind in
              ("cost", "revenue")}  # fmt: skip
    assert sorted(set(months["cost"])) == [date(2025, 12, 1), date(2026, 1, 1), date(2026, 2, 1)]
    assert sorted(set(months["revenue"])) == [date(2026, 2, 1)]
    assert found["revenue", *QUARTER, "organisation"][0] == Decimal(7)
