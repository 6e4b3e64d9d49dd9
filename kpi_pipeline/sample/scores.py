"""What a role's KPI should be, worked out one period at a time in fractions, from what was simulated: the roles' truth.

Never here: what happens in the simulated organisation, and anything that knows how the pipeline works it out.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Final

from kpi_pipeline.sample.period import Period
from kpi_pipeline.sample.write import csv_line, write_file

HEADER: Final = ("kpi_id", "figure", "period_start", "period_end", "value", "n")
ROLLING_EVERY: Final = 23  # days between the rolling windows that are worked out; the last day's is always there


@dataclass(frozen=True)
class Scoped:
    """A KPI, and the places that it is of: one of `any_of`, or everywhere."""

    kpi_id: str
    any_of: tuple[str, ...] = ()


@dataclass(frozen=True)
class Seen:
    """An observation: the day that it counts on, where (team=frontend), and what was seen.

    `top` and `bottom` are divided; `n` is what it stands for. Scores and durations are `top`, with a bottom of 1.
    A `top` that was achieved only after a period had ended is 0 there.
    """

    day: date
    places: frozenset[str]
    top: Fraction = Fraction(0)
    bottom: Fraction = Fraction(1)
    n: int = 1
    key: str = ""
    achieved: date = date.min

    def by(self, end: date) -> "Seen":
        """As it looked when a period ended."""
        return self if self.achieved <= end else replace(self, top=Fraction(0))


@dataclass(frozen=True)
class Case:
    """What came in on `day`, and its states, each from the end of a day on: 1 settled, 0 not, None not counted."""

    day: date
    states: Sequence[tuple[date, int | None]]
    places: frozenset[str] = frozenset()

    def at_the_end_of(self, day: date) -> int | None:
        return next((state for since, state in reversed(self.states) if since <= day), None)


Result = dict[str, tuple[Fraction | None, int]]
Formula = Callable[[list[Seen]], Result]


def ratio(factor: int) -> Formula:
    """Sum over sum, times a factor."""

    def work_out(seen: list[Seen]) -> Result:
        bottom = sum((one.bottom for one in seen), Fraction(0))
        top = sum((one.top for one in seen), Fraction(0))
        return {"": (factor * top / bottom if bottom else None, sum(one.n for one in seen))}

    return work_out


def count(seen: list[Seen]) -> Result:
    """Different keys, and as many as those without a key stand for."""
    total = len({one.key for one in seen if one.key}) + sum(one.n for one in seen if not one.key)
    return {"": (Fraction(total), total)}


def duration(unit_seconds: int) -> Formula:
    """Mean, median and p90 of seconds, in a unit."""

    def work_out(seen: list[Seen]) -> Result:
        if not seen:
            return {"": (None, 0)}
        tops = sorted(one.top / unit_seconds for one in seen)
        n = len(tops)
        return {
            "": (sum(tops, Fraction(0)) / n, n),
            "median": (_percentile(tops, Fraction(1, 2)), n),
            "p90": (_percentile(tops, Fraction(9, 10)), n),
        }

    return work_out


def _percentile(ordered: Sequence[Fraction], share: Fraction) -> Fraction:
    place = share * (len(ordered) - 1)
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


def periods(period: Period, *, rolling: bool) -> list[tuple[str, date, date]]:
    """Months and quarters from the first simulated day's on, cut off at the last day; and some windows of 30 days.

    Each with what it puts before the name of a figure: nothing, or rolling_30_days.
    """
    found = set()
    for day in map(period.date_of, range(period.days)):
        month = day.replace(day=1)
        quarter = month.replace(month=(month.month - 1) // 3 * 3 + 1)
        for start, months in ((month, 1), (quarter, 3)):
            after = (start + timedelta(days=31 * months)).replace(day=1)
            found.add(("", start, min(after - timedelta(days=1), period.last)))
    if rolling:
        found |= {
            ("rolling_30_days", last - timedelta(days=29), last)
            for last in map(period.date_of, range(period.days - 1, -1, -ROLLING_EVERY))
        }
    return sorted(found)


def rows(
    kpis: Iterable[Scoped], seen: Sequence[Seen], formula: Formula, period: Period, *, rolling: bool
) -> list[tuple[str, ...]]:
    """The truth of some KPIs: a row per KPI, figure and period from the first observation in scope on."""
    found: list[tuple[str, ...]] = []
    for kpi in kpis:
        mine = [one for one in seen if one.day <= period.last and (not kpi.any_of or one.places & set(kpi.any_of))]
        first = min((one.day for one in mine), default=date.max)
        for span, start, end in periods(period, rolling=rolling):
            if end < first:
                continue
            result = formula([one.by(end) for one in mine if start <= one.day <= end])
            for name, (value, n) in result.items():
                figure = "_".join(part for part in (span, name) if part)
                found.append((kpi.kpi_id, figure, str(start), str(end), nine_digits(value), str(n)))
    return found


def cohort_rows(kpi: Scoped, cases: Sequence[Case], period: Period) -> list[tuple[str, ...]]:
    """The truth of a KPI that says how many of what came in in a period are settled at its end, in percent."""
    first = min((case.day for case in cases), default=date.max)
    found: list[tuple[str, ...]] = []
    for span, start, end in periods(period, rolling=True):
        if end < first:
            continue
        states = [case.at_the_end_of(end) for case in cases if start <= case.day <= end]
        counted = [state for state in states if state is not None]
        value = Fraction(100 * sum(counted), len(counted)) if counted else None
        found.append((kpi.kpi_id, span, str(start), str(end), nine_digits(value), str(len(states))))
    return found


def nine_digits(value: Fraction | None) -> str:
    """Rounded half away from zero at the ninth decimal; empty: there is no value."""
    if value is None:
        return ""
    sign = -1 if value < 0 else 1
    return str(Decimal(sign * int((abs(value) * 10**9 * 2 + 1) // 2)).scaleb(-9))


def write_roles(path: Path, lines: Iterable[tuple[str, ...]]) -> None:
    """Writes truth/roles/<domain>.csv."""
    write_file(path, b"".join(csv_line(line) for line in (HEADER, *lines)))
