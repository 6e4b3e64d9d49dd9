"""Quarters by name, of fiscal years that begin in any month."""

from datetime import date

import pytest

from kpi_pipeline.errors import ConfigError
from kpi_pipeline.report.quarter import Quarter, parse


@pytest.mark.parametrize(
    ("name", "first_month", "start", "end"),
    [
        ("2026Q3", 1, date(2026, 7, 1), date(2026, 9, 30)),
        ("2026q3", 7, date(2026, 7, 1), date(2026, 9, 30)),
        ("2026-Q3", 2, date(2026, 8, 1), date(2026, 10, 31)),
        ("2026Q4", 3, date(2026, 12, 1), date(2027, 2, 28)),
        ("2024Q1", 1, date(2024, 1, 1), date(2024, 3, 31)),
    ],
)
def test_a_quarter_is_named_by_the_calendar_quarter_that_it_begins_in(
    name: str, first_month: int, start: date, end: date
) -> None:
    quarter = parse(name, first_month)
    assert (quarter.start, quarter.end) == (start, end)
    assert quarter.name == name.upper().replace("-", "")


@pytest.mark.parametrize("first_month", range(1, 13))
def test_every_day_is_in_the_quarter_of_its_fiscal_year(first_month: int) -> None:
    for month in range(1, 13):
        day = date(2026, month, 28)
        quarter = Quarter.of(day, first_month)
        assert quarter.start <= day <= quarter.end
        assert (quarter.start.month - first_month) % 3 == 0
        assert parse(quarter.name, first_month) == quarter


def test_quarters_before() -> None:
    quarter = parse("2026Q1", 1)
    assert [quarter.back(n).name for n in (0, 1, 4, 5)] == ["2026Q1", "2025Q4", "2025Q1", "2024Q4"]


@pytest.mark.parametrize("name", ["2026Q5", "2026", "Q3", "26Q3", "9999Q4", "", "2026Q3 ", "../2026Q3"])
def test_what_isnt_a_quarter(name: str) -> None:
    with pytest.raises(ConfigError, match=r"--quarter.*expected a calendar quarter, such as 2026Q3"):
        parse(name, 1)
