"""How things are measured: each in a process of its own, with its wall-clock, its CPU and its peak memory."""

import resource
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import duckdb

from kpi_pipeline.warehouse import MEMORY_LIMIT, set_up

THREADS = 2
Say = Callable[[str], None]


def timed(work: Callable[[], object], prefix: str = "") -> dict[str, float]:
    """`seconds` of wall-clock and `cpu_seconds` that the work takes."""
    cpu, start = _cpu_seconds(), time.perf_counter()
    work()
    return {f"{prefix}seconds": time.perf_counter() - start, f"{prefix}cpu_seconds": _cpu_seconds() - cpu}


def _cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def in_own_process(function: Callable[..., dict[str, Any]], *arguments: Any) -> dict[str, Any]:
    """Runs in a fresh process, so that its peak memory is its own."""
    # It is asked to end, and not killed: ClickHouse catches the signal, and the process may never end then.
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        return pool.submit(_measured, function, arguments).result()


def _measured(function: Callable[..., dict[str, Any]], arguments: tuple[Any, ...]) -> dict[str, Any]:
    result = function(*arguments)
    return {**result, "peak_memory_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024}


def connect(path: Path, memory_limit: str = MEMORY_LIMIT) -> duckdb.DuckDBPyConnection:
    """DuckDB as the warehouse opens it, but with two threads."""
    limits: dict[str, Any] = {
        "threads": THREADS,
        "memory_limit": memory_limit,
        "temp_directory": str(path.with_suffix(".spill")),
    }
    return set_up(duckdb.connect(str(path), config=limits))
