"""The UI in a browser: the graph and the page of a KPI show what they should, and nothing leaves this machine."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page, expect

from kpi_pipeline import catalog
from kpi_pipeline.definitions import defs
from kpi_pipeline_tests.browsing import chromium
from kpi_pipeline_tests.webserver.conftest import LAST_DAY
from kpi_pipeline_tests.webserver.live import LOCATION, Live

GRAPH = defs.resolve_asset_graph()
GROUPS = {
    group: sorted("/".join(key.path) for key in GRAPH.asset_keys_for_group(group))
    for group in sorted(GRAPH.all_group_names)
}
MAU = catalog.load().kpi("impact.monthly_active_users")
PATIENCE_MS = 60_000
# The UI draws only what is in view. From top to bottom, all groups are readable at the first size. With every group
# open the graph is larger than a browser lays out in a minute: each group's page lists its assets instead.
TOP_DOWN = """localStorage.setItem("asset-graph-direction", '"vertical"');"""
READABLE, PAGE = (9000, 2000), (1600, 1000)


@dataclass
class Visit:
    """A tab, with what it asked for and complained about."""

    page: Page
    hosts: set[str] = field(default_factory=set)
    errors: list[str] = field(default_factory=list)


@pytest.fixture(scope="module")
def browser_tab() -> Iterator[Page]:
    with chromium() as browser:
        context = browser.new_context(viewport={"width": PAGE[0], "height": PAGE[1]})
        context.add_init_script(TOP_DOWN)
        context.set_default_timeout(PATIENCE_MS)
        expect.set_options(timeout=PATIENCE_MS)
        yield context.new_page()


@pytest.fixture
def visit(browser_tab: Page) -> Visit:
    visit = Visit(browser_tab)
    browser_tab.on("request", lambda request: visit.hosts.add(urlsplit(request.url).hostname or ""))
    browser_tab.on("console", lambda message: visit.errors.append(message.text) if message.type == "error" else None)
    browser_tab.on("pageerror", lambda error: visit.errors.append(str(error)))
    return visit


def assert_quiet(visit: Visit) -> None:
    # data: and blob: addresses have no host.
    assert visit.hosts <= {"127.0.0.1", ""}
    assert "127.0.0.1" in visit.hosts
    assert visit.errors == []


@contextmanager
def sized(page: Page, size: tuple[int, int]) -> Iterator[None]:
    """A larger window, for as long as it takes."""
    page.set_viewport_size({"width": size[0], "height": size[1]})
    try:
        yield
    finally:
        page.set_viewport_size({"width": PAGE[0], "height": PAGE[1]})


def test_the_asset_graph_shows_all_groups(visit: Visit, live: Live) -> None:
    with sized(visit.page, READABLE):
        visit.page.goto(f"{live.url}/asset-groups")
        for group in GROUPS:
            expect(visit.page.locator("foreignObject").get_by_text(group, exact=True).first).to_be_visible()
    assert_quiet(visit)


@pytest.mark.parametrize("group", GROUPS)
def test_the_page_of_a_group_lists_its_assets(visit: Visit, live: Live, group: str) -> None:
    with sized(visit.page, READABLE):
        visit.page.goto(f"{live.url}/locations/__repository__@{LOCATION}/asset-groups/{group}/list")
        for key in GROUPS[group]:
            expect(visit.page.locator(f'a[href$="/assets/{key}"]').first).to_be_visible()
    assert_quiet(visit)


def test_the_page_of_a_kpi_says_what_it_is(
    visit: Visit, live: Live, truth: dict[tuple[str, str, str], dict[str, str]]
) -> None:
    mau = int(truth[LAST_DAY, "organisation", "organisation"]["mau"])
    visit.page.goto(f"{live.url}/assets/kpi/impact/monthly_active_users")
    for text in (MAU.measure.definition, MAU.measure.caveats, MAU.as_written):
        expect(visit.page.get_by_text(text).first).to_be_visible()
    shown = {
        "latest_value": f"{mau:,} people",
        "latest_period_end": LAST_DAY,
        "unit": "people",
        "target": f"none. {MAU.no_target}",
        "owner": "Engineering",
    }
    for name, value in shown.items():
        cell = visit.page.get_by_role("cell", name=name, exact=True)
        row = visit.page.get_by_role("row").filter(has=cell)
        expect(row.get_by_text(value, exact=True)).to_be_visible()
    expect(visit.page.get_by_text("engineering", exact=True).first).to_be_visible()
    assert_quiet(visit)


def test_the_page_of_a_kpi_opens_its_plot(visit: Visit, live: Live) -> None:
    visit.page.goto(f"{live.url}/assets/kpi/impact/monthly_active_users")
    visit.page.get_by_role("row").filter(has_text="plot").get_by_text("Show Markdown").click()
    picture = visit.page.locator(f'img[alt="{MAU.title}"]')
    expect(picture).to_be_visible()
    assert picture.evaluate("image => image.complete && image.naturalWidth") > 400
    assert_quiet(visit)
