"""Sentences about a quarter, each worked out by hand."""

from datetime import date

import pytest

from kpi_pipeline.report import sentences
from kpi_pipeline.report.edition import Kpi, Quarterly
from kpi_pipeline_tests.report.kpis import Q3, compared, kpi, quarterly

THIRTY_DAYS = {"period": "day", "start": date(2026, 9, 1), "end": date(2026, 9, 30)}
ONE_DAY = {"period": "day", "start": date(2026, 9, 30), "end": date(2026, 9, 30)}
HALF_YEAR = {"period": "day", "start": date(2026, 4, 1), "end": date(2026, 9, 30)}


@pytest.mark.parametrize(
    ("what", "found", "sentence"),
    [
        pytest.param(
            kpi(),
            quarterly(120, compared(100, 20, "20.0"), compared(80, 40, "50.0")),
            "120 people in 2026Q3: up 20 (+20 %) from 2026Q2, and up 40 (+50 %) from 2025Q3. That is better than both.",
            id="a rise, more is better",
        ),
        pytest.param(
            kpi("hours", "lower"),
            quarterly("57.71", compared("54.48", "3.23", "5.9"), compared("39.07", "18.64", "47.7")),
            "57.71 hours in 2026Q3: up 3.23 (+5.9 %) from 2026Q2, and up 18.64 (+47.7 %) from 2025Q3. "
            "That is worse than both.",
            id="a rise, less is better",
        ),
        pytest.param(
            kpi("hours", "lower"),
            quarterly(30, compared(40, -10, "-25.0"), compared(20, 10, "50.0")),
            "30 hours in 2026Q3: down 10 (−25 %) from 2026Q2, and up 10 (+50 %) from 2025Q3. "
            "That is better than in 2026Q2, but worse than in 2025Q3.",
            id="a fall and a rise, less is better",
        ),
        pytest.param(
            kpi("count", "neither"),
            quarterly(46, compared(46, 0, "0.0"), compared(44, 2, "4.5"), **ONE_DAY),
            "46 on 30 September 2026: the same as at the end of 2026Q2, and up 2 (+4.5 %) from the end of 2025Q3.",
            id="no change, and neither way is better: no word of better or worse",
        ),
        pytest.param(
            kpi(),
            quarterly(90, compared(90, 0, "0.0"), compared(100, -10, "-10.0"), **THIRTY_DAYS),
            "90 people in the 30 days to 30 Sep 2026: the same as at the end of 2026Q2, and down 10 (−10 %) from the "
            "end of 2025Q3. That is worse than at the end of 2025Q3.",
            id="no change against one, a fall against the other",
        ),
        pytest.param(
            kpi(),
            quarterly(12, compared(10, 2, "20.0")),
            "12 people in 2026Q3: up 2 (+20 %) from 2026Q2. That is better than in 2026Q2. "
            "2025Q3 has no value to compare with.",
            id="nothing a year before",
        ),
        pytest.param(
            kpi(),
            quarterly(12),
            "12 people in 2026Q3. Neither 2026Q2 nor 2025Q3 has a value to compare with.",
            id="nothing before",
        ),
        pytest.param(
            kpi("communities"),
            quarterly(32, compared(30, 2, "6.7"), compared(28, 4, "14.3"), status="incomplete", **HALF_YEAR),
            "32 communities from 1 Apr 2026 to 30 Sep 2026: up 2 (+6.7 %) from the end of 2026Q2, and up 4 (+14.3 %) "
            "from the end of 2025Q3. The value is incomplete: a day it rests on has no data.",
            id="incomplete: said, and not judged",
        ),
        pytest.param(
            kpi(),
            quarterly(12, compared(10, 2, "20.0", "incomplete"), compared(8, 4, "50.0")),
            "12 people in 2026Q3: up 2 (+20 %) from 2026Q2, and up 4 (+50 %) from 2025Q3. That is better than in "
            "2025Q3. The value of 2026Q2 is incomplete: a day it rests on has no data.",
            id="the value before is incomplete: said, and not judged",
        ),
        pytest.param(
            kpi("count"),
            quarterly(0, compared(2, -2, "-100.0"), compared(0, 0)),
            "0 in 2026Q3: down 2 (−100 %) from 2026Q2, and the same as in 2025Q3. That is worse than in 2026Q2.",
            id="zero is a value",
        ),
        pytest.param(
            kpi("count"),
            quarterly(3, compared(0, 3), compared(0, 3)),
            "3 in 2026Q3: up 3 from 2026Q2, and up 3 from 2025Q3. That is better than both.",
            id="no percentage of zero",
        ),
        pytest.param(
            kpi("percent"),
            quarterly("85.71", compared("79.31", "6.4", "8.1"), compared("90.91", "-5.2", "-5.7")),
            "85.71% in 2026Q3: up 6.4 percentage points from 2026Q2, and down 5.2 percentage points from 2025Q3. "
            "That is better than in 2026Q2, but worse than in 2025Q3.",
            id="percentages change by points",
        ),
        pytest.param(
            kpi("points of 5"),
            quarterly("3.86", compared(4, "-0.14", "-3.5"), compared(4, "-0.14", "-3.5")),
            "3.86 points of 5 in 2026Q3: down 0.14 points from 2026Q2, and down 0.14 points from 2025Q3. "
            "That is worse than both.",
            id="grades change by points",
        ),
        pytest.param(
            kpi("currency"),
            quarterly("1250.5", compared("1000.5", 250, "25.0"), period="month", start=date(2026, 9, 1)),
            "1,250.5 EUR in September 2026: up 250 (+25 %) from 2026Q2. That is better than in 2026Q2. "
            "2025Q3 has no value to compare with.",
            id="the last month stands for its quarter",
        ),
        pytest.param(
            kpi(),
            quarterly(7, status="to date", is_closed=False, end=date(2026, 8, 14)),
            "7 people so far in 2026Q3. The value is to date: the period still runs. "
            "The quarter still runs, so it isn't compared yet.",
            id="a running quarter isn't compared with whole ones",
        ),
        pytest.param(
            kpi(),
            quarterly(7, compared(5, 2, "40.0"), is_closed=False, **THIRTY_DAYS),
            "7 people in the 30 days to 30 Sep 2026: up 2 (+40 %) from the end of 2026Q2. That is better than at the "
            "end of 2026Q2. 2025Q3 has no value to compare with.",
            id="but a window of 30 days is",
        ),
        pytest.param(kpi(), None, "There is no value for 2026Q3 that can be shown.", id="withheld, or none"),
        pytest.param(
            kpi(), quarterly(None, status="no data"), "There is no value for 2026Q3: no data.", id="no data isn't 0"
        ),
    ],
)
def test_sentence(what: Kpi, found: Quarterly | None, sentence: str) -> None:
    assert sentences.about(what, found, Q3, "EUR") == sentence


def test_change_in_a_table() -> None:
    assert sentences.change(kpi(), compared(100, 20, "20.0")) == "+20 (+20 %)"
    assert sentences.change(kpi("percent"), compared(90, "-1.5", "-1.7")) == "−1.5"
    assert sentences.change(kpi(), compared(100, 0, "0.0")) == "unchanged"
    assert sentences.change(kpi(), compared(1000, "0.1", "0.0")) == "+0.1"
    assert sentences.change(kpi(), None) == "–"
