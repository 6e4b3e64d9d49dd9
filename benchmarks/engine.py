"""The rolling engine: a rebuild against one count(distinct) pass, nights on short and long histories, a late file."""

import shutil
import statistics
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb

from benchmarks.data import LAST, NIGHTS, fill_members, user_days, write_user_days
from benchmarks.measuring import Say, connect, in_own_process, timed
from kpi_pipeline import rolling
from kpi_pipeline.contracts import WAREHOUSE
from kpi_pipeline.warehouse import create_tables

LONG, SHORT = 10, 1  # years
BELATED = LAST - timedelta(weeks=104)
ROUNDS = 3
TIMES = ("seconds", "cpu_seconds")


def _create(path: Path) -> duckdb.DuckDBPyConnection:
    con = connect(path)
    create_tables(con, [table for table in WAREHOUSE if table.schema == "facts"])
    fill_members(con)
    return con


def _read(con: duckdb.DuckDBPyConnection, source: Path, where: str = "true") -> None:
    con.execute(
        "insert into facts.user_days select date, cell, person_key "
        f"from read_parquet('{source}/*.parquet') where {where}"
    )


def _rebuild(con: duckdb.DuckDBPyConnection) -> None:
    con.execute("begin")
    rolling.rebuild(con)
    rolling.restate(con, LAST, everything=True)
    con.execute("commit")


def _load(path: Path, source: Path) -> duckdb.DuckDBPyConnection:
    con = _create(path)
    _read(con, source)
    con.execute("checkpoint")
    return con


def rebuild(folder: Path, source: Path, rounds: int) -> dict[str, Any]:
    """So many times in turn: one count(distinct) pass per day, and a rebuild of five grains with all windows."""
    taken = []
    with _load(folder / "rebuild.duckdb", source) as con:

        def one_pass() -> None:
            con.execute("select date, count(distinct person_key) from facts.user_days group by date").fetchall()

        for _ in range(rounds):
            taken.append(timed(one_pass, "count_distinct_") | timed(lambda: _rebuild(con), "rebuild_"))
        rows, people = con.execute("select count(*), count(distinct person_key) from facts.user_days").fetchall()[0]
    return {
        "user_days": rows,
        "people": people,
        **_medians(taken),
        "passes": statistics.median(one["rebuild_seconds"] / one["count_distinct_seconds"] for one in taken),
        "passes_by_cpu": statistics.median(
            one["rebuild_cpu_seconds"] / one["count_distinct_cpu_seconds"] for one in taken
        ),
    }


def load(folder: Path, source: Path) -> dict[str, Any]:
    """A warehouse with the user-days, and nothing made of them yet."""
    with _load(folder / "rebuild.duckdb", source) as con:
        return {"user_days": con.execute("select count(*) from facts.user_days").fetchall()[0][0]}


def rebuild_alone(folder: Path) -> dict[str, Any]:
    """Once, and nothing else in the process, as a run does it: what it takes of time and of memory."""
    with connect(folder / "rebuild.duckdb") as con:
        return timed(lambda: _rebuild(con), "rebuild_")


def anew(folder: Path, source: Path) -> dict[str, Any]:
    """All days at once by the call that a night is: from the files, through what has changed, to the commit."""
    with _create(folder / "anew.duckdb") as con:
        days = con.execute(f"select distinct date from read_parquet('{source}/*.parquet')").fetchall()
        return timed(lambda: _update(con, [day for (day,) in days], f"{source}/*.parquet", LAST), "anew_")


def history(folder: Path, source: Path, late: bool) -> dict[str, Any]:
    """A warehouse for nights to come, read and counted once; for a late file, without one day of two years ago."""
    where = f"date <> date '{BELATED}'" if late else "true"
    with _create(folder / "nights.duckdb") as con:
        taken = timed(lambda: _read(con, source, where), "read_")
        con.execute("checkpoint")
        taken |= timed(lambda: _rebuild(con), "rebuild_")
        con.execute("checkpoint")
    return taken | {f"from_files_{time}": taken[f"read_{time}"] + taken[f"rebuild_{time}"] for time in TIMES}


def nights(folder: Path, source: Path, late: bool) -> dict[str, Any]:
    """The file of one day after another, each with 100,000 people; and that of a day two years ago."""
    found: dict[str, Any] = {}
    with connect(folder / "nights.duckdb") as con:
        taken = []
        for night in range(NIGHTS):
            day, file = LAST + timedelta(days=night + 1), source / "nights" / f"{night}.parquet"
            taken.append(timed(lambda day=day, file=file: _update(con, [day], file, day), "night_"))
        found["active_people"] = _people(con, file)
        found |= _medians(taken)
        if late:
            file = folder / "late.parquet"
            con.execute(
                f"copy (from read_parquet('{source}/*.parquet') where date = date '{BELATED}') "
                f"to '{file}' (format parquet)"
            )
            found["late_people"] = _people(con, file)
            found |= timed(lambda: _update(con, [BELATED], file, day), "late_")
    return found


def _people(con: duckdb.DuckDBPyConnection, file: Path) -> int:
    return int(con.execute(f"select count(distinct person_key) from '{file}'").fetchall()[0][0])


def _update(con: duckdb.DuckDBPyConnection, days: list[date], files: Path | str, through: date) -> None:
    con.execute("begin")
    change = rolling.update(con, days, f"select date, cell, person_key from read_parquet('{files}')", through)
    con.execute("commit")
    assert change.added
    assert change.rebuilt == (len(days) > 1)


def measure(folder: Path, rows: int, say: Say) -> dict[str, Any]:
    """The engine alone, on `rows` user-days of three years."""
    source = user_days(folder, rows, say)
    say("the engine: rebuild of all grains against one count(distinct)")
    whole = in_own_process(rebuild, _room(folder), source, ROUNDS)
    say("the engine: its memory")
    room = _room(folder)
    # In two processes: one that has loaded everything holds on to much of its memory.
    in_own_process(load, room, source)
    alone = in_own_process(rebuild_alone, room)
    found: dict[str, Any] = {"rebuild": {**whole, "peak_memory_mib": alone["peak_memory_mib"]}}
    return {**found, **_nights_and_rebuilds(folder, source, say), **_long_and_short(folder, rows, say)}


def _nights_and_rebuilds(folder: Path, source: Path, say: Say) -> dict[str, Any]:
    """In turn, so that what is compared was measured at about the same time."""
    taken = []
    for number in range(ROUNDS):
        say(f"the engine: nights and a late file, {number + 1} of {ROUNDS}")
        whole = in_own_process(anew, _room(folder), source)
        room = _room(folder)
        before = in_own_process(history, room, source, True)
        # In a process of its own, as a night is: one that has counted everything holds on to much of its memory.
        taken.append(whole | before | in_own_process(nights, room, source, True))
    share = {
        f"{what}_{time}_of_{of}": statistics.median(one[f"{what}_{time}"] / one[f"{of}_{time}"] for one in taken)
        for what in ("night", "late")
        for of in ("anew", "from_files", "rebuild")
        for time in TIMES
    }
    return {"nights": _medians(taken), "share": share}


def _long_and_short(folder: Path, rows: int, say: Say) -> dict[str, Any]:
    """Nights on ten years and on one, with as many people a day, in turn on copies of the two warehouses."""
    sources = {years: folder / f"user_days_{years}_years" for years in (LONG, SHORT)}
    for years, source in sources.items():
        say(f"{years} years of user-days, as many a day")
        write_user_days(source, rows * years // 3, 365 * years)
        in_own_process(history, source, source, False)
    taken: list[dict[int, dict[str, Any]]] = []
    for number in range(ROUNDS):
        say(f"the engine: nights on a long and a short history, {number + 1} of {ROUNDS}")
        taken.append({})
        for years, source in sources.items():
            room = _room(folder)
            shutil.copy(source / "nights.duckdb", room)
            taken[-1][years] = in_own_process(nights, room, source, False)
    for source in sources.values():
        shutil.rmtree(source)
    return {
        f"night_{time}_long_to_short": statistics.median(
            one[LONG][f"night_{time}"] / one[SHORT][f"night_{time}"] for one in taken
        )
        for time in TIMES
    }


def scale(folder: Path, rows: int, many: int, say: Say) -> dict[str, Any]:
    """Rebuilds of `rows` and of `many` user-days in turn: how the time grows, and the memory."""
    sources = {"few": user_days(folder, rows, say), "many": folder / "user_days_many"}
    say(f"generating {many:,} user-days")
    write_user_days(sources["many"], many)
    rooms = {name: folder / f"warehouse_of_{name}" for name in sources}
    size: dict[str, int] = {}
    for name, room in rooms.items():
        say(f"the engine: reading {name} user-days")
        room.mkdir()
        size[name] = in_own_process(load, room, sources[name])["user_days"]
    shutil.rmtree(sources["many"])
    taken: list[dict[str, dict[str, Any]]] = []
    for number in range(ROUNDS):
        say(f"the engine: rebuilds of few and of many user-days, {number + 1} of {ROUNDS}")
        taken.append({name: in_own_process(rebuild_alone, room) for name, room in rooms.items()})
    for room in rooms.values():
        shutil.rmtree(room)

    def growth(time: str) -> float:
        ratios = (one["many"][f"rebuild_{time}"] / one["few"][f"rebuild_{time}"] for one in taken)
        return statistics.median(ratios) / (size["many"] / size["few"])

    rebuilds = {
        name: _medians([one[name] for one in taken])
        | {"user_days": size[name], "peak_memory_mib": max(one[name]["peak_memory_mib"] for one in taken)}
        for name in rooms
    }
    return {**rebuilds, "growth_to_linear": growth("seconds"), "growth_to_linear_by_cpu": growth("cpu_seconds")}


def _medians(taken: list[dict[str, Any]]) -> dict[str, Any]:
    return {name: statistics.median(one[name] for one in taken) for name in taken[0]}


def _room(folder: Path) -> Path:
    """An empty folder for the next warehouse."""
    room = folder / "warehouse"
    shutil.rmtree(room, ignore_errors=True)
    room.mkdir()
    return room
