"""The web report in a browser: from a disk, on its own, for everybody; with nothing that isn't for its reader."""

import csv
import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest
from playwright.sync_api import Browser, Page

from kpi_pipeline_tests.browsing import PHONE, WIDE, chromium, draw_all, visited
from kpi_pipeline_tests.end_to_end.commands import kpi

AXE = Path(__file__).parents[1] / "npm" / "node_modules" / "axe-core" / "axe.min.js"
HOSTILE = "<script>window.owned = 1</script>"
QUOTED = "\"double\" & 'single' <b>bold</b>"
FORMULA = '=HYPERLINK("x")'
# Its digits are found nowhere else.
CANARY = Decimal("8675309.125")
SECRET_NOTE = "A note for ourselves alone"
KINDS = {
    "overview": "index.html",
    "section": "infrastructure.html",
    "scorecards": "scorecards.html",
    "communities": "communities.html",
    "definitions": "definitions.html",
    "kpi": "kpi/impact.monthly_active_users.html",
    "kpi of a role": "kpi/tech_team.api_response_time.html",
}
INTERNAL_KINDS = {**KINDS, "money": "finances.html", "health": "health.html"}


@dataclass(frozen=True)
class Site:
    """A published folder, and the report that was written of it."""

    published: Path

    @property
    def internal(self) -> Path:
        return self.published / "site" / "internal"

    @property
    def external(self) -> Path:
        return self.published / "site" / "external"

    def rows(self, query: str, *values: object) -> list[Any]:
        with duckdb.connect(str(self.published / "kpis.duckdb"), read_only=True) as con:
            return con.execute(query, list(values)).fetchall()


# Closed before another module's tests begin: a process has one of Playwright's loops at a time.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


@pytest.fixture(scope="session")
def site(sample_data: Path) -> Site:
    """As the run itself left it."""
    return Site(sample_data / "published")


@pytest.fixture(scope="session")
def hostile(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Site:
    """The same with names that would break out of a page, a gap, a value of few people, and one more internal KPI."""
    data = tmp_path_factory.mktemp("hostile")
    (data / "published").mkdir()
    database = data / "published" / "kpis.duckdb"
    shutil.copyfile(site.published / "kpis.duckdb", database)
    with duckdb.connect(str(database)) as con:
        ((one,), (another,), (third,)) = con.execute(
            "select member from kpi_values where kpi_id = 'impact.monthly_active_users' and grain = 'community' "
            "and period_end = (select as_of from organisation) order by value desc, member limit 3"
        ).fetchall()
        for old, new in ((one, HOSTILE), (another, QUOTED), (third, FORMULA)):
            con.execute("update kpi_values set member = ? where member = ?", [new, old])
            con.execute("update communities set community = ? where community = ?", [new, old])
            con.execute(
                "update hubs set communities = list_transform(communities, lambda c: if(c = $1, $2, c))", [old, new]
            )
        con.execute("update hubs set display_name = ?", [HOSTILE])
        con.execute("update kpi_definitions set question = ? where kpi_id = 'impact.mau_p50'", [HOSTILE])
        con.execute("insert into annotations values (date '2026-08-01', ?, [], 'external')", [HOSTILE])
        con.execute("insert into annotations values (date '2026-08-02', ?, [], 'internal')", [SECRET_NOTE])
        # A gap of ten days.
        con.execute(
            "update kpi_values set value = null, status = 'no data' where kpi_id = 'impact.monthly_active_users' "
            "and grain = 'organisation' and period_end between date '2026-06-01' and date '2026-06-10'"
        )
        # Few people said this; and this KPI isn't for outside at all.
        con.execute(
            "update kpi_values set value = ?, n = 1, status = 'insufficient' where kpi_id = "
            "'qualitative.community_satisfaction' and grain = 'organisation'",
            [CANARY],
        )
        con.execute("update kpi_definitions set audience = 'internal' where kpi_id = 'upstream.upstream_contributions'")
    done = kpi("report", "--data-dir", data)
    assert done.returncode == 0, done.stderr
    return Site(data / "published")


def number(text: str) -> Decimal:
    return Decimal(text.replace(",", "").replace("\N{MINUS SIGN}", "-"))


@pytest.mark.parametrize("kind", INTERNAL_KINDS)
@pytest.mark.parametrize("edition", ["internal", "external"])
def test_a_page_opens_from_a_disk_and_asks_nobody(site: Site, browser: Browser, kind: str, edition: str) -> None:
    file = site.published / "site" / edition / INTERNAL_KINDS[kind]
    if edition == "external" and kind not in KINDS:
        assert not file.exists()
        return
    with visited(browser, file) as seen:
        drawn = draw_all(seen.page)
        assert seen.page.locator("h1").count() == 1
        assert (drawn > 0) == (kind in ("overview", "section", "money", "kpi", "kpi of a role"))
        seen.assert_quiet()


def test_every_page_is_small_and_links_to_nothing_that_is_missing(site: Site) -> None:
    pages = list((site.published / "site").rglob("*.html"))
    kpis, roles = site.rows("select count(*), count(role) from kpi_definitions")[0]
    assert (kpis, roles) == (95, 76)
    assert len(list(site.internal.glob("kpi/*.html"))) == 95
    for page in pages:
        text = page.read_text(encoding="utf-8")
        assert len(text.encode()) < 1_500_000
        for target in re.findall(r'(?:href|src)="([^"#]*)', text):
            assert not target or (page.parent / target).resolve().is_file(), (page, target)


def test_the_first_screen_says_what_the_database_says(site: Site, browser: Browser) -> None:
    headlines = site.rows("select title, value, previous_value, period_end from headlines")
    assert 0 < len(headlines) <= 4
    with visited(browser, site.internal / "index.html") as seen:
        cards = seen.page.locator(".cards .card")
        assert cards.count() == len(headlines)
        for title, value, before, end in headlines:
            card = cards.filter(has=seen.page.get_by_role("link", name=title, exact=True))
            shown = card.locator(".value").inner_text().split()[0]
            assert number(shown) == Decimal(value).quantize(Decimal("0.01"))
            assert f"{end.day} {end:%b %Y}" in card.locator(".fresh").inner_text()
            change = card.locator(".change").inner_text()
            assert "unchanged" in change if value == before else f"({before:,f}".rstrip("0").rstrip(".") in change
            box = card.bounding_box()
            assert box is not None
            assert box["y"] + box["height"] < WIDE[1]


def test_click_through_and_back(site: Site, browser: Browser) -> None:
    with visited(browser, site.internal / "index.html") as seen:
        page = seen.page
        page.get_by_role("navigation").get_by_role("link", name="Definitions").click()
        page.get_by_role("searchbox").fill("turnaround")
        assert page.locator("[data-find]:visible").count() == 1
        assert page.locator("#found").inner_text() == "1 found"
        page.get_by_role("link", name="Ticket turnaround time").click()
        assert page.locator("h1").inner_text() == "Ticket turnaround time"
        assert "first public reply" in page.locator(".prose").first.inner_text()
        page.get_by_text("Formula (SQL)").click()
        assert "select" in page.locator("pre").inner_text().lower()
        page.get_by_role("link", name="Definitions").first.click()
        page.get_by_role("navigation").get_by_role("link", name="Communities").click()
        page.get_by_role("link", name="polar-university").click()
        assert page.locator("h1").inner_text() == "polar-university"
        seen.assert_quiet()


def test_numbers_are_one_click_away_and_saved_as_they_are(site: Site, browser: Browser, tmp_path: Path) -> None:
    """The CSV has every digit of every value of the chart, as the database has it."""
    with visited(browser, site.internal / "finances.html") as seen:
        figure = seen.page.locator("figure.chart").filter(has_text="Monthly revenue by category")
        figure.get_by_role("button", name="Show the numbers").click()
        shown = figure.locator(".numbers tbody tr")
        with seen.page.expect_download() as download:
            figure.get_by_role("button", name="Save as CSV").click()
        saved = tmp_path / "saved.csv"
        download.value.save_as(saved)
        with saved.open(encoding="utf-8", newline="") as lines:
            rows = list(csv.DictReader(lines))
        wanted = site.rows(
            "select member, period_start::varchar, period_end::varchar, value from kpi_values "
            "where kpi_id = 'sustainability.monthly_revenue' and grain = 'category' order by all"
        )
        assert shown.count() == len(rows) == len(wanted) > 50
        found = [(r["member"], r["period_start"], r["period_end"], Decimal(r["value"])) for r in rows]
        assert sorted(found) == wanted
        assert download.value.suggested_filename == "sustainability.monthly_revenue-category.csv"
        seen.assert_quiet()


def test_the_kpis_page_says_what_the_catalogue_says(site: Site, browser: Browser) -> None:
    kpi_id = "tech_team.api_response_time"
    (title, owner, audience, fingerprint) = site.rows(
        "select title, owner, audience, definition_hash from kpi_definitions where kpi_id = ?", kpi_id
    )[0]
    (meaning, caveats, formula) = site.rows(
        "select meaning, caveats, formula from kpi_details where kpi_id = ?", kpi_id
    )[0]
    with visited(browser, site.internal / "kpi" / f"{kpi_id}.html") as seen:
        text = seen.page.locator("main").inner_text()
        for said in (title, owner, audience, fingerprint, " ".join(meaning.split()), " ".join(caveats.split())):
            assert said in text
        assert seen.page.locator("pre").text_content() == formula
        verdicts = seen.page.locator("tr", has=seen.page.locator("th", has_text=re.compile(r"^\d{4}Q\d$")))
        scored = site.rows("select value, status from scorecard where kpi_id = ? order by period_start desc", kpi_id)
        assert verdicts.count() == len(scored)
        for place, (value, status) in enumerate(scored):
            cells = verdicts.nth(place).locator("td")
            assert cells.nth(2).inner_text() == status
            if value is not None:
                assert abs(number(cells.nth(0).inner_text()) - value) <= Decimal("0.005")


def test_what_was_excluded_is_on_the_pages_that_it_touched(site: Site, browser: Browser) -> None:
    rules = site.rows("select rule_id, reason, user_days from exclusions")
    assert rules
    with visited(browser, site.internal / KINDS["kpi"]) as seen:
        text = seen.page.locator("main").inner_text()
        for rule, reason, days in rules:
            assert all(said in text for said in (rule, reason, f"{days:,}"))
    with visited(browser, site.internal / "kpi" / "sustainability.monthly_revenue.html") as seen:
        assert rules[0][1] not in seen.page.locator("main").inner_text()


def test_hostile_names_are_text(hostile: Site, browser: Browser, tmp_path: Path) -> None:
    pages = [*KINDS.values(), "health.html", *(f"community/{p.name}" for p in hostile.internal.glob("community/*"))]
    said = ""
    for name in pages:
        with visited(browser, hostile.internal / name) as seen:
            draw_all(seen.page)
            said += seen.page.locator("main").inner_text()
            assert seen.page.evaluate("window.owned") is None, name
            assert seen.page.locator("main b").count() == 0
            seen.assert_quiet()
    for name in (HOSTILE, QUOTED, FORMULA):
        assert name in said
    # A spreadsheet takes what begins like a formula for one, unless it is told otherwise.
    with visited(browser, _page_of(hostile, FORMULA)) as seen:
        figure = seen.page.locator("figure.chart").first
        with seen.page.expect_download() as download:
            figure.get_by_role("button", name="Save as CSV").click()
        download.value.save_as(tmp_path / "saved.csv")
        with (tmp_path / "saved.csv").open(encoding="utf-8", newline="") as lines:
            assert {row["member"] for row in csv.DictReader(lines)} == {"'" + FORMULA}


def _page_of(site: Site, community: str) -> Path:
    pages = [p for p in site.internal.glob("community/*") if json.dumps(community)[1:-1] in p.read_text("utf-8")]
    assert len(pages) == 1
    return pages[0]


def test_a_gap_is_seen_as_one(hostile: Site, browser: Browser) -> None:
    """The line is broken where ten days have no value, and nowhere else."""
    with visited(browser, hostile.internal / KINDS["kpi"]) as seen:
        draw_all(seen.page)
        line = seen.page.locator("figure.chart").first.locator("g.mark-line path").first.get_attribute("d")
        assert (line or "").count("M") == 2
    with visited(browser, hostile.internal / "kpi" / "impact.mau_p50.html") as seen:
        draw_all(seen.page)
        line = seen.page.locator("figure.chart").first.locator("g.mark-line path").first.get_attribute("d")
        assert (line or "").count("M") == 1


def test_notes_stand_on_charts(hostile: Site, browser: Browser) -> None:
    for folder, notes in ((hostile.internal, 6), (hostile.external, 4)):
        with visited(browser, folder / KINDS["kpi"]) as seen:
            draw_all(seen.page)
            rules = seen.page.locator("figure.chart").first.locator("g.mark-rule.role-mark line")
            assert rules.count() == notes


def test_the_external_edition_holds_nothing_internal(hostile: Site) -> None:
    """Not in its pages, and not in the data of its charts."""
    files = [path for path in hostile.external.rglob("*") if path.is_file()]
    text = {path: path.read_text(encoding="utf-8") for path in files}
    hidden = hostile.rows("select kpi_id, title from kpi_definitions where audience = 'internal'")
    assert hidden
    reasons = [row[0] for row in hostile.rows("select reason from exclusions")]
    for path, content in text.items():
        assert SECRET_NOTE not in content
        assert not any(digits in content for digits in ("8675309", "8,675,309")), path
        for kpi_id, _ in hidden:
            assert kpi_id not in content, path
        assert not any(reason in content for reason in reasons), path
    everything = "".join(path.read_text(encoding="utf-8") for path in hostile.internal.rglob("*.html"))
    assert all(said in everything for said in ("8,675,309.12", SECRET_NOTE, hidden[0][0]))
    # Each value of each chart is one that may be shown.
    allowed = set(
        hostile.rows("select kpi_id, grain, member, period_start::varchar, period_end::varchar from external_values")
    )
    count = 0
    for content in text.values():
        for found in re.findall(r'<script type="application/json">(.*?)</script>', content, re.DOTALL):
            chart = json.loads(found)
            for row in chart["rows"]:
                assert (chart["kpi"], chart["grain"], *row[:3]) in allowed
                count += 1
    assert count > 5_000


@pytest.mark.parametrize(("size", "scheme"), [(WIDE, "light"), (PHONE, "dark")])
def test_everybody_can_use_it(site: Site, browser: Browser, scheme: str, size: tuple[int, int]) -> None:
    """axe finds nothing, on any kind of page, in any light, on any screen; and nothing is wider than the screen."""
    pages = [*INTERNAL_KINDS.values(), "community/polar-university.html"]
    for name in pages:
        with visited(browser, site.internal / name, size, color_scheme=scheme, bypass_csp=True) as seen:
            draw_all(seen.page)
            if seen.page.locator(".show").count():
                seen.page.locator(".show").first.click()
            seen.page.add_script_tag(path=AXE)
            found = seen.page.evaluate("axe.run()")
            problems = [(p["impact"], p["id"], [n["html"][:200] for n in p["nodes"][:3]]) for p in found["violations"]]
            assert problems == [], name
            assert len(found["passes"]) > 15
            assert seen.page.evaluate("document.documentElement.scrollWidth") <= size[0], name


def test_by_keyboard(site: Site, browser: Browser) -> None:
    with visited(browser, site.internal / "finances.html") as seen:
        page = seen.page
        page.keyboard.press("Tab")
        assert _focused(page) == "Skip to the content"
        page.keyboard.press("Enter")
        assert page.url.endswith("#content")
        reached = set()
        for _ in range(40):
            page.keyboard.press("Tab")
            reached.add(_focused(page))
        assert {"Show the numbers", "Save as CSV", "Definition and history"} <= reached


def _focused(page: Page) -> str:
    return str(page.evaluate("document.activeElement.textContent.trim()"))


def test_light_and_dark_are_remembered(site: Site, browser: Browser) -> None:
    with visited(browser, site.internal / "index.html", color_scheme="dark") as seen:
        page = seen.page
        paper = "getComputedStyle(document.body).backgroundColor"
        dark = page.evaluate(paper)
        page.get_by_role("button", name="Change between light and dark").click()
        assert page.evaluate(paper) == "rgb(255, 255, 255)" != dark
        page.get_by_role("navigation").get_by_role("link", name="Finances").click()
        assert page.evaluate(paper) == "rgb(255, 255, 255)"


def test_the_same_database_gives_the_same_bytes(site: Site, tmp_path: Path) -> None:
    (tmp_path / "published").mkdir()
    shutil.copyfile(site.published / "kpis.duckdb", tmp_path / "published" / "kpis.duckdb")
    done = kpi("report", "--data-dir", tmp_path)
    assert done.returncode == 0, done.stderr
    first, again = (_bytes((folder / "site").resolve()) for folder in (site.published, tmp_path / "published"))
    assert first == again
    assert len(first) > 200


def test_windows_and_weeks_are_told_by_their_grain(site: Site) -> None:
    """The report leaves them out by grain, since that is quicker than by period."""
    by_grain = "strpos(grain, ':rolling_30_days') > 0 or strpos(grain, ':week') > 0"
    found = site.rows(
        f"select distinct ({by_grain}), period in ('rolling_30_days', 'week') from kpi_series order by all"
    )
    assert found == [(False, False), (True, True)]


def _bytes(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_readers_keep_what_they_have_open(hostile: Site) -> None:
    """Another report is swapped in as a whole; the one before stays."""
    before = hostile.internal.resolve()
    done = kpi("report", "--data-dir", hostile.published.parent)
    assert done.returncode == 0, done.stderr
    assert hostile.internal.resolve() != before
    assert (before / "index.html").is_file()
    again = kpi("report", "--data-dir", hostile.published.parent)
    assert again.returncode == 0
    assert not before.exists()


def test_without_anything_published_it_says_so(tmp_path: Path) -> None:
    done = kpi("report", "--data-dir", tmp_path)
    assert done.returncode == 2
    assert "kpi run" in done.stderr
