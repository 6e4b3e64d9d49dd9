"""Charts as Vega-Lite: a few kinds, written by Altair (kinds.py), that any series fits into. No data is in a kind.

A chart's rows are those of its table and of its CSV: text, every digit. What is drawn is made of it: dates as
milliseconds since 1970, values as floats.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from typing import Any, Literal

from kpi_pipeline.report import words
from kpi_pipeline.report.edition import Kpi, Note, Point

# Okabe and Ito's colours, which the colour-blind can tell apart; blue first, since most charts have one series.
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#8C6BB1", "#6E6E6E")
GREY = "#767676"
MOST_SERIES = len(COLOURS)
COLUMNS = ("member", "period_start", "period_end", "value", "n", "status")
OVER = {"day": "daily", "month": "by month", "quarter": "by quarter"}
# An edition has members by the end of each month where values are of days.
OVER_MEMBERS = {**OVER, "day": "at the end of each month, and now"}
# Where the unit will stand.
UNIT = "@unit"
FILE = "kinds.json"
Kind = Literal["line", "bars", "lines", "stacked"]
# What may lie on each, where there is any of it.
LAYERS: dict[Kind, tuple[str, ...]] = {
    "line": ("targets", "notes", "marks"),
    "bars": ("targets", "notes"),
    "lines": (),
    "stacked": (),
}


@dataclass(frozen=True)
class Chart:
    """One chart of a page.

    Args:
        name: tells it from others of its page.
        rows: member, first and last day, value, n, status; as text.
        over: of which days or periods there are values, in words.
        notes: day and text of what stands on it.
        target: the value of the target that holds, as text; empty: none.
    """

    name: str
    title: str
    kpi_id: str
    grain: str
    kind: Kind
    unit: str
    period: str
    rows: list[tuple[str, ...]]
    over: str = ""
    notes: list[tuple[str, str]] = field(default_factory=list)
    targets: list[tuple[str, str, str, str]] = field(default_factory=list)

    @property
    def spec(self) -> dict[str, Any]:
        """Its Vega-Lite, without data."""
        there = {"targets": bool(self.targets), "notes": bool(self.notes), "marks": bool(self.unsettled)}
        return kind(self.kind, self.unit, self.period, tuple(layer for layer in LAYERS[self.kind] if there[layer]))

    @property
    def has_values(self) -> bool:
        """Whether there is anything to draw; without, it would be an empty frame."""
        return any(row[3] for row in self.rows)

    @property
    def unsettled(self) -> list[str]:
        """What its values are, other than final; where they can be told apart."""
        if self.kind not in ("line", "bars"):
            return []
        return sorted({row[5] for row in self.rows if row[3] and row[5] != "ok"})

    @property
    def described(self) -> str:
        """What it shows, in a sentence, for who doesn't see it."""
        values = [row for row in self.rows if row[3]]
        first, last = values[0], values[-1]
        return (
            f"{self.title}: {len(values)} values from {first[2]} to {last[2]}; the last is {last[3]} {self.unit}."
            " The numbers are in the table below."
        )


def of_kpi(kpi: Kpi, currency: str, notes: Sequence[Note], days: int | None = None) -> Chart:
    """The KPI's own values: a line by day, bars by month."""
    points = kpi.series[-days:] if days else kpi.series
    return Chart(
        name="own",
        title=kpi.title,
        kpi_id=kpi.kpi_id,
        grain=kpi.own_grain,
        kind="line" if kpi.period == "day" else "bars",
        unit=words.unit(kpi.unit, currency),
        period=kpi.period,
        rows=[_row(point) for point in points],
        over=OVER[kpi.period],
        notes=_noted(notes, points),
        targets=_targeted(kpi, points),
    )


def against_target(kpi: Kpi, currency: str) -> Chart | None:
    """The KPI's values of the periods that its target is about, where it is known by shorter ones."""
    period = kpi.targets[-1].period if kpi.targets else kpi.period
    points = [point for point in kpi.own if point.period == period]
    if period == kpi.period or not points:
        return None
    return Chart(
        name="target",
        title=f"{kpi.title}, against its target",
        kpi_id=kpi.kpi_id,
        grain=kpi.own_grain,
        kind="bars",
        unit=words.unit(kpi.unit, currency),
        period=period,
        rows=[_row(point) for point in points],
        over=OVER[period],
        targets=_targeted(kpi, points),
    )


def by_dimension(kpi: Kpi, dimension: str, currency: str, kind: Kind | None = None) -> Chart | None:
    """The members of a dimension over time; None where no time has passed, or there are more than can be told apart."""
    members = kpi.by(dimension)
    ends = {point.end for points in members.values() for point in points}
    if len(ends) < 2 or len(members) > MOST_SERIES:
        return None
    points = [point for member in sorted(members) for point in members[member]]
    return Chart(
        name=f"by-{dimension}",
        title=f"{kpi.title} by {dimension.replace('_', ' ')}",
        kpi_id=kpi.kpi_id,
        grain=dimension,
        kind=kind or "lines",
        unit=words.unit(kpi.unit, currency),
        period=kpi.period,
        rows=[_row(point) for point in points],
        over=OVER_MEMBERS[kpi.period],
    )


def of_member(kpi: Kpi, dimension: str, points: Sequence[Point], currency: str, notes: Sequence[Note]) -> Chart:
    """The values of one member of a dimension."""
    return Chart(
        name=f"of-{dimension}",
        title=kpi.title,
        kpi_id=kpi.kpi_id,
        grain=dimension,
        kind="line" if kpi.period == "day" else "bars",
        unit=words.unit(kpi.unit, currency),
        period=kpi.period,
        rows=[_row(point) for point in points],
        over=OVER_MEMBERS[kpi.period],
        notes=_noted(notes, points),
    )


def _row(point: Point) -> tuple[str, ...]:
    return (
        point.member,
        point.start.isoformat(),
        point.end.isoformat(),
        words.exact(point.value),
        words.exact(point.n),
        point.status,
    )


def _noted(notes: Sequence[Note], points: Sequence[Point]) -> list[tuple[str, str]]:
    if not points:
        return []
    first, last = points[0].start, points[-1].end
    return [(note.date.isoformat(), note.text) for note in notes if first <= note.date <= last]


def _targeted(kpi: Kpi, points: Sequence[Point]) -> list[tuple[str, str, str, str]]:
    """The targets of such periods, from where the chart begins to where it ends."""
    if not points:
        return []
    period, first, last = points[0].period, points[0].start, points[-1].end
    return [
        (
            max(target.valid_from, first).isoformat(),
            min(target.valid_to or last, last).isoformat(),
            words.exact(target.target),
            f"target {target.comparator} {words.number(target.target)}",
        )
        for target in kpi.targets
        if target.period == period and target.valid_from <= last and (target.valid_to or last) >= first
    ]


def kind(name: Kind, unit: str, period: str, layers: tuple[str, ...] = ()) -> dict[str, Any]:
    """A kind of chart, for a unit. Data sets: rows, notes, targets; days are milliseconds, since 1970, in UTC."""
    # Only the name of an axis is another one.
    text = _kinds()[named(name, period, layers)]
    spec: dict[str, Any] = json.loads(text.replace(json.dumps(UNIT), json.dumps(unit or None)))
    return spec


def named(name: Kind, period: str, layers: tuple[str, ...]) -> str:
    """What a kind is called in the file of all kinds."""
    return " ".join((name, period, *layers))


def vega_lite() -> str:
    """The version that the kinds are written for, such as 6.4."""
    version: str = _file()["vega_lite"]
    return version


@cache
def _kinds() -> dict[str, str]:
    return {name: json.dumps(spec) for name, spec in _file()["kinds"].items()}


@cache
def _file() -> dict[str, Any]:
    # Written ahead of time: loading Altair, and having it write, takes as long as writing a hundred pages.
    text = resources.files("kpi_pipeline").joinpath("report", "static", FILE).read_text(encoding="utf-8")
    found: dict[str, Any] = json.loads(text)
    return found
