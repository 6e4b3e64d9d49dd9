"""The kinds of chart, as Altair writes them: into a file of the package, by scripts/chart_kinds.py.

A run reads that file (charts.py) and never loads this; a test says when they differ.
"""

import json
from itertools import combinations
from typing import Any

import altair

from kpi_pipeline.report.charts import COLOURS, GREY, LAYERS, OVER, UNIT, Kind, named

# Its own annotations don't know that a time unit may be chosen at run time.
alt: Any = altair

# No label without its year: a day's is shown where it isn't the first of a month. Bars begin at their label; the last
# tick is where they end.
BY_DAY = "utcFormat(datum.value, utcdate(datum.value) === 1 ? '%b %Y' : '%-d %b %Y')"
BY_PERIOD = {
    "day": BY_DAY,
    "month": "datum.value < domain('x')[1] ? utcFormat(datum.value, '%b %Y') : ''",
    "quarter": "datum.value < domain('x')[1] ? utcFormat(datum.value, '%YQ%q') : ''",
}


def written() -> str:
    """The file: every kind, over every period, with every choice of what may lie on it."""
    version = ".".join(altair.SCHEMA_VERSION.lstrip("v").split(".")[:2])
    kinds = {
        named(name, period, layers): _kind(name, period, layers)
        for name, possible in LAYERS.items()
        for period in OVER
        for count in range(len(possible) + 1)
        for layers in combinations(possible, count)
    }
    lines = [f"{json.dumps(name)}: {json.dumps(kind)}" for name, kind in kinds.items()]
    return f'{{"vega_lite": {json.dumps(version)}, "kinds": {{\n' + ",\n".join(lines) + "\n}}\n"


def _kind(name: Kind, period: str, layers: tuple[str, ...]) -> dict[str, Any]:
    made: dict[Kind, Any] = {"line": _line, "bars": _bars, "lines": _lines, "stacked": _stacked}
    chart = made[name](period)
    # Only layers that have rows: an empty one would spoil the scales.
    under = [_notes()] if "notes" in layers else []
    over = {"marks": _marks, "targets": _targets}
    above = [make(period) for layer, make in over.items() if layer in layers]
    if under or above:
        chart = alt.layer(*under, chart, *above)
    chart = chart.properties(width="container", height=280)
    spec: dict[str, Any] = chart.to_dict(validate=False)
    spec.pop("$schema", None)
    spec.pop("config", None)
    return spec


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


def _colour() -> Any:
    return alt.Color(
        "member:N", title=None, scale=alt.Scale(range=list(COLOURS)), legend=alt.Legend(orient="top", symbolLimit=8)
    )
