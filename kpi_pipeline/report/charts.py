"""Charts as Vega-Lite: a few kinds, written by Altair once each, that any series fits into. No data is in a kind.

A chart's rows are those of its table and of its CSV: text, every digit. The numbers that are drawn are parsed from it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Literal

import altair

from kpi_pipeline.report import words
from kpi_pipeline.report.edition import Kpi, Note, Point, Target

# Its own annotations don't know that a time unit may be chosen at run time.
alt: Any = altair

# Okabe and Ito's colours, which the colour-blind can tell apart; blue first, since most charts have one series.
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#8C6BB1", "#6E6E6E")
GREY = "#767676"
MOST_SERIES = len(COLOURS)
COLUMNS = ("member", "period_start", "period_end", "value", "n", "status")
Kind = Literal["line", "bars", "lines", "stacked", "ranked"]


@dataclass(frozen=True)
class Chart:
    """One chart of a page.

    Args:
        name: tells it from others of its page.
        rows: member, first and last day, value, n, status; as text.
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
    notes: list[tuple[str, str]] = field(default_factory=list)
    targets: list[tuple[str, str, str, str]] = field(default_factory=list)

    @property
    def spec(self) -> dict[str, Any]:
        """Its Vega-Lite, without data."""
        return kind(self.kind, self.unit, self.period)

    @property
    def described(self) -> str:
        """What it shows, in a sentence, for who doesn't see it."""
        values = [row for row in self.rows if row[3]]
        if not values:
            return f"{self.title}: no values yet."
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
        notes=_noted(notes, points),
        targets=[_target(target) for target in kpi.targets if target.period == kpi.period or kpi.period == "month"],
    )


def by_dimension(kpi: Kpi, dimension: str, currency: str, kind: Kind | None = None) -> Chart | None:
    """The members of a dimension over time; None where there are none, or more than can be told apart."""
    members = kpi.by(dimension)
    if not members or len(members) > MOST_SERIES:
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
    )


def of_member(kpi: Kpi, dimension: str, points: Sequence[Point], currency: str, notes: Sequence[Note]) -> Chart:
    """The values of one member of a dimension."""
    return Chart(
        name=f"of-{dimension}",
        title=kpi.title,
        kpi_id=kpi.kpi_id,
        grain=dimension,
        kind="bars",
        unit=words.unit(kpi.unit, currency),
        period="month" if kpi.period == "day" else kpi.period,
        rows=[_row(point) for point in points],
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


def _target(target: Target) -> tuple[str, str, str, str]:
    end = target.valid_to.isoformat() if target.valid_to else ""
    return (
        target.valid_from.isoformat(),
        end,
        words.exact(target.target),
        f"target {target.comparator} {target.target:f}",
    )


@lru_cache(maxsize=256)
def kind(name: Kind, unit: str, period: str) -> dict[str, Any]:
    """A kind of chart, for a unit. Data sets: rows, notes, targets."""
    made: dict[Kind, Any] = {"line": _line, "bars": _bars, "lines": _lines, "stacked": _stacked, "ranked": _ranked}
    chart = made[name](unit, period).properties(width="container", height=280)
    spec = chart.to_dict(validate=False)
    spec.pop("$schema", None)
    spec.pop("config", None)
    return dict(spec)


def _rows() -> Any:
    parse = alt.DataFormat(parse={"start": "utc:'%Y-%m-%d'", "end": "utc:'%Y-%m-%d'", "value": "number"})
    return alt.NamedData("rows", format=parse)


def _x(field: str = "end") -> Any:
    return alt.X(f"{field}:T", title=None, scale=alt.Scale(type="utc"), axis=alt.Axis(grid=False, labelOverlap=True))


def _y(unit: str, *, zero: bool = True) -> Any:
    return alt.Y("value:Q", title=unit or None, scale=alt.Scale(zero=zero, nice=True))


def _tips(*, member: bool = False) -> list[Any]:
    tips = [alt.Tooltip("label:N", title="period"), alt.Tooltip("shown:N", title="value")]
    return [*([alt.Tooltip("member:N")] if member else []), *tips, alt.Tooltip("words:N", title="status")]


def _notes() -> Any:
    parse = alt.DataFormat(parse={"date": "utc:'%Y-%m-%d'"})
    rules = alt.Chart(alt.NamedData("notes", format=parse)).mark_rule(color=GREY, strokeDash=[3, 3], strokeWidth=1.5)
    return rules.encode(
        x=_x("date"), tooltip=[alt.Tooltip("when:N", title="date"), alt.Tooltip("text:N", title="note")]
    )


def _targets() -> Any:
    parse = alt.DataFormat(parse={"from": "utc:'%Y-%m-%d'", "to": "utc:'%Y-%m-%d'", "value": "number"})
    rules = alt.Chart(alt.NamedData("targets", format=parse)).mark_rule(color=COLOURS[5], strokeWidth=2)
    return rules.encode(x=_x("from"), x2="to:T", y="value:Q", tooltip=[alt.Tooltip("text:N", title="target")])


def _line(unit: str, _period: str) -> Any:
    base = alt.Chart(_rows()).encode(x=_x())
    nearest = alt.selection_point(
        name="near", nearest=True, on="pointerover", fields=["end"], empty=False, clear="pointerout"
    )
    # A null breaks the line: a gap is seen as one.
    line = base.mark_line(color=COLOURS[0], strokeWidth=2).encode(y=_y(unit))
    marked = (
        base.transform_filter("datum.status != 'ok'")
        .mark_point(color=COLOURS[0], filled=False, size=14, strokeWidth=1)
        .encode(y=_y(unit))
    )
    picked = (
        base.mark_point(color=COLOURS[0], filled=True, size=70)
        .encode(y=_y(unit), opacity=alt.condition(nearest, alt.value(1), alt.value(0)), tooltip=_tips())
        .add_params(nearest)
    )
    return alt.layer(_targets(), _notes(), line, marked, picked)


def _bars(unit: str, period: str) -> Any:
    bars = (
        alt.Chart(_rows())
        .mark_bar(color=COLOURS[0], cornerRadiusEnd=2)
        .encode(
            x=_by_period(period),
            y=_y(unit),
            # What may still change, or rests on too little, is paler.
            opacity=alt.condition("datum.status == 'ok'", alt.value(1), alt.value(0.45)),
            tooltip=_tips(),
        )
    )
    return alt.layer(bars, _targets(), _notes())


def _by_period(period: str) -> Any:
    step = "utcyearquarter" if period == "quarter" else "utcyearmonth"
    return alt.X("start:T", title=None, scale=alt.Scale(type="utc"), timeUnit=step, axis=alt.Axis(grid=False))


def _lines(unit: str, period: str) -> Any:
    chosen = alt.selection_point(name="chosen", fields=["member"], bind="legend")
    base = alt.Chart(_rows()).encode(
        x=_x("end" if period == "day" else "start"),
        y=_y(unit),
        color=_colour(),
        opacity=alt.condition(chosen, alt.value(1), alt.value(0.15)),
        tooltip=_tips(member=True),
    )
    lines = base.mark_line(strokeWidth=2)
    return alt.layer(lines, base.mark_point(filled=True, size=30)).add_params(chosen)


def _stacked(unit: str, period: str) -> Any:
    chosen = alt.selection_point(name="chosen", fields=["member"], bind="legend")
    return (
        alt.Chart(_rows())
        .mark_bar()
        .encode(
            x=_by_period(period),
            y=alt.Y("value:Q", title=unit or None, stack="zero"),
            color=_colour(),
            opacity=alt.condition(chosen, alt.value(1), alt.value(0.2)),
            tooltip=_tips(member=True),
        )
        .add_params(chosen)
    )


def _ranked(unit: str, _period: str) -> Any:
    return (
        alt.Chart(_rows())
        .mark_bar(color=COLOURS[0], cornerRadiusEnd=2)
        .encode(
            y=alt.Y("member:N", title=None, sort=None, axis=alt.Axis(labelLimit=220)),
            x=alt.X("value:Q", title=unit or None),
            tooltip=_tips(member=True),
        )
    )


def _colour() -> Any:
    return alt.Color(
        "member:N", title=None, scale=alt.Scale(range=list(COLOURS)), legend=alt.Legend(orient="top", symbolLimit=8)
    )
