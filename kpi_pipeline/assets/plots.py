"""Small plots for asset metadata. Data in, picture out; no number is worked out here.

They are drawn by this module as a program of its own, since vl-convert lets nothing else of a process run meanwhile.
"""

import base64
import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from functools import cache
from threading import Lock
from typing import Any, TextIO

import vl_convert

from kpi_pipeline.errors import KpiError

WIDTH, HEIGHT = 420, 140
# With so few labels there is nothing to avoid.
LABELS = {"labelOverlap": False, "labelFlush": False}


class PlotError(KpiError):
    """A plot could not be drawn."""


def line_plot(points: Sequence[tuple[date, float]], title: str, unit: str) -> str:
    """A line over time, as Markdown with the picture inside.

    Raises:
        PlotError: the program that draws has ended.
    """
    picture = _PROGRAM.draw([(day.isoformat(), value) for day, value in points], title, unit)
    # A tenth of the size of a PNG: every event of a run is kept.
    return f"![{title}](data:image/svg+xml;base64,{base64.b64encode(picture.encode()).decode()})"


@contextmanager
def at_hand() -> Iterator[None]:
    """Has the program that draws ready until the end. Else it is started for the first plot, in half a second."""
    _PROGRAM.begin()
    try:
        yield
    finally:
        _PROGRAM.end()


class _Program:
    """The program that draws, started when it is needed. It ends with the process that started it, in any case."""

    def __init__(self) -> None:
        self._turn = Lock()
        self._running: subprocess.Popen[str] | None = None

    def begin(self) -> subprocess.Popen[str]:
        if self._running is None or self._running.poll() is not None:
            self._running = subprocess.Popen(  # noqa: S603  # this module
                [sys.executable, "-m", __name__],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                encoding="utf-8",
                # Ctrl-C is meant for the run, which ends it by closing its input.
                start_new_session=True,
            )
        return self._running

    def end(self) -> None:
        with self._turn:
            if self._running is not None:
                self._running.communicate()
                self._running = None

    def draw(self, *asked: Any) -> str:
        with self._turn:
            program = self.begin()
            try:
                print(json.dumps(asked), file=program.stdin, flush=True)
                drawn = program.stdout.readline() if program.stdout else ""
            except BrokenPipeError:
                drawn = ""
            if not drawn.endswith("\n"):
                raise PlotError(
                    f"{__name__}, the program that draws",
                    got=f"its end, with exit code {program.wait()}",
                    expected="a picture",
                    fix="What it said is above. Run again: it is started anew.",
                )
        return str(json.loads(drawn))


_PROGRAM = _Program()


def _draw_all(asked: TextIO, drawn: TextIO) -> None:
    """A picture for each line, until there are no more: JSON of the points, title and unit, and JSON of an SVG."""
    for line in asked:
        print(json.dumps(_svg(*json.loads(line))), file=drawn, flush=True)


def _svg(points: Sequence[tuple[str, float]], title: str, unit: str) -> str:
    picture: dict[str, Any] = json.loads(_empty())
    picture["title"]["text"] = title
    picture["data"][0]["values"] = [{"date": day, "value": value} for day, value in points]
    for axis in picture["axes"]:
        if "title" in axis:
            axis["title"] = unit
    return vl_convert.vega_to_svg(picture)


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


if __name__ == "__main__":
    # Ready before the first is asked for.
    _empty()
    _draw_all(sys.stdin, sys.stdout)
