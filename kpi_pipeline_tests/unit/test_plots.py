"""The small plots of assets: what was given stands in the picture, at the place where it belongs."""

import base64
import re
import signal
import subprocess
import sys
import time
from datetime import date
from pathlib import Path
from xml.etree.ElementTree import Element

import pytest
from defusedxml.ElementTree import fromstring

from kpi_pipeline.assets.plots import HEIGHT, WIDTH, PlotError, line_plot


def _drawn(plot: str) -> Element:
    found = re.fullmatch(r"!\[[^]]*\]\(data:image/svg\+xml;base64,([^)]+)\)", plot)
    assert found, plot
    return fromstring(base64.b64decode(found[1]).decode())  # type: ignore[no-any-return]


def _texts(picture: Element) -> list[str]:
    return [text for part in picture.iter() if part.tag.endswith("text") if (text := "".join(part.itertext()))]


def _lines(picture: Element) -> list[list[tuple[float, float]]]:
    paths = [part.get("d", "") for part in picture.iter() if part.get("stroke") == "#1f5a94"]
    return [[(float(x), float(y)) for x, y in re.findall(r"[ML]([\d.]+),([\d.]+)", path)] for path in paths]


def test_a_plot_has_its_points_title_and_unit() -> None:
    """Three days as far from each other, from nothing to the top of the axis."""
    days = [date(2026, 1, 1), date(2026, 4, 1), date(2026, 6, 30)]
    picture = _drawn(line_plot(list(zip(days, [0.0, 50.0, 100.0], strict=True)), "Uptime", "percent"))
    assert _lines(picture) == [[(0, HEIGHT), (WIDTH / 2, HEIGHT / 2), (WIDTH, 0)]]
    texts = _texts(picture)
    assert {"Uptime", "percent", "Apr 2026", "0", "100"} <= set(texts)
    assert "title" not in texts
    assert "unit" not in texts


def test_a_plot_has_nothing_of_the_one_before() -> None:
    first = [(date(2026, 1, 1), 1.0), (date(2026, 1, 2), 2.0)]
    alone = line_plot(first, "First", "people")
    line_plot([(date(2020, 5, 1), 900.0), (date(2020, 6, 1), 700.0)], "Second", "hours")
    assert line_plot(first, "First", "people") == alone


def test_the_program_that_draws_is_started_anew_after_it_has_ended() -> None:
    points = [(date(2026, 1, 1), 1.0), (date(2026, 1, 2), 2.0)]
    drawn = line_plot(points, "Uptime", "percent")
    with pytest.raises(PlotError, match="the program that draws: got its end, with exit code 1"):
        line_plot(points, "Uptime", {"signal": "no expression ("})  # type: ignore[arg-type]
    assert line_plot(points, "Uptime", "percent") == drawn


def test_the_program_that_draws_ends_with_who_started_it() -> None:
    """However that ends: here without a word."""
    script = (
        "import os; from kpi_pipeline.assets import plots; plots._PROGRAM.begin(); "
        "print(plots._PROGRAM._running.pid, flush=True); os.kill(os.getpid(), 9)"
    )
    started = subprocess.run([sys.executable, "-c", script], capture_output=True, check=False, text=True)
    assert started.returncode == -signal.SIGKILL, started.stderr
    until = time.monotonic() + 20
    while _lives(int(started.stdout)):
        assert time.monotonic() < until
        time.sleep(0.05)


def _lives(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text(encoding="utf-8").rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False
