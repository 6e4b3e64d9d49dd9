"""Takes the pictures of docs/reports.md from real reports: pages of the site, the pack's first page, the slide.

Without --data-dir it runs the sample organisation in a folder that goes away, so that the pictures show what everybody
sees after the first run, and nothing of this machine. Needs Chromium, and pdftoppm (Debian's poppler-utils).

    .venv/bin/python scripts/report_screenshots.py
"""

import argparse
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Page, sync_playwright
from screenshots import CHROMIUM, KPI, LIMIT_BYTES, PROJECT, refuse_private

QUARTER = "2026Q3"
WIDE, PHONE = (1280, 860), (390, 844)
# name, page, size of the window, light or dark, pixels for each of the window's
PICTURES = (
    ("report-overview", "index.html", WIDE, "light", 1),
    ("report-overview-dark", "index.html", WIDE, "dark", 1),
    ("report-phone", "index.html", PHONE, "light", 1.5),
    ("report-kpi", "kpi/impact.monthly_active_users.html", WIDE, "light", 1),
    ("report-scorecards", "scorecards.html", WIDE, "light", 1),
)
PAPER_DPI = 80


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data-dir", type=Path, help="a data folder with a finished run; default: one of its own")
    parser.add_argument("--out", type=Path, default=PROJECT / "docs" / "images", help="folder for the pictures")
    arguments = parser.parse_args()
    if not shutil.which("pdftoppm"):
        raise SystemExit("pdftoppm is missing: apt-get install poppler-utils")
    arguments.out.mkdir(parents=True, exist_ok=True)
    with published(arguments.data_dir) as folder:
        take_pages(folder / "site" / "external", arguments.out)
        take_pack(folder / "packs" / QUARTER, arguments.out)


@contextmanager
def published(data_dir: Path | None) -> Iterator[Path]:
    """The published folder, with the site and the pack of the quarter."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as own:
        data = ["--config", str(PROJECT / "data" / "sample" / "kpi.toml"), "--data-dir", str(data_dir or own)]
        clean = {k: v for k, v in os.environ.items() if not k.startswith(("KPI_", "DAGSTER"))}
        for command in (() if data_dir else (["run"],)) + (["report"], ["report", "--quarter", QUARTER]):
            subprocess.run([*KPI, *command, *data], cwd=PROJECT, env=clean, check=True, stdout=subprocess.DEVNULL)
        yield Path(data_dir or own) / "published"


def take_pages(site: Path, out: Path) -> None:
    """Pages of the web report, as a browser opens them from the disk."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        for name, file, (width, height), scheme, scale in PICTURES:
            context = browser.new_context(
                viewport={"width": width, "height": height}, color_scheme=scheme, device_scale_factor=scale
            )
            page = context.new_page()
            page.goto((site / file).as_uri())
            draw_all(page)
            path = out / f"{name}.png"
            page.screenshot(path=path, animations="disabled")
            refuse_private(page, path)
            print(f"{path}: {path.stat().st_size / 1000:.0f} kB")
            context.close()
        browser.close()


def draw_all(page: Page) -> None:
    """A chart is drawn when it comes into sight."""
    charts = page.locator("figure.chart")
    for place in range(charts.count()):
        charts.nth(place).scroll_into_view_if_needed()
        charts.nth(place).locator(".plot svg").wait_for()
    page.evaluate("window.scrollTo(0, 0)")


def take_pack(pack: Path, out: Path) -> None:
    """The first page of the PDF, its charts, and the slide."""
    pdf = pack / f"kpis-{QUARTER}.pdf"
    for name, page in (("pack-first-page", 1), ("pack-charts", 2)):
        to = ["-r", str(PAPER_DPI), "-f", str(page), "-l", str(page), "-singlefile", "-png"]
        subprocess.run(["pdftoppm", *to, str(pdf), str(out / name)], check=True)
    shutil.copyfile(pack / f"kpis-{QUARTER}-slide.png", out / "pack-slide.png")
    for path in sorted(out.glob("pack-*.png")):
        if path.stat().st_size > LIMIT_BYTES:
            raise SystemExit(f"{path} has {path.stat().st_size} bytes, more than {LIMIT_BYTES}")
        print(f"{path}: {path.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
