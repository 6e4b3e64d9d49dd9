"""Takes the pictures of the documentation from the real UI: the asset graph, one domain of it, and the page of one KPI.

Without --url it makes a data folder aside, runs the sample organisation there and starts `kpi ui` on it, so that
the pictures show what everybody sees after the first run, and nothing of this machine.

    .venv/bin/python scripts/screenshots.py
"""

import argparse
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from playwright.sync_api import FloatRect, Page, sync_playwright

from kpi_pipeline.definitions import defs

PROJECT = Path(__file__).resolve().parent.parent
KPI = [sys.executable, "-m", "kpi_pipeline.cli"]
# As `kpi ui` names it.
LOCATION = "kpi_pipeline.definitions"
CHROMIUM = "/usr/bin/chromium"
GROUPS = sorted(defs.resolve_asset_graph().all_group_names)
# All groups are in the overview; opened they are too many for letters that can be read, so one stands for them.
DOMAIN = "support"
KPI_PAGE = "/assets/kpi/impact/monthly_active_users"
# Wide and high enough for the whole graph in letters that can be read; the picture is cut to the graph.
GRAPH_SIZE, DOMAIN_SIZE, PAGE_SIZE = (2600, 1400), (2000, 1700), (1800, 1480)
MARGIN = 24
LIMIT_BYTES = 300_000
PATIENCE = 60.0
# What the UI remembers of a person's choices: a graph from top to bottom, and the navigation folded away.
CHOICES = """
localStorage.setItem("asset-graph-direction", '"vertical"');
localStorage.setItem("dagster-nav-collapsed", "true");
"""
# The plot opens in a dialog in the middle of the page; here it must not hide what stands below it.
ASIDE = """
* { animation: none !important; transition: none !important; }
.bp5-overlay-backdrop, [class*="overlay-backdrop"] { display: none !important; }
[role="dialog"] { position: fixed !important; right: 16px; bottom: 16px; margin: 0 !important; }
"""
BOXES = """() => [...document.querySelectorAll("foreignObject")].map(box => {
  const {left, top, right, bottom} = box.getBoundingClientRect();
  return [left, top, right, bottom];
})"""
LOADING = re.compile("Loading|fetching statuses")


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--url", help="a UI that runs already; default: one of its own, on the sample")
    parser.add_argument("--out", type=Path, default=PROJECT / "docs" / "images", help="folder for the pictures")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    if arguments.url:
        take(arguments.url.rstrip("/"), arguments.out)
    else:
        with own_ui() as url:
            take(url, arguments.out)


def take(url: str, out: Path) -> None:
    """Takes all pictures."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        context = browser.new_context()
        context.add_init_script(CHOICES)
        page = context.new_page()
        for name, shoot in (
            ("asset-graph.png", asset_graph),
            ("asset-graph-domain.png", domain_graph),
            ("kpi-asset.png", kpi_asset),
        ):
            path = out / name
            shoot(page, url, path)
            refuse_private(page, path)
            print(f"{path}: {path.stat().st_size / 1000:.0f} kB")
        browser.close()


def asset_graph(page: Page, url: str, path: Path) -> None:
    """The whole graph: every group, and how it stands."""
    _open(page, f"{url}/asset-groups", GRAPH_SIZE)
    # The list of groups beside the graph takes its room.
    page.get_by_label("panel_show_right").first.click()
    clip = _settled(page)
    shown = page.locator("svg foreignObject").all_text_contents()
    if cut_off := [group for group in GROUPS if not any(map(partial(_names, group), shown))]:
        raise SystemExit(f"{path} would not show the names of {', '.join(cut_off)}: make GRAPH_SIZE larger")
    page.screenshot(path=path, clip=clip)


def _names(group: str, shown: str) -> bool:
    """Whether that is the group's name, which the UI shortens in the middle where it draws small."""
    first, dots, last = shown.strip().partition("…")
    return group.startswith(first) and group.endswith(last) if dots else group == first


def domain_graph(page: Page, url: str, path: Path) -> None:
    """The assets of one group, from landing to facts, and what they lead to."""
    _open(page, f"{url}/locations/__repository__@{LOCATION}/asset-groups/{DOMAIN}/lineage", DOMAIN_SIZE)
    page.screenshot(path=path, clip=_settled(page))


def _open(page: Page, address: str, size: tuple[int, int]) -> None:
    page.set_viewport_size({"width": size[0], "height": size[1]})
    page.goto(address)
    page.locator("foreignObject").first.wait_for()


def _settled(page: Page) -> FloatRect:
    """Where the graph is, once it neither moves nor loads any more."""
    before: object = None
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        page.wait_for_timeout(500)
        boxes = page.evaluate(BOXES)
        if boxes and boxes == before and not page.get_by_text(LOADING).count():
            left, top = min(box[0] for box in boxes) - MARGIN, min(box[1] for box in boxes) - MARGIN
            right, bottom = max(box[2] for box in boxes) + MARGIN, max(box[3] for box in boxes) + MARGIN
            return {"x": left, "y": top, "width": right - left, "height": bottom - top}
        before = boxes
    raise SystemExit("The graph does not come to rest.")


def kpi_asset(page: Page, url: str, path: Path) -> None:
    """The page of a KPI, its plot opened."""
    page.set_viewport_size({"width": PAGE_SIZE[0], "height": PAGE_SIZE[1]})
    page.goto(url + KPI_PAGE)
    page.add_style_tag(content=ASIDE)
    plot = page.get_by_role("row").filter(has_text="plot")
    plot.get_by_text("Show Markdown").click()
    page.wait_for_function("[...document.images].some(i => i.src.startsWith('data:') && i.complete && i.naturalWidth)")
    # Clicking has scrolled to the row.
    page.get_by_text("Latest materialization", exact=True).evaluate(
        "e => e.parentElement.scrollIntoView({block: 'end'})"
    )
    # As late as the page's own queries: history and deadlines come after the rest.
    page.wait_for_load_state("networkidle")
    page.screenshot(path=path, animations="disabled")


def refuse_private(page: Page, path: Path) -> None:
    """A picture for everybody shows no folder of this machine, and is small enough for a repository."""
    text = page.locator("body").inner_text()
    for private in (str(PROJECT), str(Path.home()), tempfile.gettempdir() + "/"):
        if private in text:
            raise SystemExit(f"{path} would show {private}")
    if path.stat().st_size > LIMIT_BYTES:
        raise SystemExit(f"{path} has {path.stat().st_size} bytes, more than {LIMIT_BYTES}")


@contextmanager
def own_ui() -> Iterator[str]:
    """`kpi run` on the sample in a folder that goes away, and `kpi ui` on it; the address."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        data = ["--config", str(PROJECT / "data" / "sample" / "kpi.toml"), "--data-dir", f"{folder}/data"]
        clean = {k: v for k, v in os.environ.items() if not k.startswith(("KPI_", "DAGSTER"))}
        subprocess.run([*KPI, "run", *data], cwd=PROJECT, env=clean, check=True, stdout=subprocess.DEVNULL)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        # A process group of its own, so that what the UI starts ends with it.
        process = subprocess.Popen(
            [*KPI, "ui", *data, "--port", str(port)],
            cwd=PROJECT,
            env=clean,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            _wait_for(f"http://127.0.0.1:{port}", process)
            yield f"http://127.0.0.1:{port}"
        finally:
            _stop(process)


def _wait_for(url: str, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until and process.poll() is None:
        try:
            with urllib.request.urlopen(f"{url}/server_info", timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
    raise SystemExit("kpi ui does not answer")


def _stop(process: subprocess.Popen[bytes]) -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
            process.wait(timeout=15)
        except subprocess.TimeoutExpired:
            continue
        except ProcessLookupError:
            return


if __name__ == "__main__":
    main()
