"""Runs the command line as people do, and reads what it published. No test is here."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import duckdb

KPI = [sys.executable, "-m", "kpi_pipeline.cli"]
PROJECT = Path(__file__).resolve().parents[2]
SAMPLE = PROJECT / "data" / "sample"
# Who changed a row and when is not part of what a value is.
BOOKKEEPING = {"run_id", "computed_at"}


def environment(**more: str) -> dict[str, str]:
    """This process's environment without settings that a test has not made."""
    return {k: v for k, v in os.environ.items() if not k.startswith(("KPI_", "DAGSTER"))} | more


def kpi(*arguments: object, cwd: Path = PROJECT, **variables: str) -> subprocess.CompletedProcess[str]:
    """Runs `kpi` to its end."""
    return subprocess.run(
        [*KPI, *map(str, arguments)],
        cwd=cwd,
        env=environment(**variables),
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )


def run(config: Path, data_dir: Path, *more: object, **variables: str) -> subprocess.CompletedProcess[str]:
    """`kpi run`, which must succeed."""
    done = kpi("run", "--config", config, "--data-dir", data_dir, *more, **variables)
    assert done.returncode == 0, done.stdout + done.stderr
    return done


def run_and_kill(config: Path, data_dir: Path, after: float) -> int:
    """`kpi run`, killed by SIGKILL after some seconds with everything that it started; its exit status."""
    process = subprocess.Popen(
        [*KPI, "run", "--config", str(config), "--data-dir", str(data_dir)],
        cwd=PROJECT,
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        return process.wait(timeout=after)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        return process.wait()


def published(data_dir: Path) -> duckdb.DuckDBPyConnection:
    """The published database, as a notebook opens it."""
    return duckdb.connect(str(data_dir / "published" / "kpis.duckdb"), read_only=True)


def values(data_dir: Path) -> dict[str, list[tuple[Any, ...]]]:
    """Everything published but the bookkeeping, table by table, in a fixed order."""
    with published(data_dir) as con:
        tables = [row[0] for row in con.execute("select table_name from duckdb_tables() order by 1").fetchall()]
        return {name: _rows(con, name) for name in tables}


def _rows(con: duckdb.DuckDBPyConnection, name: str) -> list[tuple[Any, ...]]:
    found = con.execute("select column_name from duckdb_columns() where table_name = ?", [name]).fetchall()
    columns = ", ".join(f'"{column}"' for (column,) in found if column not in BOOKKEEPING)
    return con.execute(f'select {columns} from "{name}" order by all').fetchall()


def wait_until(ready: Any, seconds: float = 60.0) -> None:
    """Polls until `ready()`."""
    until = time.monotonic() + seconds
    while not ready():
        assert time.monotonic() < until, "took too long"
        time.sleep(0.05)
