"""`kpi run` on the committed sample: the first run, and the next ones."""

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any


def measure(folder: Path, say: Callable[[str], None]) -> dict[str, Any]:
    """Whole-process seconds."""
    command = [sys.executable, "-m", "kpi_pipeline.cli", "run", "--data-dir", str(folder / "data")]
    variables = {k: v for k, v in os.environ.items() if not k.startswith(("KPI_", "DAGSTER"))}
    seconds = []
    for number in range(4):
        say(f"kpi run on the sample, {number + 1} of 4")
        start = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=variables)
        seconds.append(time.perf_counter() - start)
    return {"first_run_seconds": seconds[0], "next_run_seconds": statistics.median(seconds[1:])}
