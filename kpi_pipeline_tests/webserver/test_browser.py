"""The UI in a browser: the graph and the page of a KPI show what they should, and nothing leaves this machine."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page, expect, sync_playwright

from kpi_pipeline import catalog
from kpi_pipeline_tests.webserver.conftest import LAST_DAY
from kpi_pipeline_tests.webserver.live import Live

CHROMIUM = "/usr/bin/chromium"
GROUPS = ("hubs", "impact", "running_infrastructure", "published")
EXPANDED = "%2C".join(f"global%40global%3A{group}" for group in GROUPS)
MAU = catalog.load().kpi("impact.monthly_active_users")
PATIENCE_MS = 30_000


@dataclass
class Visit:
    """A tab, with what it asked for and complained about."""

    page: Page
    hosts: set[str] = field(default_factory=set)
    errors: list[str] = field(default_factory=list)


@pytest.fixture(scope="module")
def browser_tab() -> Iterator[Page]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        context = browser.new_context(viewport={"width": 1600, "height": 1000})
        context.set_default_timeout(PATIENCE_MS)
        expect.set_options(timeout=PATIENCE_MS)
        yield context.new_page()
        browser.close()


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


def test_the_asset_graph_shows_all_groups(visit: Visit, live: Live) -> None:
    # Room for the whole graph: the UI draws only what is in view.
    visit.page.set_viewport_size({"width": 4800, "height": 6000})
    visit.page.goto(f"{live.url}/asset-groups")
    for group in GROUPS:
        expect(visit.page.locator("foreignObject").get_by_text(group, exact=True).first).to_be_attached()
    assert_quiet(visit)
    visit.page.set_viewport_size({"width": 1600, "height": 1000})


def test_the_asset_graph_opens_to_all_assets(visit: Visit, live: Live) -> None:
    visit.page.set_viewport_size({"width": 9600, "height": 9600})
    visit.page.goto(f"{live.url}/asset-groups?expanded={EXPANDED}")
    question = "{ assetNodes { groupName assetKey { path } } }"
    for node in live.ask(question)["assetNodes"]:
        if node["groupName"] not in GROUPS:
            continue
        selector = f'foreignObject:has-text("{node["assetKey"]["path"][-1]}")'
        expect(visit.page.locator(selector).first).to_be_attached()
    assert_quiet(visit)
    visit.page.set_viewport_size({"width": 1600, "height": 1000})


def test_the_page_of_a_kpi_says_what_it_is(
    visit: Visit, live: Live, truth: dict[tuple[str, str, str], dict[str, str]]
) -> None:
    mau = int(truth[LAST_DAY, "organisation", "organisation"]["mau"])
    visit.page.goto(f"{live.url}/assets/kpi/impact/monthly_active_users")
    for text in (MAU.measure.definition, MAU.measure.caveats, MAU.as_written, f"{mau:,} people", LAST_DAY):
        expect(visit.page.get_by_text(text).first).to_be_visible()
    expect(visit.page.get_by_text(MAU.owner.lower(), exact=True).first).to_be_visible()
    assert_quiet(visit)


def test_the_page_of_a_kpi_opens_its_plot(visit: Visit, live: Live) -> None:
    visit.page.goto(f"{live.url}/assets/kpi/impact/monthly_active_users")
    visit.page.get_by_role("row").filter(has_text="plot").get_by_text("Show Markdown").click()
    picture = visit.page.locator(f'img[alt="{MAU.title}"]')
    expect(picture).to_be_visible()
    assert picture.evaluate("image => image.complete && image.naturalWidth") > 400
    assert_quiet(visit)
