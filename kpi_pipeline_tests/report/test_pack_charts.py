"""The pack's charts: what is drawn of a KPI, and where notes stand."""

import re
from datetime import date, timedelta
from decimal import Decimal

import pytest

from kpi_pipeline.report import pack_charts
from kpi_pipeline.report.edition import Kpi, Note, Point
from kpi_pipeline_tests.report.kpis import Q3, kpi

LAST = Q3.end


def daily(first: date, values: dict[date, object], status: str = "ok") -> Kpi:
    days = [first + timedelta(days=number) for number in range((LAST - first).days + 1)]
    points = [
        Point("organisation", "day", day, day, None if values.get(day, 1) is None else Decimal(1), *[None] * 4, status)
        for day in days
    ]
    return kpi(points={"organisation": {"organisation": points}})


def placed(*days: date) -> list[tuple[int, bool]]:
    """The level of each note's number, and whether it stands left of its rule."""
    notes = [Note(day, "Something", ()) for day in days]
    chart = pack_charts.own(daily(date(2025, 7, 1), {}), Q3, "EUR", notes)
    assert chart is not None
    rows = pack_charts._daily(chart, Q3)["notes"]
    assert [row["shown"] for row in rows] == [str(number) for number in range(1, len(days) + 1)]
    return [(row["level"], row["is_left"]) for row in rows]


def test_notes_stand_apart() -> None:
    assert placed(date(2025, 9, 1), date(2026, 1, 15), date(2026, 9, 1)) == [(0, False)] * 3
    one_day = [date(2025, 9, 1)] * 3
    assert placed(*one_day) == [(0, False), (1, False), (2, False)]
    assert placed(date(2025, 9, 1), date(2025, 9, 5), date(2025, 11, 1)) == [(0, False), (1, False), (0, False)]


@pytest.mark.parametrize("days", [0, 10])
def test_the_number_of_a_note_at_the_end_stands_left_of_its_rule(days: int) -> None:
    """On the right the last value has its place."""
    assert placed(LAST - timedelta(days=days)) == [(0, True)]


def test_the_last_value_meets_no_note() -> None:
    """The number of a note on the last day ends where the value begins."""
    chart = pack_charts.own(daily(date(2025, 7, 1), {}), Q3, "EUR", [Note(LAST, "Something", ())])
    assert chart is not None
    anchors = re.findall(
        r'<text [^>]*text-anchor="(\w+)"[^>]*font-weight="600"[^>]*>1</text>', pack_charts.svg(chart, Q3)
    )
    assert sorted(anchors) == ["end", "start"]


def test_nothing_after_the_quarter_is_drawn_and_a_year_before_is() -> None:
    chart = pack_charts.own(daily(date(2024, 1, 1), {}), Q3.back(1), "EUR", [])
    assert chart is not None
    assert (chart.rows[0][2], chart.rows[-1][2]) == ("2025-04-01", "2026-06-30")


def test_a_day_without_a_value_is_a_gap() -> None:
    gap = {date(2026, 3, day): None for day in range(1, 11)}
    chart = pack_charts.own(daily(date(2025, 7, 1), dict(gap)), Q3, "EUR", [])
    assert chart is not None
    rows = pack_charts._daily(chart, Q3)["rows"]
    assert sum(row["value"] is None for row in rows) == 10
    lines = re.findall(r'mark-line[^>]*>\s*<path[^>]* d="([^"]*)"', pack_charts.svg(chart, Q3))
    assert [line.count("M") for line in lines if "L" in line] == [2]


def test_one_value_is_no_chart() -> None:
    days = {date(2026, 9, day): None for day in range(1, 30)}
    assert pack_charts.own(daily(date(2026, 9, 1), dict(days)), Q3, "EUR", []) is None
