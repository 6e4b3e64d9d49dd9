"""The tour in a real Jupyter kernel: it runs, its pictures are pictures, its numbers are right, and what is kept is so.

After a change of what is published: `make notebooks`.
"""

import base64
import json
import re
import struct
import subprocess
import sys
import zlib
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import nbformat
import polars as pl
import pytest

from kpi_pipeline_tests.end_to_end.commands import PROJECT, SAMPLE, environment, published
from kpi_pipeline_tests.end_to_end.test_published import usernames

TOUR = PROJECT / "notebooks" / "tour.ipynb"
LIMIT_BYTES = 700_000
# What each chapter shows: its pictures, and its tables of Polars.
SHOWN = {
    "1. Connect": (0, 2),
    "2. Headline KPIs": (1, 1),
    "3. Monthly active users by community, and percentiles": (2, 1),
    "4. Costs per user": (1, 2),
    "5. A scorecard": (1, 1),
    "6. How a number was made": (0, 4),
    "7. In other ways": (0, 2),
}


@dataclass(frozen=True)
class Tour:
    """The notebook, executed; its outputs by chapter."""

    notebook: Any

    def outputs(self, beginning: str = "") -> list[Any]:
        """Those of the chapter that begins so; default: all."""
        found, chapter = [], ""
        for cell in self.notebook.cells:
            if heading := re.search(r"^## (.+)$", cell.source, re.MULTILINE) if cell.cell_type == "markdown" else None:
                chapter = heading.group(1)
            if cell.cell_type == "code" and chapter.startswith(beginning):
                found += cell.outputs
        return found

    def chapters(self) -> list[str]:
        cells = [cell.source for cell in self.notebook.cells if cell.cell_type == "markdown"]
        return re.findall(r"^## (.+)$", "\n".join(cells), re.MULTILINE)

    def pictures(self, beginning: str = "") -> list[bytes]:
        found = [output.get("data", {}).get("image/png") for output in self.outputs(beginning)]
        return [base64.b64decode(png) for png in found if png]

    def tables(self, beginning: str = "") -> list[list[list[str]]]:
        """The cells of each table of a chapter, without its heading."""
        found = [output.get("data", {}).get("text/html", "") for output in self.outputs(beginning)]
        rows = [re.findall(r"<tr>(.*?)</tr>", html, re.DOTALL) for html in found if html]
        cells = [[re.findall(r"<td>(.*?)</td>", row, re.DOTALL) for row in table] for table in rows]
        return [[[cell.replace("&quot;", "") for cell in row] for row in table if row] for table in cells]

    def text(self, beginning: str = "") -> str:
        return "".join(output.get("text", "") for output in self.outputs(beginning))


@pytest.fixture(scope="module")
def executed(sample_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Tour:
    """Executed as `make notebooks` does it, from a working directory that is another."""
    into = tmp_path_factory.mktemp("notebooks")
    done = subprocess.run(
        [sys.executable, PROJECT / "scripts" / "notebooks.py", "--data-dir", sample_data, "--into", into],
        cwd=into,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return Tour(nbformat.read(into / TOUR.name, as_version=4))


@pytest.fixture(scope="module")
def kept() -> Tour:
    return Tour(nbformat.read(TOUR, as_version=4))


def test_nothing_fails_or_warns(executed: Tour) -> None:
    assert {output.output_type for output in executed.outputs()} == {"execute_result", "stream"}
    assert {output.name for output in executed.outputs() if output.output_type == "stream"} == {"stdout"}


def test_each_chapter_shows_what_it_speaks_of(executed: Tour) -> None:
    assert executed.chapters() == list(SHOWN)
    for chapter, (pictures, tables) in SHOWN.items():
        assert (len(executed.pictures(chapter)), len(executed.tables(chapter))) == (pictures, tables), chapter
    for png in executed.pictures():
        assert _colours(png) > 50


def _colours(png: bytes) -> int:
    """How many different bytes its pixels have; a blank one has few."""
    pixels, at = b"", 8
    while at < len(png):
        size, kind = struct.unpack(">I4s", png[at : at + 8])
        pixels += png[at + 8 : at + 8 + size] if kind == b"IDAT" else b""
        at += size + 12
    return len(set(zlib.decompress(pixels)))


def test_what_is_kept_is_what_it_gives(executed: Tour, kept: Tour) -> None:
    """Text, tables and sizes of pictures: how letters are drawn is the affair of a machine's fonts."""
    assert _said(kept) == _said(executed), "make notebooks"
    assert TOUR.stat().st_size < LIMIT_BYTES


def _said(tour: Tour) -> list[object]:
    said = []
    for output in tour.outputs():
        data = {kind: content for kind, content in output.get("data", {}).items() if kind != "image/png"}
        said.append((output.output_type, data, output.get("text"), output.get("metadata")))
    return said


def test_headlines_are_those_of_the_database(executed: Tour, sample_data: Path) -> None:
    with published(sample_data) as con:
        wanted = con.execute("select title, value from headlines order by title").fetchall()
    (table,) = executed.tables("2.")
    assert [(row[0], Decimal(row[1])) for row in table] == [(title, round(value, 2)) for title, value in wanted]


def test_percentiles_and_costs_are_those_of_the_sample(executed: Tour) -> None:
    """The truth of the sample is worked out from its simulated world, not by the pipeline."""
    truth = _truth("mau_percentiles.csv").filter(pl.col("date") == "2026-09-30").row(0, named=True)
    (table,) = executed.tables("3.")
    assert [Decimal(cell) for cell in table[-1][1:4]] == [round(Decimal(truth[p]), 2) for p in ("p10", "p50", "p90")]
    costs = _truth("cloud_cost_per_hub_user.csv").sort("month")
    months, types = executed.tables("4.")
    organisation = costs.filter(grain="organisation").tail(6)
    assert _rounded(months) == _rounded(organisation.select("month", "cost", "users", "cost_per_user", "idle_cost"))
    last = costs.filter(grain="hub_type", month="2026-09-01")
    wanted = _rounded(last.select("member", "cost", "users", "cost_per_user", "idle_cost"))
    assert sorted(_rounded(types)) == sorted(wanted)


def _rounded(table: list[list[str]] | pl.DataFrame) -> list[tuple[object, ...]]:
    """A name and four numbers of each row, to the two digits that are shown."""
    rows = table.rows() if isinstance(table, pl.DataFrame) else table
    return [(row[0], *(round(Decimal(cell), 2) for cell in row[1:5])) for row in rows]


def test_the_number_is_followed_to_its_end(executed: Tour, sample_data: Path) -> None:
    kpi = "engineering.cloud_cost_per_hub_user"
    with published(sample_data) as con:
        value, cost, users, fingerprint = con.execute(
            "select value, numerator, denominator, definition_hash from kpi_values where kpi_id = ? "
            "and grain = 'organisation' and period_end = date '2026-09-30'",
            [kpi],
        ).fetchall()[0]
    text = executed.text("6.")
    assert f"{cost:,.2f} / {users:,.0f} = {value}, published: {value}" in text
    assert text.count(fingerprint) == 2


def test_nothing_personal_and_nothing_of_a_machine(kept: Tour) -> None:
    text = json.dumps([[cell.source, cell.get("outputs")] for cell in kept.notebook.cells]).lower()
    text = re.sub(r'"image/png": "[^"]*"', "", text)
    assert not re.search(r"[\w.+-]+@[\w-]+\.\w", text)
    assert not re.search(r"/(?:work|root|home|users|tmp|mnt|usr|dev|var)/", text)
    assert not [name for name in usernames() if name in text]
    assert set(kept.notebook.metadata) == {"kernelspec"}


def _truth(name: str) -> pl.DataFrame:
    return pl.read_csv(SAMPLE / "truth" / name, infer_schema=False)
