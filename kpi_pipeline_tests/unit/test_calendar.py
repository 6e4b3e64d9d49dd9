"""Periods and business hours: counted on a calendar by hand."""

from datetime import date, datetime, time
from zoneinfo import ZoneInfo

import duckdb
import polars as pl
import pytest

from kpi_pipeline.contracts import TABLES, WAREHOUSE
from kpi_pipeline.settings import BusinessHours
from kpi_pipeline.stages.calendar import beginning, fill_calendar, working_hours
from kpi_pipeline.warehouse import create_tables

UTC = ZoneInfo("UTC")


def periods(first: date, as_of: date, fiscal_month: int = 1) -> list[tuple[object, ...]]:
    with duckdb.connect() as con:
        create_tables(con, [TABLES["facts.periods"], TABLES["facts.business_hours"]])
        for _ in range(2):
            fill_calendar(con, first, as_of, BusinessHours(), UTC, fiscal_month)
        return con.execute("from facts.periods order by all").fetchall()


def test_months_quarters_and_weeks() -> None:
    """31 December 2023 is a Sunday, 29 February 2024 a Thursday."""
    found = periods(date(2023, 12, 31), date(2024, 2, 29))
    assert [row[1:] for row in found if row[0] == "month"] == [
        (date(2023, 12, 1), date(2023, 12, 31), True),
        (date(2024, 1, 1), date(2024, 1, 31), True),
        (date(2024, 2, 1), date(2024, 2, 29), True),
    ]
    assert [row[1:] for row in found if row[0] == "quarter"] == [
        (date(2023, 10, 1), date(2023, 12, 31), True),
        (date(2024, 1, 1), date(2024, 2, 29), False),
    ]
    weeks = [row[1:] for row in found if row[0] == "week"]
    assert weeks[0] == (date(2023, 12, 25), date(2023, 12, 31), True)
    assert weeks[1] == (date(2024, 1, 1), date(2024, 1, 7), True)
    assert weeks[-1] == (date(2024, 2, 26), date(2024, 2, 29), False)


def test_thirty_days_end_on_every_day() -> None:
    """From the first day to the as-of day, leap day included; 29 February less 29 days is 31 January."""
    windows = [row[1:] for row in periods(date(2024, 2, 28), date(2024, 3, 1)) if row[0] == "rolling_30_days"]
    assert windows == [
        (date(2024, 1, 30), date(2024, 2, 28), True),
        (date(2024, 1, 31), date(2024, 2, 29), True),
        (date(2024, 2, 1), date(2024, 3, 1), True),
    ]


@pytest.mark.parametrize(
    ("created", "begins"),
    [
        ((), date(2025, 7, 1)),
        (("2026-03-01",), date(2025, 7, 1)),
        (("2026-03-01", "2023-11-05"), date(2023, 11, 5)),
        (("2023-11-05", "0202-11-05"), date(2023, 11, 5)),
        (("1999-12-31",), date(2025, 7, 1)),
        (("2000-01-01",), date(2000, 1, 1)),
    ],
)
def test_the_calendar_begins_with_the_earliest_data(created: tuple[str, ...], begins: date) -> None:
    """A ticket from before first_day has its month; a mistyped year gives no centuries of months."""
    with duckdb.connect() as con:
        create_tables(con, WAREHOUSE)
        for number, day in enumerate(created):
            con.execute(
                "insert into raw.tickets by name select ? as id, ?::timestamptz as created_at, "
                "now() as updated_at, 2 as status, uuid() as person_key, 'f' as _file, 1 as _row",
                [number, day],
            )
        assert beginning(con, date(2025, 7, 1)) == begins


@pytest.mark.parametrize(
    ("fiscal_month", "start", "end"),
    [
        (1, date(2024, 1, 1), date(2024, 2, 10)),
        (2, date(2024, 2, 1), date(2024, 2, 10)),
        (3, date(2023, 12, 1), date(2024, 2, 10)),
        (7, date(2024, 1, 1), date(2024, 2, 10)),
        (12, date(2023, 12, 1), date(2024, 2, 10)),
    ],
)
def test_fiscal_quarters_begin_with_the_fiscal_year(fiscal_month: int, start: date, end: date) -> None:
    found = periods(date(2024, 2, 10), date(2024, 2, 10), fiscal_month)
    assert [row[1:] for row in found if row[0] == "quarter"] == [(start, end, False)]


def test_working_days_leave_out_weekends_and_holidays() -> None:
    """Thursday 2 July 2026 to Tuesday 7 July; 4 July is a Saturday, so Friday is a federal holiday in the US."""
    hours = BusinessHours(holidays="US")
    found = working_hours(date(2026, 7, 2), date(2026, 7, 7), hours, UTC)
    assert found["date"].to_list() == [date(2026, 7, 2), date(2026, 7, 6), date(2026, 7, 7)]


def test_hours_follow_the_zone_through_summer_time() -> None:
    """Berlin is at UTC+1 on Friday 27 March 2026 and at UTC+2 from Sunday on."""
    hours = BusinessHours(opens=time(9), closes=time(17, 30))
    found = working_hours(date(2026, 3, 27), date(2026, 3, 30), hours, ZoneInfo("Europe/Berlin"))
    assert found.rows() == [
        (date(2026, 3, 27), datetime(2026, 3, 27, 8), datetime(2026, 3, 27, 16, 30)),
        (date(2026, 3, 30), datetime(2026, 3, 30, 7), datetime(2026, 3, 30, 15, 30)),
    ]
    assert found.schema["opens_at"] == pl.Datetime("us")
