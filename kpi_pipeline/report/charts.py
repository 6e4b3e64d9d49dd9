"""Charts as Vega-Lite: a few kinds, written by Altair once each, that any series fits into. No data is in a kind.

A chart's rows are those of its table and of its CSV: text, every digit. What is drawn is made of it: dates as
milliseconds since 1970, values as floats.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Literal

import altair

from kpi_pipeline.report import words
from kpi_pipeline.report.edition import Kpi, Note, Point

# Its own annotations don't know that a time unit may be chosen at run time.
alt: Any = altair

# Okabe and Ito's colours, which the colour-blind can tell apart; blue first, since most charts have one series.
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#8C6BB1", "#6E6E6E")
GREY = "#767676"
MOST_SERIES = len(COLOURS)
COLUMNS = ("member", "period_start", "period_end", "value", "n", "status")
OVER = {"day": "daily", "month": "by month", "quarter": "by quarter"}
# An edition has members by the end of each month where values are of days.
OVER_MEMBERS = {**OVER, "day": "at the end of each month, and now"}
# No label without its year: a day's is shown where it isn't the first of a month. Bars begin at their label; the last
# tick is where they end.
BY_DAY = "utcFormat(datum.value, utcdate(datum.value) === 1 ? '%b %Y' : '%-d %b %Y')"
BY_PERIOD = {
    "day": BY_DAY,
    "month": "datum.value < domain('x')[1] ? utcFormat(datum.value, '%b %Y') : ''",
    "quarter": "datum.value < domain('x')[1] ? utcFormat(datum.value, '%YQ%q') : ''",
}
# Where the unit will stand.
UNIT = "@unit"
Kind = Literal["line", "bars", "lines", "stacked", "ranked"]


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
        layers = {
            "targets": bool(self.targets),
            "notes": bool(self.notes),
            "marks": self.kind == "line" and bool(self.unsettled),
        }
        return kind(self.kind, self.unit, self.period, tuple(name for name, is_there in layers.items() if is_there))

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
    # Only the name of an axis is another one: making a chart anew takes as long as drawing it.
    spec: dict[str, Any] = json.loads(_kind(name, period, layers).replace(json.dumps(UNIT), json.dumps(unit or None)))
    return spec


@cache
def _kind(name: Kind, period: str, layers: tuple[str, ...]) -> str:
    made: dict[Kind, Any] = {"line": _line, "bars": _bars, "lines": _lines, "stacked": _stacked, "ranked": _ranked}
    chart = made[name](period)
    # Only layers that have rows: an empty one would spoil the scales.
    under = [_notes()] if "notes" in layers else []
    over = {"marks": _marks, "targets": _targets}
    above = [make(period) for layer, make in over.items() if layer in layers]
    if under or above:
        chart = alt.layer(*under, chart, *above)
    chart = chart.properties(width="container", height=280)
    spec = chart.to_dict(validate=False)
    spec.pop("$schema", None)
    spec.pop("config", None)
    return json.dumps(spec)


def _rows() -> Any:
    return alt.NamedData("rows")


def _x(field: str, period: str) -> Any:
    return alt.X(f"{field}:T", title=None, scale=alt.Scale(type="utc"), axis=_axis(BY_PERIOD[period]))


def _axis(labels: str) -> Any:
    return alt.Axis(grid=False, labelOverlap=True, labelExpr=labels, labelFlush=True)


def _at(field: str) -> Any:
    """Where a rule stands, by the axis of what it stands on."""
    return alt.X(f"{field}:T", title=None, scale=alt.Scale(type="utc"))


def _y(*, zero: bool = True) -> Any:
    return alt.Y("value:Q", title=UNIT, scale=alt.Scale(zero=zero, nice=True))


def _tips(*, member: bool = False) -> list[Any]:
    tips = [alt.Tooltip("label:N", title="period"), alt.Tooltip("shown:N", title="value")]
    return [*([alt.Tooltip("member:N")] if member else []), *tips, alt.Tooltip("words:N", title="status")]


def _notes() -> Any:
    rules = alt.Chart(alt.NamedData("notes")).mark_rule(color=GREY, strokeDash=[3, 3], strokeWidth=1.5)
    return rules.encode(
        x=_at("date"), tooltip=[alt.Tooltip("when:N", title="date"), alt.Tooltip("text:N", title="note")]
    )


def _targets(_period: str) -> Any:
    rules = alt.Chart(alt.NamedData("targets")).mark_rule(color=COLOURS[5], strokeWidth=2)
    return rules.encode(x=_at("from"), x2="to:T", y="value:Q", tooltip=[alt.Tooltip("text:N", title="target")])


def _line(period: str) -> Any:
    base = alt.Chart(_rows()).encode(x=_x("end", period))
    nearest = alt.selection_point(
        name="near", nearest=True, on="pointerover", fields=["end"], empty=False, clear="pointerout"
    )
    # A null breaks the line: a gap is seen as one.
    line = base.mark_line(color=COLOURS[0], strokeWidth=2).encode(y=_y())
    picked = (
        base.mark_point(color=COLOURS[0], filled=True, size=70)
        .encode(y=_y(), opacity=alt.condition(nearest, alt.value(1), alt.value(0)), tooltip=_tips())
        .add_params(nearest)
    )
    return alt.layer(line, picked)


def _marks(period: str) -> Any:
    """Rings on a line where a value may still change, or rests on too little."""
    base = alt.Chart(_rows()).transform_filter("datum.status != 'ok'")
    return base.mark_point(color=COLOURS[0], filled=False, size=14, strokeWidth=1).encode(x=_x("end", period), y=_y())


def _bars(period: str) -> Any:
    return (
        alt.Chart(_rows())
        .mark_bar(color=COLOURS[0], cornerRadiusEnd=2)
        .encode(
            x=_by_period(period),
            y=_y(),
            # What may still change, or rests on too little, is paler.
            opacity=alt.condition("datum.status == 'ok'", alt.value(1), alt.value(0.45)),
            tooltip=_tips(),
        )
    )


def _by_period(period: str) -> Any:
    step = "utcyearquarter" if period == "quarter" else "utcyearmonth"
    return alt.X("start:T", title=None, scale=alt.Scale(type="utc"), timeUnit=step, axis=_bar_axis(period))


def _bar_axis(period: str) -> Any:
    return alt.Axis(grid=False, labelOverlap=True, labelExpr=BY_PERIOD[period], labelAlign="left")


def _lines(period: str) -> Any:
    chosen = alt.selection_point(name="chosen", fields=["member"], bind="legend")
    base = alt.Chart(_rows()).encode(
        x=_x("end" if period == "day" else "start", period),
        y=_y(),
        color=_colour(),
        opacity=alt.condition(chosen, alt.value(1), alt.value(0.15)),
        tooltip=_tips(member=True),
    )
    lines = base.mark_line(strokeWidth=2)
    return alt.layer(lines, base.mark_point(filled=True, size=30)).add_params(chosen)


def _stacked(period: str) -> Any:
    chosen = alt.selection_point(name="chosen", fields=["member"], bind="legend")
    return (
        alt.Chart(_rows())
        .mark_bar()
        .encode(
            x=_by_period(period),
            y=alt.Y("value:Q", title=UNIT, stack="zero"),
            color=_colour(),
            opacity=alt.condition(chosen, alt.value(1), alt.value(0.2)),
            tooltip=_tips(member=True),
        )
        .add_params(chosen)
    )


def _ranked(_period: str) -> Any:
    return (
        alt.Chart(_rows())
        .mark_bar(color=COLOURS[0], cornerRadiusEnd=2)
        .encode(
            y=alt.Y("member:N", title=None, sort=None, axis=alt.Axis(labelLimit=220)),
            x=alt.X("value:Q", title=UNIT),
            tooltip=_tips(member=True),
        )
    )


def _colour() -> Any:
    return alt.Color(
        "member:N", title=None, scale=alt.Scale(range=list(COLOURS)), legend=alt.Legend(orient="top", symbolLimit=8)
    )
