"""The pack's charts, for paper: SVG without a pointer to hover, so what the site shows in a tip stands in the picture.

A gap in the data is a gap, what isn't final is pale, and the quarter that is reported is shaded. The rows are those of
a chart's CSV (charts.Chart).
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import altair
import font_source_sans_pro
import vl_convert

from kpi_pipeline.report import charts, words
from kpi_pipeline.report.charts import COLOURS, Chart
from kpi_pipeline.report.edition import Kpi, Note, Point
from kpi_pipeline.report.press import CONTROL
from kpi_pipeline.report.quarter import Quarter

# Its own annotations don't know that a mark or a scale may be chosen at run time.
alt: Any = altair
Row = dict[str, Any]

FONT = "Source Sans Pro"
INK, SOFT, GRID, SHADE, PALE = "#1b1f24", "#545d68", "#e3e8ed", "#eef4f9", "#a9cbe4"
# In points, so that a chart stands on the page with the sizes of its own text.
FULL, HALF, HEIGHT, HALF_HEIGHT = 482, 230, 156, 92
SPARK = (230, 74)
SHAPES = ["circle", "square", "triangle-up", "diamond", "triangle-down", "cross", "triangle-left", "triangle-right"]
# The part of a chart's width that the number of a note takes.
NEAR = 0.04
# So many quarters are drawn: up to the same quarter a year before.
QUARTERS = 4
# Text is measured in the font that it is set in.
vl_convert.register_font_directory(font_source_sans_pro.font_directory)


def up_to(kpi: Kpi, quarter: Quarter) -> Kpi:
    """A KPI with what the pack draws of it: nothing after the quarter, and quarters of what isn't known by day."""
    first = quarter.back(QUARTERS).start
    kinds = {point.period for point in kpi.own}
    kind = next((kind for kind in ("day", "quarter", "month") if kind in kinds), "quarter")

    def chosen(points: Iterable[Point]) -> list[Point]:
        return [p for p in points if p.period == kind and first <= p.end <= quarter.end]

    points = {
        grain: {member: kept for member, found in members.items() if (kept := chosen(found))}
        for grain, members in kpi.points.items()
    }
    return replace(kpi, points={grain: members for grain, members in points.items() if members})


def own(kpi: Kpi, quarter: Quarter, currency: str, notes: list[Note]) -> Chart | None:
    """The KPI's own values; None where fewer than two are known."""
    chart = charts.of_kpi(up_to(kpi, quarter), currency, notes)
    return chart if sum(bool(row[3]) for row in chart.rows) > 1 else None


def by_dimension(kpi: Kpi, quarter: Quarter, dimension: str, currency: str) -> Chart | None:
    """The members of a dimension; None where there are none, one, or more than can be told apart."""
    chart = charts.by_dimension(up_to(kpi, quarter), dimension, currency)
    return chart if chart and len({row[0] for row in chart.rows}) > 1 else None


def name(chart: Chart) -> str:
    """The name of its files."""
    return chart.kpi_id if chart.name == "own" else f"{chart.kpi_id}-{chart.name}"


def svg(chart: Chart, quarter: Quarter, *, half: bool = False) -> str:
    """A chart with its axes."""
    size = (HALF, HALF_HEIGHT) if half else (FULL, HEIGHT)
    if chart.kind == "line":
        axes = _Axes(_dates(quarter), AMOUNTS)
        layers = [_band(axes), *_notes(axes), *_curves(axes), _end(axes), _figure(axes)]
        return _svg(layers, size, _daily(chart, quarter))
    if chart.kind == "lines":
        axes = _Axes(_dates(quarter), AMOUNTS)
        return _svg([_band(axes), *_lines(axes)], size, {**_monthly(chart), **_shaded(quarter)})
    return _svg(_bars(), size, _labelled(chart))


def spark(chart: Chart, quarter: Quarter) -> str:
    """The same without axes, for a headline: where it went, and where it ended."""
    if chart.kind != "line":
        return _svg(_bars(), SPARK, _labelled(chart))
    axes = _Axes(None, None)
    return _svg([_band(axes), *_curves(axes), _end(axes)], SPARK, _daily(chart, quarter))


def _svg(layers: list[Any], size: tuple[int, int], datasets: dict[str, list[Row]]) -> str:
    width, height = size
    spec = alt.layer(*layers).properties(width=width, height=height).to_dict(validate=False)
    spec |= {"autosize": {"type": "fit", "contains": "padding"}, "padding": 1, "background": None, "config": CONFIG}
    # Beside what Altair makes: it would look at every number.
    spec["datasets"] = datasets
    version = ".".join(altair.SCHEMA_VERSION.lstrip("v").split(".")[:2])
    return vl_convert.vegalite_to_svg(spec, vl_version=version)


CONFIG = {
    "font": FONT,
    "view": {"stroke": None},
    "axis": {
        "labelFontSize": 8.5,
        "labelColor": SOFT,
        "titleFontSize": 8.5,
        "titleColor": SOFT,
        "titleFontWeight": "normal",
        "gridColor": GRID,
        "domain": False,
        "ticks": False,
        "labelPadding": 5,
    },
    "text": {"font": FONT, "fontSize": 9, "color": INK},
    "legend": {
        "orient": "top",
        "labelFontSize": 9,
        "labelColor": INK,
        "symbolStrokeWidth": 1.5,
        "symbolSize": 34,
        "columnPadding": 9,
        "offset": 4,
        "title": None,
        "labelLimit": 150,
    },
}


def _daily(chart: Chart, quarter: Quarter) -> dict[str, list[Row]]:
    """A row per day: days without a row are gaps, which a line would run across."""
    known = {row[2]: row for row in chart.rows}
    days = _days(date.fromisoformat(chart.rows[0][2]), date.fromisoformat(chart.rows[-1][2]))
    rows = [_drawn(known.get(day.isoformat(), ("", "", day.isoformat(), "", "", "no data"))) for day in days]
    last = next(row for row in reversed(chart.rows) if row[3])
    end = {**_drawn(last), "shown": words.number(Decimal(last[3]))}
    return {"rows": rows, "last": [end], "notes": list(_placed(chart)), **_shaded(quarter)}


def _placed(chart: Chart) -> Iterator[Row]:
    """Notes by number: right of their rule, or left of it at the chart's end; lower where the one before is near."""
    first, last = _moment(date.fromisoformat(chart.rows[0][2])), _moment(date.fromisoformat(chart.rows[-1][2]))
    near = (last - first) * NEAR
    before, level = None, 0
    for number, (when, _) in enumerate(chart.notes, 1):
        at = _moment(date.fromisoformat(when))
        level = level + 1 if before is not None and at - before < near else 0
        before = at
        yield {"end": at, "shown": str(number), "level": level, "is_left": last - at < near}


def _days(first: date, last: date) -> Iterator[date]:
    for number in range((last - first).days + 1):
        yield first + timedelta(days=number)


def _monthly(chart: Chart) -> dict[str, list[Row]]:
    """A row per member and month: those without a row are gaps."""
    ends = sorted({row[2] for row in chart.rows})
    rows = []
    for member in dict.fromkeys(row[0] for row in chart.rows):
        known = {row[2]: row for row in chart.rows if row[0] == member}
        rows += [_drawn(known.get(end, (member, "", end, "", "", "no data"))) for end in ends]
    return {"rows": rows}


def _labelled(chart: Chart) -> dict[str, list[Row]]:
    """A row per period, with what stands on its bar and below."""
    rows = []
    for row in chart.rows:
        start = date.fromisoformat(row[1])
        when = words.quarter(start) if chart.period == "quarter" else words.month(start)
        shown = words.number(Decimal(row[3])) if row[3] else "\N{EN DASH}"
        at = {"at": float(row[3] or 0), "is_last": row is chart.rows[-1]}
        rows.append({**_drawn(row), **at, "when": when, "shown": shown})
    return {"rows": rows}


def _drawn(row: tuple[str, ...]) -> Row:
    value = float(row[3]) if row[3] else None
    is_final = row[5] == "ok"
    return {
        "member": row[0].translate(CONTROL),
        "end": _moment(date.fromisoformat(row[2])),
        "value": value,
        "final": value if is_final else None,
        "open": None if is_final else value,
    }


def _shaded(quarter: Quarter) -> dict[str, list[Row]]:
    """The days of the quarter that is reported."""
    return {"quarter": [{"end": _moment(quarter.start), "to": _moment(quarter.end)}]}


def _moment(day: date) -> int:
    """A day as Vega's milliseconds: of a text it would parse twice what two layers share."""
    return (day - date(1970, 1, 1)).days * 86_400_000


def _named(name: str) -> Any:
    return alt.Chart(alt.NamedData(name))


@dataclass(frozen=True)
class _Axes:
    """The axes that all layers of a chart share; None: it has none. One layer without them would take them from all."""

    dates: Any
    amounts: Any

    def x(self) -> Any:
        return alt.X("end:T", title=None, scale=alt.Scale(type="utc", nice=False), axis=self.dates)

    def y(self, field: str = "value") -> Any:
        return alt.Y(f"{field}:Q", title=None, scale=alt.Scale(zero=True, nice=True), axis=self.amounts)


def _dates(quarter: Quarter) -> Any:
    starts = [quarter.back(number).start for number in range(QUARTERS, -1, -1)]
    return alt.Axis(
        values=[alt.DateTime(year=day.year, month=day.month, date=day.day, utc=True) for day in starts],
        format="%b %Y",
        grid=False,
        title=None,
        labelAlign="left",
        labelPadding=6,
        labelFlush=False,
        labelOverlap=True,
        labelSeparation=4,
    )


AMOUNTS = altair.Axis(title=None, tickCount=4, format=",~f")


def _band(axes: _Axes) -> Any:
    return _named("quarter").mark_rect(color=SHADE).encode(x=axes.x(), x2="to:T")


def _curves(axes: _Axes) -> list[Any]:
    base = _named("rows").encode(x=axes.x())
    return [
        base.mark_line(color=PALE, strokeWidth=1.6).encode(y=axes.y("open")),
        base.mark_line(color=COLOURS[0], strokeWidth=1.8, strokeJoin="round").encode(y=axes.y("final")),
    ]


def _end(axes: _Axes) -> Any:
    dot = _named("last").mark_point(color=COLOURS[0], filled=True, opacity=1, size=34)
    return dot.encode(x=axes.x(), y=axes.y())


def _figure(axes: _Axes) -> Any:
    """The last value in figures, beside the chart: above its end it would meet notes. Vega makes room for it."""
    text = _named("last").mark_text(align="left", dx=7, fontWeight=600)
    return text.encode(x=axes.x(), y=axes.y(), text="shown:N")


def _notes(axes: _Axes) -> list[Any]:
    """Dated notes as rules with their number; what they say stands below the chart."""
    base = _named("notes").encode(x=axes.x())
    place = {
        "align": alt.expr("datum.is_left ? 'right' : 'left'"),
        "dx": alt.expr("datum.is_left ? -3 : 3"),
        "dy": alt.expr("10 * datum.level"),
    }
    text = base.mark_text(baseline="top", fontWeight=600, color=SOFT, **place)
    return [
        base.mark_rule(color=charts.GREY, strokeDash=[2, 2], strokeWidth=1),
        text.encode(text="shown:N", y=alt.value(1)),
    ]


def _lines(axes: _Axes) -> list[Any]:
    base = _named("rows").encode(x=axes.x(), y=axes.y())
    colours = alt.Scale(range=list(COLOURS))
    # Shapes as well as colours, for a copy in black and white. Only the points have a legend, of both in one: if lines
    # shared their scale of colours, there would be a legend of each.
    return [
        base.mark_line(strokeWidth=1.5).encode(stroke=alt.Stroke("member:N", scale=colours, legend=None)),
        base.mark_point(filled=True, size=17, opacity=1).encode(
            color=alt.Color("member:N", scale=colours), shape=alt.Shape("member:N", scale=alt.Scale(range=SHAPES))
        ),
    ]


def _bars() -> list[Any]:
    axis = alt.Axis(title=None, labelAngle=0, labelOverlap=True, labelPadding=4)
    base = _named("rows").encode(x=alt.X("when:O", sort=None, axis=axis, scale=alt.Scale(padding=0.3)))
    height = alt.Y("value:Q", scale=alt.Scale(zero=True), axis=None)
    final = base.transform_filter("isValid(datum.final)").mark_bar(cornerRadiusEnd=1.5)
    # An outline is a value that isn't final.
    unfinished = base.transform_filter("isValid(datum.open)").mark_bar(
        color="white", stroke=COLOURS[0], strokeDash=[3, 2], cornerRadiusEnd=1.5
    )
    colour = alt.condition("datum.is_last", alt.value(COLOURS[0]), alt.value(PALE))
    figures = base.mark_text(dy=-7, fontWeight=600).encode(text="shown:N", y=alt.Y("at:Q", axis=None))
    return [final.encode(y=height, color=colour), unfinished.encode(y=height), figures]
