"""Small plots for asset metadata. Data in, picture out; no number is worked out here."""

import base64
import json
from collections.abc import Sequence
from datetime import date
from functools import cache
from typing import Any

import vl_convert

WIDTH, HEIGHT = 420, 140
# With so few labels there is nothing to avoid.
LABELS = {"labelOverlap": False, "labelFlush": False}


def line_plot(points: Sequence[tuple[date, float]], title: str, unit: str) -> str:
    """A line over time, as Markdown with the picture inside."""
    picture: dict[str, Any] = json.loads(_empty())
    picture["title"]["text"] = title
    picture["data"][0]["values"] = [{"date": day.isoformat(), "value": value} for day, value in points]
    for axis in picture["axes"]:
        if "title" in axis:
            axis["title"] = unit
    # A tenth of the size of a PNG: every event of a run is kept.
    drawn = base64.b64encode(vl_convert.vega_to_svg(picture).encode()).decode()
    return f"![{title}](data:image/svg+xml;base64,{drawn})"


@cache
def _empty() -> str:
    """The plot without its line, title and unit, as Vega: a night draws one for each KPI, and compiles none."""
    spec = {
        "$schema": "https://vega.github.io/schema/vega-lite/v5.json",
        "title": {"text": "title", "anchor": "start", "fontSize": 12},
        "width": WIDTH,
        "height": HEIGHT,
        "background": "white",
        # Within a picture nobody reads descriptions of its marks, and writing them takes a quarter of the time.
        "config": {"aria": False},
        "data": {"values": []},
        "mark": {"type": "line", "color": "#1f5a94", "strokeWidth": 2},
        "encoding": {
            "x": {
                "field": "date",
                "type": "temporal",
                "title": None,
                "axis": {"format": "%b %Y", "tickCount": 6, "grid": False, **LABELS},
            },
            "y": {"field": "value", "type": "quantitative", "title": "unit", "axis": {"tickCount": 4, **LABELS}},
        },
    }
    return json.dumps(vl_convert.vegalite_to_vega(spec))
