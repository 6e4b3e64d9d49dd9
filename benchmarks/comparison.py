"""The engine beside everything else, in one run: the same Parquet files, the same limits, each in a process of its own.

Every contender's numbers are compared with the engine's, day by day and hub by hub, before its time is believed.
"""

import shutil
from datetime import timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import duckdb

from benchmarks import contenders, metric_layer
from benchmarks.contenders import CONTENDERS, Contender, Task
from benchmarks.data import DAYS, GRAINS, LAST, fill_members, user_days
from benchmarks.measuring import Say, connect, in_own_process, timed
from kpi_pipeline import rolling
from kpi_pipeline.contracts import WAREHOUSE
from kpi_pipeline.warehouse import create_tables


class WrongNumbersError(Exception):
    """A contender and the engine disagree."""


def count_by_engine(task: Task) -> None:
    """Ours: five grains with all windows and flows, from the files; of these, the hubs' are kept to compare."""
    _count_by_engine(task, tuple(GRAINS))


def count_one_grain_by_engine(task: Task) -> None:
    """The same of the hubs alone, which is what the others do."""
    _count_by_engine(task, ("hub",))


def _count_by_engine(task: Task, grains: tuple[str, ...]) -> None:
    with connect(task.room / "engine.duckdb") as con:
        create_tables(con, [table for table in WAREHOUSE if table.schema == "facts"])
        fill_members(con, grains)
        # As the other contenders do, it reads the files themselves.
        con.execute("drop table facts.user_days")
        con.execute(f"create view facts.user_days as select date, cell, person_key from read_parquet('{task.files}')")
        con.execute("begin")
        rolling.rebuild(con)
        rolling.restate(con, task.last, everything=True)
        con.execute("commit")
        con.execute(
            "copy (select date, member::integer as cell, dau, wau, mau from facts.active_users "
            f"where grain = 'hub' and date between date '{task.first}' and date '{task.last}') "
            f"to '{task.result}' (format parquet)"
        )


def counted(contender: Contender, task: Task) -> dict[str, Any]:
    return timed(lambda: contender.count(task))


def differences(one: Path, other: Path, first: Any) -> int:
    """Rows of either that the other doesn't have, from a day on; days on which a hub has nobody don't count."""
    columns = "select date::date, cell::integer, dau::bigint, wau::bigint, mau::bigint"
    rows = [f"({columns} from '{path}' where mau > 0 and date::date >= date '{first}')" for path in (one, other)]
    with duckdb.connect() as con:
        found = con.execute(
            f"select count(*) from (({rows[0]} except all {rows[1]}) union all ({rows[1]} except all {rows[0]}))"
        ).fetchall()
    return int(found[0][0])


def compare(source: Path, room: Path, days: int, say: Say, only: tuple[str, ...] = ()) -> dict[str, Any]:
    """Runs the floor, the engine and the contenders that are installed; raises where numbers differ."""
    first = LAST - timedelta(days=days - 1)

    def run(name: str, contender: Contender) -> tuple[dict[str, Any], Task]:
        share = contender.share
        begin = LAST - timedelta(days=max(round(days * share), 1) - 1)
        task = Task(source, begin if share < 1 else first, LAST, room / name, metric_layer.sql())
        shutil.rmtree(task.room, ignore_errors=True)
        task.room.mkdir(parents=True)
        say(f"comparison: {contender.title}{f', {share:.0%} of the days' if share < 1 else ''}")
        found = in_own_process(counted, contender, task)
        if share < 1:
            found["share_of_days"] = share
        return {**found, "seconds_for_all_days": found["seconds"] / share}, task

    one_pass = Contender("one count(distinct)", contenders.count_distinct)
    floors = [run("floor", one_pass)[0]]
    ours, ours_task = run("engine", Contender("this engine", count_by_engine))
    hubs, _ = run("hubs", Contender("this engine, one grain", count_one_grain_by_engine))
    others: dict[str, Any] = {}
    for name, contender in CONTENDERS.items():
        if only and name not in only:
            continue
        if not find_spec(contender.package):
            say(f"comparison: {contender.title} is left out, {contender.package} isn't installed")
            continue
        found, task = run(name, contender)
        different = differences(task.result, ours_task.result, task.first)
        if different:
            raise WrongNumbersError(f"{contender.title}: {different:,} rows differ from the engine's in {task.result}")
        shutil.rmtree(task.room)
        others[name] = {
            "title": contender.title,
            **found,
            "times_ours": found["seconds_for_all_days"] / ours["seconds"],
            "times_ours_at_one_grain": found["seconds_for_all_days"] / hubs["seconds"],
        }
    # Before and after all others, and the faster one counts: what else the machine does should not flatter us.
    floors.append(run("floor", one_pass)[0])
    floor = min(floors, key=lambda one: float(one["seconds"]))
    return {
        "floor": floor,
        "engine": ours,
        "engine_one_grain": hubs,
        "passes": ours["seconds"] / floor["seconds"],
        "sql_by_metricflow": metric_layer.is_installed(),
        "contenders": others,
    }


def measure(folder: Path, rows: int, say: Say, only: tuple[str, ...] = ()) -> dict[str, Any]:
    """On the user-days of the engine's own measurement."""
    return compare(user_days(folder, rows, say), folder / "contenders", DAYS, say, only)
