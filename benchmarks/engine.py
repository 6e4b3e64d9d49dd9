"""The rolling engine: a rebuild against one count(distinct) pass, nights on short and long histories, a late file."""

import shutil
import statistics
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb

from benchmarks.data import LAST, NIGHTS, fill_members, user_days, write_user_days
from benchmarks.measuring import Say, connect, cpu_seconds, in_own_process, seconds
from kpi_pipeline import rolling
from kpi_pipeline.contracts import WAREHOUSE
from kpi_pipeline.warehouse import create_tables

YEARS = (1, 3, 10)
BELATED = LAST - timedelta(weeks=104)
ROUNDS = 3
# What is compared with which time of the rebuild before it.
REBUILDS = {f"{what}_{time}": f"rebuild_{time}" for what in ("night", "late") for time in ("seconds", "cpu_seconds")}


def _load(path: Path, source: Path, where: str = "true") -> duckdb.DuckDBPyConnection:
    con = connect(path)
    create_tables(con, [table for table in WAREHOUSE if table.schema == "facts"])
    fill_members(con)
    con.execute(
        "insert into facts.user_days select date, cell, person_key "
        f"from read_parquet('{source}/*.parquet') where {where}"
    )
    con.execute("checkpoint")
    return con


def rebuild(folder: Path, source: Path, rounds: int) -> dict[str, Any]:
    """So many times in turn: one count(distinct) pass per day, and a rebuild of five grains with all windows."""
    floor, whole, floor_cpu, whole_cpu = [], [], [], []
    with _load(folder / "rebuild.duckdb", source) as con:

        def one_pass() -> None:
            con.execute("select date, count(distinct person_key) from facts.user_days group by date").fetchall()

        def everything() -> None:
            con.execute("begin")
            rolling.rebuild(con)
            rolling.restate(con, LAST, everything=True)
            con.execute("commit")

        for _ in range(rounds):
            start = cpu_seconds()
            floor.append(seconds(one_pass))
            middle = cpu_seconds()
            whole.append(seconds(everything))
            floor_cpu.append(middle - start)
            whole_cpu.append(cpu_seconds() - middle)
        rows, people = con.execute("select count(*), count(distinct person_key) from facts.user_days").fetchall()[0]
    return {
        "user_days": rows,
        "people": people,
        "count_distinct_seconds": statistics.median(floor),
        "rebuild_seconds": statistics.median(whole),
        "rebuild_cpu_seconds": statistics.median(whole_cpu),
        "passes": statistics.median(w / f for w, f in zip(whole, floor, strict=True)),
        "passes_by_cpu": statistics.median(w / f for w, f in zip(whole_cpu, floor_cpu, strict=True)),
    }


def load(folder: Path, source: Path) -> dict[str, Any]:
    """A warehouse with the user-days, and nothing made of them yet."""
    with _load(folder / "rebuild.duckdb", source) as con:
        return {"user_days": con.execute("select count(*) from facts.user_days").fetchall()[0][0]}


def rebuild_alone(folder: Path) -> dict[str, Any]:
    """Once, and nothing else in the process, as a run does it: what it takes of time and of memory."""
    with connect(folder / "rebuild.duckdb") as con:

        def everything() -> None:
            con.execute("begin")
            rolling.rebuild(con)
            rolling.restate(con, LAST, everything=True)
            con.execute("commit")

        start = cpu_seconds()
        taken = seconds(everything)
        return {"rebuild_seconds": taken, "rebuild_cpu_seconds": cpu_seconds() - start}


def _loaded_and_rebuilt(room: Path, source: Path) -> dict[str, Any]:
    """In two processes: one that has loaded everything holds on to much of its memory."""
    return in_own_process(load, room, source) | in_own_process(rebuild_alone, room)


def history(folder: Path, source: Path, late: bool) -> dict[str, Any]:
    """A warehouse for nights to come, counted anew once; for a late file, without one day of two years ago."""
    where = f"date <> date '{BELATED}'" if late else "true"
    with _load(folder / "nights.duckdb", source, where) as con:

        def everything() -> None:
            rolling.rebuild(con)
            rolling.restate(con, LAST, everything=True)

        start = cpu_seconds()
        taken = seconds(everything)
        used = cpu_seconds() - start
        con.execute("checkpoint")
        rows = con.execute("select count(*) from facts.user_days").fetchall()[0][0]
    return {"rebuild_seconds": taken, "rebuild_cpu_seconds": used, "user_days": rows}


def nights(folder: Path, source: Path, late: bool) -> dict[str, Any]:
    """One more day after another, each with 100,000 people; and the file of a day two years ago."""
    found: dict[str, Any] = {}
    with connect(folder / "nights.duckdb") as con:
        taken, used = [], []
        for night in range(NIGHTS):
            day = LAST + timedelta(days=night + 1)
            con.execute(f"create or replace temp table given as from read_parquet('{source}/nights/{night}.parquet')")
            start = cpu_seconds()
            taken.append(seconds(lambda day=day: _update(con, day, day)))
            used.append(cpu_seconds() - start)
        found["active_people"] = _people_given(con)
        found["night_seconds"] = statistics.median(taken)
        found["night_cpu_seconds"] = statistics.median(used)
        if late:
            con.execute(
                "create or replace temp table given as "
                f"from read_parquet('{source}/*.parquet') where date = date '{BELATED}'"
            )
            found["late_people"] = _people_given(con)
            start = cpu_seconds()
            found["late_seconds"] = seconds(lambda: _update(con, BELATED, day))
            found["late_cpu_seconds"] = cpu_seconds() - start
    return found


def _people_given(con: duckdb.DuckDBPyConnection) -> int:
    return int(con.execute("select count(distinct person_key) from temp.given").fetchall()[0][0])


def _update(con: duckdb.DuckDBPyConnection, day: date, through: date) -> None:
    con.execute("begin")
    change = rolling.update(con, [day], "select date, cell, person_key from temp.given", through)
    con.execute("commit")
    assert change.added
    assert not change.rebuilt


def measure(folder: Path, rows: int, say: Say) -> dict[str, Any]:
    """The engine alone, on `rows` user-days of three years."""
    source = user_days(folder, rows, say)
    say("the engine: rebuild of all grains against one count(distinct)")
    whole = in_own_process(rebuild, _room(folder), source, ROUNDS)
    say("the engine: its memory")
    alone = _loaded_and_rebuilt(_room(folder), source)
    found: dict[str, Any] = {"rebuild": {**whole, "peak_memory_mib": alone["peak_memory_mib"]}}
    for years in YEARS:
        days = source if years == 3 else folder / f"user_days_{years}_years"
        if years != 3:
            say(f"generating {years} years of user-days, as many a day")
            write_user_days(days, rows * years // 3, 365 * years)
        # On three years in turn with rebuilds, as what is between them is what is asked.
        taken = []
        for number in range(ROUNDS if years == 3 else 1):
            say(f"the engine: nights on {years} years" + (f", {number + 1} of {ROUNDS}" if years == 3 else ""))
            room = _room(folder)
            before = in_own_process(history, room, days, years == 3)
            # In a process of its own, as a night is: one that has counted everything holds on to much of its memory.
            taken.append(before | in_own_process(nights, room, days, years == 3))
        found[f"{years}_years"] = {name: statistics.median(one[name] for one in taken) for name in taken[0]}
        if years == 3:
            found["share_of_rebuild"] = {
                name: statistics.median(one[name] / one[of] for one in taken) for name, of in REBUILDS.items()
            }
        else:
            shutil.rmtree(days)
    return {**found, "night_10_years_to_1": found["10_years"]["night_seconds"] / found["1_years"]["night_seconds"]}


def scale(folder: Path, rows: int, many: int, say: Say) -> dict[str, Any]:
    """Rebuilds of `rows` and of `many` user-days: how the time grows, and the memory."""
    source, large = user_days(folder, rows, say), folder / "user_days_many"
    say(f"the engine: rebuild of {rows:,} user-days")
    small = _loaded_and_rebuilt(_room(folder), source)
    say(f"generating {many:,} user-days")
    write_user_days(large, many)
    say(f"the engine: rebuild of {many:,} user-days")
    big = _loaded_and_rebuilt(_room(folder), large)
    shutil.rmtree(large)
    growth = (big["rebuild_seconds"] / small["rebuild_seconds"]) / (big["user_days"] / small["user_days"])
    growth_cpu = (big["rebuild_cpu_seconds"] / small["rebuild_cpu_seconds"]) / (big["user_days"] / small["user_days"])
    return {"few": small, "many": big, "growth_to_linear": growth, "growth_to_linear_by_cpu": growth_cpu}


def _room(folder: Path) -> Path:
    """An empty folder for the next warehouse."""
    room = folder / "warehouse"
    shutil.rmtree(room, ignore_errors=True)
    room.mkdir()
    return room
