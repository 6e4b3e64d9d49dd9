"""`make bench`: runs every measurement with progress, prints the table, and writes the results, the docs and a chart.

`python -m benchmarks --only engine --rows 10000000` runs a part: what was measured before of the others is kept.
"""

import argparse
import json
import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from benchmarks import access_logs, comparison, costs, engine, github, nightly, operators_night, report
from benchmarks.measuring import THREADS, Say

RESULTS = Path(__file__).parent / "results" / "latest.json"


@dataclass(frozen=True)
class Part:
    """A measurement: about how many steps it tells of, and the work."""

    steps: int
    measure: Callable[[Path, argparse.Namespace, Say], dict[str, Any]]


PARTS = {
    "comparison": Part(10, lambda folder, given, say: comparison.measure(folder, given.rows, say)),
    "engine": Part(10, lambda folder, given, say: engine.measure(folder, given.rows, say)),
    "scaling": Part(7, lambda folder, given, say: engine.scale(folder, given.rows, given.many_rows, say)),
    "cloud_costs": Part(3, lambda folder, given, say: costs.measure(folder, given.lines, say)),
    "access_logs": Part(4, lambda folder, given, say: access_logs.measure(folder, given.log_lines, say)),
    "github": Part(3, lambda folder, given, say: github.measure(folder, given.issues, say)),
    "operators_night": Part(5, lambda folder, _, say: operators_night.measure(folder, say)),
    "kpi_run_on_the_sample": Part(4, lambda folder, _, say: nightly.measure(folder, say)),
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--only", action="append", choices=PARTS, help="a part; may be given several times")
    parser.add_argument("--rows", type=int, default=40_000_000, help="user-days of three years for the engine")
    parser.add_argument("--many-rows", type=int, default=200_000_000, help="user-days to see how the engine scales")
    parser.add_argument("--lines", type=int, default=2_000_000, help="billing lines")
    parser.add_argument("--log-lines", type=int, default=20_000_000, help="lines of access logs (4 GB as text)")
    parser.add_argument("--issues", type=int, default=500_000, help="issues on GitHub, with ten events each")
    given = parser.parse_args()
    # Read when Polars is imported, which is in each contender's own process.
    os.environ["POLARS_MAX_THREADS"] = str(THREADS)
    names = [name for name in PARTS if not given.only or name in given.only]
    console = Console(highlight=False)
    before = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}
    # Not below /tmp where that is in memory: the warehouse lies on a disk in life.
    with tempfile.TemporaryDirectory(dir=Path.cwd(), prefix=".bench-") as folder, _progress(console) as progress:
        task = progress.add_task("", total=sum(PARTS[name].steps for name in names))

        def say(text: str) -> None:
            progress.update(task, advance=1, description=text)
            if not console.is_terminal:
                console.print(text)

        results = dict(before)
        for name in names:
            results[name] = PARTS[name].measure(Path(folder), given, say)
            # After each part: a run that is stopped in the last one keeps the others.
            results |= {"machine": report.machine(), "versions": report.versions()}
            RESULTS.parent.mkdir(exist_ok=True)
            RESULTS.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
        progress.update(task, completed=progress.tasks[0].total, description="done")
    console.print(_table({name: results[name] for name in names}))
    console.print(f"Written to {RESULTS}")
    if absent := report.missing(results):
        # A page of some results would throw away those of the others.
        console.print(f"{report.PAGE} stays as it is: not measured here yet: {', '.join(absent)}")
        return
    for path in report.write(results):
        console.print(f"Written to {path}")


def _progress(console: Console) -> Progress:
    columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("{task.description}"))
    return Progress(*columns, console=console, disable=not console.is_terminal)


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
