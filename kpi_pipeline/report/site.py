"""The site: pages that open from a disk or any web server, and ask nobody for anything.

What belongs here: which pages there are, and what is on each. What never does: how a number is written (words), drawn
(charts) or chosen (edition), and anything that isn't published.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from functools import cache, partial
from importlib import resources
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from kpi_pipeline.published import Published, connect
from kpi_pipeline.report import charts, vega, words
from kpi_pipeline.report.charts import Chart
from kpi_pipeline.report.edition import Audience, Edition, Figure, Kpi, Point, Score
from kpi_pipeline.report.folders import replaced

SITE = "site"
AUDIENCES: tuple[Audience, ...] = ("internal", "external")
SPARK_POINTS, SPARK_WIDTH, SPARK_HEIGHT = 90, 200, 46
DAYS_SHOWN = 400
SCORED = ("met", "near", "missed", "insufficient", "stale", "no data", "exempt", "no target")


@dataclass(frozen=True)
class Part:
    """A section of the site: whose KPIs are on it, and which of their breakdowns are drawn how.

    Args:
        themes: of the organisation's document.
        first: charts of the first screen, as KPI ids, or id and dimension.
    """

    file: str
    title: str
    short: str
    about: str
    themes: tuple[str, ...]
    first: tuple[tuple[str, str | None], ...] = ()


PARTS = (
    Part(
        "infrastructure.html",
        "Running infrastructure and active users",
        "Infrastructure",
        "The hubs and clusters that run, and how many people use them.",
        ("impact", "running_infrastructure"),
        (("impact.monthly_active_users", None), ("impact.communities_served", None)),
    ),
    Part(
        "finances.html",
        "Finances",
        "Finances",
        "Revenue and costs by category, recognised in the month that they are for.",
        ("sustainability",),
        (("sustainability.monthly_revenue", "category"), ("sustainability.monthly_operational_costs", "category")),
    ),
    Part(
        "upstream.html",
        "Upstream",
        "Upstream",
        "Contributions to the open source projects that the hubs depend on.",
        ("upstream",),
        (("upstream.upstream_contributions", "kind"),),
    ),
    Part(
        "engineering.html",
        "Engineering",
        "Engineering",
        "What it costs and how long it takes to run hubs and to close issues.",
        ("engineering",),
    ),
    Part(
        "guidance.html",
        "Guidance and impact",
        "Guidance",
        "Support, satisfaction, and what came of the use of the hubs.",
        ("community_guidance", "qualitative", "impact_centric"),
    ),
)
# Amounts of members that sum to the whole.
STACKED = {
    "sustainability.monthly_revenue",
    "sustainability.monthly_operational_costs",
    "upstream.upstream_contributions",
    "community_guidance.nbgitpuller_clicks",
    "impact_centric.publications_from_hubs",
}


@dataclass
class Section:
    """A part, filled."""

    part: Part
    kpis: list[Kpi]
    groups: list[tuple[Kpi, list[Chart]]] = field(default_factory=list)
    charts: list[Chart] = field(default_factory=list)

    @property
    def file(self) -> str:
        return self.part.file

    @property
    def title(self) -> str:
        return self.part.title

    @property
    def about(self) -> str:
        return self.part.about


Tell = Callable[[int, int, str], None]


def build(published: Published, folder: Path, kept: Path, tell: Tell = lambda _done, _total, _what: None) -> list[Path]:
    """Writes both editions into an empty folder, `internal/` and `external/`; the same database gives the same bytes.

    Args:
        kept: where what is the same in every site stays between runs.
        tell: is told how many pages are done, of how many in all, and which comes.

    Returns:
        The pages.
    """
    written: list[Path] = []
    program = vega.script(kept)
    editions = [Edition(published, audience) for audience in AUDIENCES]
    # One for both: templates are compiled once.
    environment = _environment(editions[0].organisation.currency)
    sites = [_Site(edition, folder / edition.audience, environment, program) for edition in editions]
    total = sum(len(site.pages) for site in sites)
    for site in sites:
        done = len(written)
        written += site.write(lambda number, what, done=done: tell(done + number, total, what))  # type: ignore[misc]
    return written


def write(folder: Path, tell: Tell = lambda _done, _total, _what: None) -> Path:
    """Builds the site of what is published in a folder, and swaps it in as its `site`.

    Raises:
        NotPublishedError: nothing is published there yet.
    """
    target = folder / SITE
    with connect(folder) as published, replaced(target) as aside:
        build(published, aside, aside.parent, tell)
    return target


class _Site:
    """One edition."""

    def __init__(self, edition: Edition, folder: Path, environment: jinja2.Environment, program: bytes) -> None:
        self.edition, self.folder, self.environment, self.program = edition, folder, environment, program
        self.currency = edition.organisation.currency
        self.sections = list(_sections(edition))
        self.latest_score = {
            kpi_id: [score for score in edition.scores if score.kpi_id == kpi_id] for kpi_id in edition.kpis
        }
        self.pages = list(self._pages())

    def write(self, tell: Callable[[int, str], None]) -> list[Path]:
        for number, (file, make) in enumerate(self.pages):
            tell(number, f"{self.edition.audience}/{file}")
            path = self.folder / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(make(), encoding="utf-8")
        self._assets()
        return [self.folder / file for file, _ in self.pages]

    def _pages(self) -> Iterator[tuple[str, Callable[[], str]]]:
        yield "index.html", self._index
        for section in self.sections:
            yield section.file, partial(self._section, section)
        if self.edition.scores:
            yield "scorecards.html", self._scorecards
        if self.edition.communities:
            yield "communities.html", self._communities
            for community in self.edition.communities:
                yield _community_file(community["community"]), partial(self._community, community)
        yield "definitions.html", self._definitions
        if self.edition.health:
            yield "health.html", self._health
        for kpi in self.edition.kpis.values():
            yield kpi_file(kpi), partial(self._kpi, kpi)

    def _index(self) -> str:
        drawn = []
        for section in self.sections:
            section.charts = [chart for pair in section.part.first if (chart := self._first_chart(*pair)) is not None]
            if section.charts:
                drawn.append(section)
        counts = [(status, sum(s.status == status for s in self._closed())) for status in SCORED]
        health = [row for row in self.edition.health if row["freshness"] != "not connected"]
        return self._render(
            "index.html",
            "index.html.j2",
            "Overview",
            headlines=self.edition.headlines,
            sections=drawn,
            tally=[(status, count) for status, count in counts if count],
            late=[words_of(row["source"]) for row in health if row["freshness"] in ("late", "no data")],
            connected=len(health),
            charts=True,
        )

    def _first_chart(self, kpi_id: str, dimension: str | None) -> Chart | None:
        kpi = self.edition.kpis.get(kpi_id)
        if kpi is None:
            return None
        if dimension is None:
            chart: Chart | None = charts.of_kpi(kpi, self.currency, self.edition.notes_on(kpi_id), DAYS_SHOWN)
        else:
            chart = charts.by_dimension(kpi, dimension, self.currency, "stacked" if kpi_id in STACKED else None)
        return chart if chart and chart.has_values else None

    def _section(self, section: Section) -> str:
        section.groups = [(kpi, self._charts_of(kpi, DAYS_SHOWN)) for kpi in section.kpis]
        return self._render(
            section.file, "section.html.j2", section.title, section=section, charts=any(d for _, d in section.groups)
        )

    def _charts_of(self, kpi: Kpi, days: int | None = None) -> list[Chart]:
        """Its own values, and those by each dimension that has few enough members to be told apart."""
        own = charts.of_kpi(kpi, self.currency, self.edition.notes_on(kpi.kpi_id), days)
        kind: charts.Kind | None = "stacked" if kpi.kpi_id in STACKED else None
        drawn = [charts.by_dimension(kpi, d, self.currency, kind) for d in kpi.dimensions if d != kpi.own_grain]
        every = (own, charts.against_target(kpi, self.currency), *drawn)
        return [chart for chart in every if chart and chart.has_values]

    def _kpi(self, kpi: Kpi) -> str:
        scores = self.latest_score[kpi.kpi_id]
        closed = [score for score in scores if score.is_closed]
        is_on_hubs = "hub_activity" in kpi.sources
        drawn = self._charts_of(kpi)
        return self._render(
            kpi_file(kpi),
            "kpi.html.j2",
            kpi.title,
            kpi=kpi,
            drawn=drawn,
            charts=bool(drawn),
            scores=scores,
            scored=(closed or scores or [None])[-1],  # type: ignore[list-item]
            notes=self.edition.notes_on(kpi.kpi_id),
            freshness=self.edition.freshness,
            exclusions=self.edition.exclusions if is_on_hubs else [],
            latest_by=[(d, points) for d in kpi.dimensions if d != kpi.own_grain and (points := _latest(kpi, d))],
        )

    def _scorecards(self) -> str:
        roles: dict[str, list[tuple[Kpi, Score | None, Score | None]]] = {}
        for kpi in self.edition.kpis.values():
            if not kpi.role or not (scores := self.latest_score[kpi.kpi_id]):
                continue
            closed = [score for score in scores if score.is_closed]
            running = [score for score in scores if not score.is_closed]
            roles.setdefault(kpi.role, []).append(
                (kpi, closed[-1] if closed else None, running[-1] if running else None)
            )
        return self._render("scorecards.html", "scorecards.html.j2", "Role scorecards", roles=sorted(roles.items()))

    def _closed(self) -> list[Score]:
        """The score of the last closed period of each KPI."""
        return [
            closed[-1]
            for scores in self.latest_score.values()
            if (closed := [score for score in scores if score.is_closed])
        ]

    def _communities(self) -> str:
        mau = self.edition.kpis["impact.monthly_active_users"].by("community")
        rows = [
            {
                **community,
                "file": _community_file(community["community"]),
                "mau": mau[name][-1].value if (name := community["community"]) in mau else None,
            }
            for community in self.edition.communities
        ]
        return self._render("communities.html", "communities.html.j2", "Communities", communities=rows)

    def _community(self, community: dict[str, Any]) -> str:
        name = community["community"]
        with_values = [(kpi, points) for kpi in self.edition.kpis.values() if (points := kpi.by("community").get(name))]
        drawn = [
            charts.of_member(kpi, "community", points, self.currency, self.edition.notes_on(kpi.kpi_id))
            for kpi, points in with_values
            if len(points) > 1
        ]
        drawn = [chart for chart in drawn if chart.has_values]
        return self._render(
            _community_file(name),
            "community.html.j2",
            name,
            community=community,
            drawn=drawn,
            charts=bool(drawn),
            values=[(kpi, points[-1]) for kpi, points in with_values],
        )

    def _definitions(self) -> str:
        groups: dict[str, list[Kpi]] = {}
        for kpi in sorted(self.edition.kpis.values(), key=lambda kpi: (kpi.role or "", kpi.kpi_id)):
            groups.setdefault(kpi.role or kpi.theme or "other", []).append(kpi)
        return self._render("definitions.html", "definitions.html.j2", "Definitions", groups=list(groups.items()))

    def _health(self) -> str:
        return self._render(
            "health.html",
            "health.html.j2",
            "Data health",
            health=[row for row in self.edition.health if row["freshness"] != "not connected"],
            parts_of_sources=self.edition.parts,
            exclusions=self.edition.exclusions,
        )

    def _render(self, file: str, template: str, title: str, **more: Any) -> str:
        return self.environment.get_template(template).render(
            organisation=self.edition.organisation,
            audience=self.edition.audience,
            navigation=self._navigation(),
            current=file,
            root="../" * file.count("/"),
            title=title,
            data_until=self._data_until,
            **{"charts": False, **more},
        )

    def _navigation(self) -> list[dict[str, str]]:
        pages = [("index.html", "Overview"), *((section.file, section.part.short) for section in self.sections)]
        if self.edition.scores:
            pages.append(("scorecards.html", "Roles"))
        if self.edition.communities:
            pages.append(("communities.html", "Communities"))
        pages.append(("definitions.html", "Definitions"))
        if self.edition.health:
            pages.append(("health.html", "Data health"))
        return [{"file": file, "short": short} for file, short in pages]

    def _assets(self) -> None:
        folder = self.folder / "assets"
        folder.mkdir(parents=True, exist_ok=True)
        static = resources.files("kpi_pipeline").joinpath("report", "static")
        for name in ("style.css", "report.js"):
            (folder / name).write_bytes(static.joinpath(name).read_bytes())
        (folder / "vega.js").write_bytes(self.program)

    def _data_until(self, kpi: Kpi) -> tuple[date | None, bool]:
        """The newest day of which all its sources that have a deadline have data; and whether one is late."""
        sources = [freshness for source in kpi.sources if (freshness := self.edition.freshness.get(source))]
        return min((until for until, _ in sources), default=None), any(is_late for _, is_late in sources)


def _environment(currency: str) -> jinja2.Environment:
    """The templates, with how they write things."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("kpi_pipeline", "report/templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "day": words.day,
        "short_day": words.short_day,
        "number": words.number,
        "unit": partial(words.unit, currency=currency),
        "status": words.status,
        "slug": words.slug,
        "words": words_of,
        "page": kpi_file,
        "spark": spark,
        "change": lambda point: words.change(point.change, point.percent),
        "period": _period,
        "score_period": _score_period,
        "before": lambda kpi: BEFORE[kpi.period],
        "data": partial(_data, currency=currency),
        "value_of": lambda value, kpi: words.with_unit(value, kpi.unit, currency),
        "title_in": lambda title, role: title.removesuffix(f": {role}"),
    }
    return environment


def _data(chart: Chart, currency: str) -> Markup:
    """A chart's specification and rows, as JSON that can stand in a page."""
    labelled = [(*row, *_labels(row, chart, currency)) for row in chart.rows]
    content = {
        "kpi": chart.kpi_id,
        "grain": chart.grain,
        "columns": charts.COLUMNS,
        "rows": labelled,
        "notes": [(when, words.short_day(date.fromisoformat(when)), text) for when, text in chart.notes],
        "targets": chart.targets,
        "spec": chart.spec,
    }
    text = json.dumps(content, separators=(",", ":"), ensure_ascii=False)
    # Nothing in it can end the element that it stands in.
    return Markup(text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026"))  # noqa: S704


BEFORE = {"day": "30 days before", "month": "the month before", "quarter": "the quarter before"}


def kpi_file(kpi: Kpi) -> str:
    return f"kpi/{kpi.kpi_id}.html"


def _community_file(name: str) -> str:
    return f"community/{words.slug(name)}.html"


def words_of(name: str) -> str:
    """A name of the database in words."""
    return name.replace("_", " ")


def _sections(edition: Edition) -> Iterator[Section]:
    for part in PARTS:
        kpis = [kpi for kpi in edition.kpis.values() if kpi.theme in part.themes]
        if kpis:
            # Headlines first.
            yield Section(part, sorted(kpis, key=lambda kpi: (not kpi.headline, part.themes.index(kpi.theme or ""))))


def _latest(kpi: Kpi, dimension: str) -> list[Point]:
    """The newest value of each member that has one as of the newest period, the largest first."""
    newest = [points[-1] for points in kpi.by(dimension).values()]
    last = max((point.end for point in newest), default=None)
    current = [point for point in newest if point.end == last]
    return sorted(current, key=lambda point: (-(point.value or Decimal(0)), point.member))


def _period(thing: Point | Figure) -> str:
    return words.period(thing.period, thing.start, thing.end)


def _score_period(score: Score) -> str:
    kind = "quarter" if (score.end - score.start).days > 31 else "month"
    shown = (
        words.quarter(score.start)
        if kind == "quarter" or not score.is_closed
        else words.period(kind, score.start, score.end)
    )
    return shown if score.is_closed else f"{shown} to {words.short_day(score.end)}"


def _labels(row: tuple[str, ...], chart: Chart, currency: str) -> tuple[str, str, str]:
    """What stands in a tip: the period, the value, the status."""
    _, start, end, value, _, status = row
    shown = words.with_unit(Decimal(value) if value else None, chart.unit, currency)
    return _when(chart.period, start, end), shown, words.status(status)


@cache
def _when(period: str, start: str, end: str) -> str:
    """A period in words, by its days in ISO 8601; all members of a breakdown have the same ones."""
    return words.period(period, date.fromisoformat(start), date.fromisoformat(end))


@dataclass(frozen=True)
class Spark:
    """A small line without axes: paths, broken where there is no value."""

    width: int
    height: int
    paths: list[str]


def spark(points: Sequence[Point]) -> Spark | None:
    """The last values of a series as a small line; None with fewer than two."""
    drawn = points[-SPARK_POINTS:]
    known = [float(point.value) for point in drawn if point.value is not None]
    if len(known) < 2:
        return None
    # From zero, so that a small change looks small.
    low, high = min(*known, 0), max(*known, 0)
    span, margin = (high - low) or 1.0, 4
    paths: list[str] = []
    begun = False
    for place, point in enumerate(drawn):
        if point.value is None:
            begun = False
            continue
        x = place * SPARK_WIDTH / (len(drawn) - 1)
        y = SPARK_HEIGHT - margin - (float(point.value) - low) / span * (SPARK_HEIGHT - 2 * margin)
        if begun:
            paths[-1] += f"L{x:.1f} {y:.1f}"
        else:
            paths.append(f"M{x:.1f} {y:.1f}")
        begun = True
    return Spark(SPARK_WIDTH, SPARK_HEIGHT, paths)
