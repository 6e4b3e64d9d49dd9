"""The rolling engine: a rebuild against one count(distinct) pass; a night on much history against one on little."""

import resource
import statistics
import time
from collections.abc import Callable
from datetime import date, timedelta
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import duckdb

from benchmarks.data import fill_members, write_user_days
from kpi_pipeline import rolling
from kpi_pipeline.contracts import WAREHOUSE
from kpi_pipeline.warehouse import create_tables

LAST = date(2023, 1, 1) + timedelta(days=1094)
LIMITS = {"threads": 2, "memory_limit": "2GiB"}


def _seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def _open(path: Path, source: Path, first: date) -> duckdb.DuckDBPyConnection:
    con = duckdb.connect(str(path), config={**LIMITS, "temp_directory": str(path.parent)})
    con.execute("set enable_progress_bar = false")
    create_tables(con, WAREHOUSE)
    fill_members(con)
    con.execute("insert into facts.user_days select date, cell, person_key from read_parquet(?) where date >= ?",
                [str(source), first])  # fmt: skip
    return con


def _in_own_process(function: Callable[..., Any], *arguments: Any) -> Any:
    """Runs in a fresh process, so that its peak memory is its own."""
    with get_context("spawn").Pool(1) as pool:
        return pool.apply(_measured, (function, arguments))


def _measured(function: Callable[..., Any], arguments: tuple[Any, ...]) -> dict[str, Any]:
    result: dict[str, Any] = function(*arguments)
    return {**result, "peak_memory_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024}


def rebuild(folder: Path, source: Path) -> dict[str, Any]:
    """Three times in turn: one count(distinct) pass per day, and a rebuild of five grains with all windows."""
    floor, whole = [], []
    with _open(folder / "rebuild.duckdb", source, date(2023, 1, 1)) as con:
        rows = con.execute("select count(*) from facts.user_days").fetchall()[0][0]

        def one_pass() -> None:
            con.execute("select date, count(distinct person_key) from facts.user_days group by date").fetchall()

        def everything() -> None:
            rolling.rebuild(con)
            rolling.restate(con, LAST, everything=True)

        for _ in range(3):
            floor.append(_seconds(one_pass))
            whole.append(_seconds(everything))
    return {
        "user_days": rows,
        "count_distinct_seconds": statistics.median(floor),
        "rebuild_seconds": statistics.median(whole),
        "ratio": statistics.median(w / f for w, f in zip(whole, floor, strict=True)),
    }


def night(folder: Path, source: Path, history_days: int) -> dict[str, Any]:
    """Ten more days, one by one, on a history of so many days; the newest days are the same whatever the history."""
    nights, last = 10, LAST - timedelta(days=10)
    seconds = []
    with _open(folder / f"night-{history_days}.duckdb", source, LAST - timedelta(days=history_days)) as con:
        con.execute("delete from facts.user_days where date > ?", [last])
        rolling.rebuild(con)
        rolling.restate(con, last, everything=True)
        con.execute("checkpoint")
        for n in range(1, nights + 1):
            day = last + timedelta(days=n)
            wanted = f"select date, cell, person_key from read_parquet('{source}') where date = date '{day}'"
            con.execute(f"create or replace temp table tonight as {wanted}")

            def one_night(day: date = day) -> None:
                con.execute("begin")
                rolling.update(con, [day], "select * from tonight", day)
                con.execute("commit")

            seconds.append(_seconds(one_night))
        people = con.execute("select count(distinct person_key) from tonight").fetchall()[0][0]
    return {"history_days": history_days, "active_people": people, "seconds": statistics.median(seconds)}


def late(folder: Path, source: Path) -> dict[str, Any]:
    """A file for a day two years ago arrives late, on three years of history."""
    day = LAST - timedelta(days=730)
    with _open(folder / "late.duckdb", source, date(2023, 1, 1)) as con:
        con.execute("create temp table complete as select * from facts.user_days where date = ?", [day])
        con.execute("delete from facts.user_days where date = ? and person_key in "
                    "(select distinct person_key from temp.complete using sample 10 percent (reservoir, 1))",
                    [day])  # fmt: skip
        rolling.rebuild(con)
        rolling.restate(con, LAST, everything=True)
        wanted = "select * from temp.complete"
        return {"seconds": _seconds(lambda: rolling.update(con, [day], wanted, LAST))}


def measure(folder: Path, rows: int, say: Callable[[str], None]) -> dict[str, Any]:
    """All of it; `say` is told what is being done."""
    source = folder / "user_days.parquet"
    say(f"generating {rows:,} user-days")
    write_user_days(source, rows)
    say("rebuild of all grains")
    whole = _in_own_process(rebuild, folder, source)
    say("a night on 3 months of history")
    short = _in_own_process(night, folder, source, 90)
    say("a night on 3 years of history")
    long = _in_own_process(night, folder, source, 1094)
    say("a late file")
    belated = _in_own_process(late, folder, source)
    return {
        "rebuild": whole,
        "night_on_3_months": short,
        "night_on_3_years": long,
        "night_ratio": long["seconds"] / short["seconds"],
        "night_share_of_rebuild": long["seconds"] / whole["rebuild_seconds"],
        "late_file": belated,
        "late_share_of_rebuild": belated["seconds"] / whole["rebuild_seconds"],
    }
