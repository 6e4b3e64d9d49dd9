"""`make bench`: runs every measurement with progress, prints the table, and writes benchmarks/results/latest.json."""

import argparse
import json
import os
import platform
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks import access_logs, costs, engine, github, nightly

RESULTS = Path(__file__).parent / "results"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=10_000_000, help="user-days for the engine")
    parser.add_argument("--lines", type=int, default=2_000_000, help="billing lines")
    parser.add_argument("--log-lines", type=int, default=20_000_000, help="lines of access logs (4 GB as text)")
    parser.add_argument("--issues", type=int, default=500_000, help="issues on GitHub, with ten events each")
    arguments = parser.parse_args()
    console = Console(highlight=False)
    # Not below /tmp where that is in memory: the warehouse lies on a disk in life.
    with tempfile.TemporaryDirectory(dir=Path.cwd(), prefix=".bench-") as name, console.status("starting") as status:

        def say(text: str) -> None:
            status.update(text)
            if not console.is_terminal:
                console.print(text)

        folder = Path(name)
        results = {
            "machine": {"cores": os.cpu_count(), "python": platform.python_version()},
            "versions": {package: version(package) for package in ("duckdb", "dagster", "polars")},
            "engine": engine.measure(folder, arguments.rows, say),
            "cloud_costs": costs.measure(folder, arguments.lines, say),
            "access_logs": access_logs.measure(folder, arguments.log_lines, say),
            "github": github.measure(folder, arguments.issues, say),
            "kpi_run_on_the_sample": nightly.measure(folder, say),
        }
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "latest.json").write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    console.print(_table(results))
    console.print(f"Written to {RESULTS / 'latest.json'}")


def _table(results: dict[str, Any]) -> Table:
    table = Table(title="Measured", title_justify="left")
    table.add_column("what")
    table.add_column("result", justify="right")
    for group, values in results.items():
        for what, value in _leaves(values):
            table.add_row(f"{group}: {what}", f"{value:,.3f}" if isinstance(value, float) else str(value))
    return table


def _leaves(values: dict[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for name, value in values.items():
        found += _leaves(value, f"{prefix}{name}.") if isinstance(value, dict) else [(prefix + name, value)]
    return found


if __name__ == "__main__":
    main()
