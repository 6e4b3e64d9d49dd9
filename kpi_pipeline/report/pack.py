"""The quarterly pack for stakeholders outside: PDF, slide, Markdown with charts, and data. Reads what is published.

What belongs here: which files there are. What never does: what they say (pack_content), draw (pack_charts) or look like
(typst/), and anything of the internal edition. It takes seconds to load: import it where a pack is made.
"""

import csv
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from kpi_pipeline import published
from kpi_pipeline.errors import ConfigError
from kpi_pipeline.published import NotPublishedError
from kpi_pipeline.report import charts, folders, pack_charts, pack_markdown, words
from kpi_pipeline.report import quarter as quarters
from kpi_pipeline.report.edition import Compared, Edition, Kpi
from kpi_pipeline.report.pack_content import COMMUNITY, Pack, Room, as_data, covers, fitted
from kpi_pipeline.report.press import Press
from kpi_pipeline.report.quarter import Quarter

FOLDER = "packs"
MOST_PAGES = 6
# Tried one after the other, until the pack has no more pages than that.
ROOMS = (
    Room(communities=60),
    Room(communities=60, caveats=False),
    Room(communities=40, caveats=False, definitions=False),
    Room(communities=24, charts=6, caveats=False, definitions=False),
)
SLIDE_PPI = 72  # the slide is 1920 by 1080 points
CHART_PPI = 144  # twice the size that it is read at
# What a spreadsheet takes for a formula; the site's CSV has the same rule.
FORMULA = re.compile(r"(?!-[\d.]+$)[-=+@\t\r]")
Tell = Callable[[int, int, str], None]


def build(
    published_folder: Path,
    quarter: str,
    out_folder: Path | None = None,
    tell: Tell = lambda _done, _total, _what: None,
) -> Path:
    """Makes the pack of a quarter; the same snapshot gives the same bytes.

    Args:
        published_folder: what is published, or a month of it as it was closed.
        quarter: such as 2026Q3.
        out_folder: where the packs are; default: packs in the published folder.
        tell: is told how much is done, of how much, and what comes.

    Returns:
        The pack's folder: a link that is swapped when all of it is there.

    Raises:
        NotPublishedError: nothing is published there, or by an older version.
        ConfigError: there is no such quarter in what is published.
    """
    with published.connect(published_folder) as snapshot:
        pack = _pack(snapshot, quarter)
        folder = (out_folder or published_folder / FOLDER) / pack.quarter.name
        folder.parent.mkdir(parents=True, exist_ok=True)
        with folders.replaced(folder) as aside:
            _write(pack, aside, tell)
    return folder


def _pack(snapshot: published.Published, name: str) -> Pack:
    if ("kpi_quarters",) not in snapshot.rows("select view_name from duckdb_views()"):
        raise NotPublishedError(
            snapshot.path,
            got="a snapshot without kpi_quarters, of an older version of this program",
            expected="a snapshot that holds it",
            fix="kpi run publishes one.",
        )
    edition = Edition(snapshot, "external")
    organisation = edition.organisation
    quarter = quarters.parse(name, organisation.fiscal_year_first_month)
    last = Quarter.of(organisation.as_of, organisation.fiscal_year_first_month)
    if edition.first_quarter is None:
        raise _refused(name, "no KPI that is published outside has a value", "at least one", "Look at kpi doctor.")
    first = Quarter(edition.first_quarter)
    known = f"a quarter from {first.name} to {last.name}, which holds the as-of day ({organisation.as_of})"
    if quarter.start > organisation.as_of:
        raise _refused(name, f"a quarter that hasn't begun ({covers(quarter)})", known, f"Name {last.name}, or wait.")
    pack = Pack(edition, quarter)
    if not pack.has_values():
        raise _refused(
            name, "a quarter without any value", known, f"Name {max(first, last.back(1)).name}, for example."
        )
    return pack


def _refused(name: str, got: str, expected: str, fix: str) -> ConfigError:
    return ConfigError(f"--quarter {name}", got=got, expected=expected, fix=fix)


def _write(pack: Pack, folder: Path, tell: Tell) -> None:
    name = f"kpis-{pack.quarter.name}"
    drawn = [chart for found in pack.drawn for chart in (found.chart, found.by) if chart is not None]
    steps = len(drawn) + 3

    tell(0, steps, f"{name}.pdf")
    data = as_data(pack)
    with Press() as press:
        for room in ROOMS:
            pdf = press.pdf("pack", fitted(data, room))
            if press.pages("pack") <= MOST_PAGES:
                break
        (folder / f"{name}.pdf").write_bytes(pdf)
        tell(1, steps, f"{name}-slide.png")
        (folder / f"{name}-slide.png").write_bytes(press.png("slide", data, SLIDE_PPI))
        (folder / "charts").mkdir()
        figures = {figure["name"]: figure for kpi in data["charts"] for figure in kpi["charts"]}
        for number, chart in enumerate(drawn, 2):
            file = pack_charts.name(chart)
            tell(number, steps, f"charts/{file}.png")
            svg = pack_charts.svg(chart, pack.quarter)
            picture = {**figures[file], "svg": svg, "width": pack_charts.FULL + 36}
            about = {"organisation": data["organisation"], "as_of": data["as_of"]}
            (folder / "charts" / f"{file}.png").write_bytes(press.png("chart", picture | about, CHART_PPI))
    tell(steps - 1, steps, f"{name}.md")
    pictures = {file: f"charts/{file}.png" for file in figures}
    (folder / f"{name}.md").write_text(pack_markdown.text(data, pictures), encoding="utf-8")
    _write_data(pack, folder / "data", {pack_charts.name(chart): chart for chart in drawn})


def _write_data(pack: Pack, folder: Path, drawn: dict[str, charts.Chart]) -> None:
    folder.mkdir()
    kpis = list(pack.edition.kpis.values())
    _csv(folder / "values.csv", VALUE_COLUMNS, (_value_row(pack, kpi) for kpi in kpis))
    _csv(folder / "communities.csv", MEMBER_COLUMNS, (row for kpi in kpis for row in _member_rows(pack, kpi)))
    _csv(
        folder / "definitions.csv",
        ("kpi_id", "title", "unit", "definition", "caveats", "sources", "definition_hash"),
        ((k.kpi_id, k.title, k.unit, k.meaning, k.caveats, ", ".join(k.sources), k.definition_hash) for k in kpis),
    )
    for file, chart in drawn.items():
        _csv(folder / f"{file}.csv", charts.COLUMNS, chart.rows)


PERIOD = ("period_start", "period_end", "value", "n", "status")
COMPARED = (
    "before_value", "before_status", "change", "change_percent",
    "year_ago_value", "year_ago_status", "year_change", "year_change_percent",
)  # fmt: skip
VALUE_COLUMNS = (
    "kpi_id", "title", "unit", "direction", *PERIOD, *COMPARED, "comparator", "target", "verdict", "definition_hash",
)  # fmt: skip
MEMBER_COLUMNS = ("kpi_id", COMMUNITY, *PERIOD, *COMPARED)


def _value_row(pack: Pack, kpi: Kpi) -> Sequence[str]:
    score = pack.score(kpi)
    verdict = (score.comparator or "", words.exact(score.target), score.status) if score else ("", "", "")
    return (kpi.kpi_id, kpi.title, kpi.unit, kpi.direction, *_numbers(pack.value(kpi)), *verdict, kpi.definition_hash)


def _member_rows(pack: Pack, kpi: Kpi) -> Iterable[Sequence[str]]:
    for member, found in pack.found.get(kpi.kpi_id, {}).get(COMMUNITY, {}).items():
        yield (kpi.kpi_id, member, *_numbers(found))


def _numbers(found: Any) -> Sequence[str]:
    if found is None:
        return [""] * (len(PERIOD) + len(COMPARED))
    own = (found.start.isoformat(), found.end.isoformat(), words.exact(found.value), words.exact(found.n), found.status)
    return (*own, *_compared(found.before), *_compared(found.year_ago))


def _compared(was: Compared | None) -> Sequence[str]:
    if was is None:
        return [""] * (len(COMPARED) // 2)
    return (words.exact(was.value), was.status, words.exact(was.change), words.exact(was.percent))


def _csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows([plain(cell) for cell in row] for row in rows)


def plain(cell: str) -> str:
    """A cell that a spreadsheet takes for no formula."""
    return f"'{cell}" if FORMULA.match(cell) else cell
