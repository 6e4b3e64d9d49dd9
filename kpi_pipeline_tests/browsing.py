"""A browser for tests, Debian's Chromium; notes what a page asked for and complained about. No test is here."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright

CHROMIUM = "/usr/bin/chromium"
PATIENCE_MS = 30_000
WIDE, PHONE = (1440, 900), (390, 844)


@dataclass
class Visited:
    """A page that is open: what it asked of any server, and every warning and error."""

    page: Page
    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def assert_quiet(self) -> None:
        assert self.requests == []
        assert self.complaints == []


@contextmanager
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@contextmanager
def visited(browser: Browser, file: Path, size: tuple[int, int] = WIDE, **more: Any) -> Iterator[Visited]:
    """Opens a page from the disk, in a context of its own."""
    context = browser.new_context(viewport={"width": size[0], "height": size[1]}, accept_downloads=True, **more)
    context.set_default_timeout(PATIENCE_MS)
    found = Visited(context.new_page())
    found.page.on("request", lambda r: None if _is_here(r.url) else found.requests.append(r.url))
    found.page.on("console", lambda m: found.complaints.append(m.text) if m.type in ("warning", "error") else None)
    found.page.on("pageerror", lambda error: found.complaints.append(str(error)))
    found.page.goto(file.as_uri())
    try:
        yield found
    finally:
        context.close()


def draw_all(page: Page) -> int:
    """Scrolls until every chart of a page is drawn, and says how many there are."""
    charts = page.locator("figure.chart")
    for place in range(charts.count()):
        charts.nth(place).scroll_into_view_if_needed()
        charts.nth(place).locator(".plot svg").wait_for()
    return charts.count()


def _is_here(url: str) -> bool:
    return url.startswith(("file:", "data:", "blob:"))
