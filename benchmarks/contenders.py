"""Other ways to count DAU, WAU and MAU exactly, each as its users write it, on the same Parquet files as the engine.

A contender writes date, cell, dau, wau and mau of every hub, for the days from `first` to `last`, as one Parquet file;
days on which a hub has nobody in 30 days may be missing. What doesn't belong here: anything of the engine itself.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb

from benchmarks.measuring import THREADS, connect

MEMORY_LIMIT = "2GiB"


@dataclass(frozen=True)
class Task:
    """What a contender is asked for: `user_days` are the Parquet files, `room` is an empty folder for what it needs."""

    user_days: Path
    first: date
    last: date
    room: Path
    query: str = ""  # of the metric layer, made before the clock starts

    @property
    def result(self) -> Path:
        return self.room / "result.parquet"

    @property
    def files(self) -> str:
        return f"{self.user_days}/*.parquet"

    @property
    def seen(self) -> str:
        """The rows that matter: the windows of the first day begin 29 days before it."""
        return f"(from read_parquet('{self.files}') where date between date '{self.first}' - 29 and date '{self.last}')"


@dataclass(frozen=True)
class Contender:
    """One way of counting. `share` is the part of the days that it runs on: what would take forever runs on a tenth."""

    title: str
    count: Callable[[Task], None]
    share: float = 1.0
    package: str = "duckdb"


def _duckdb(task: Task) -> duckdb.DuckDBPyConnection:
    con = connect(task.room / "contender.duckdb", MEMORY_LIMIT)
    con.execute("reset disabled_optimizers")
    con.execute(f"create view user_days as from {task.seen}")
    con.execute(
        "create table days as select unnest(generate_series($first::date, $last::date, interval 1 day))::date as day",
        {"first": task.first, "last": task.last},
    )
    return con


def self_join(task: Task) -> None:
    """What MetricFlow generates for three cumulative metrics: days joined with what lies in the window before them."""
    with _duckdb(task) as con:
        con.execute(
            "copy (select metric_time__day::date as date, user_day__hub as cell, coalesce(dau, 0) as dau, "
            "coalesce(wau, 0) as wau, mau from ("
            f"{task.query})) to '{task.result}' (format parquet)"
        )


def unnest_to_30_days(task: Task) -> None:
    """Each row is repeated for the 30 days on which it counts, and then it is a plain count(distinct)."""
    with _duckdb(task) as con:
        con.execute(f"""
            copy (
                select date, cell, count(distinct person_key) filter (where age = 0) as dau,
                    count(distinct person_key) filter (where age < 7) as wau, count(distinct person_key) as mau
                from (
                    select date + age as date, cell, person_key, age
                    from (select *, unnest(range(30))::integer as age from user_days)
                )
                where date between date '{task.first}' and date '{task.last}'
                group by date, cell
            ) to '{task.result}' (format parquet)
        """)


def bit_patterns(task: Task) -> None:
    """Mozilla's `days_seen_bits`: a table of people with a bit for each of the last days, carried on day by day."""
    with _duckdb(task) as con:
        con.execute("create table seen (cell integer, person_key uuid, bits integer)")
        con.execute("create table counts (date date, cell integer, dau bigint, wau bigint, mau bigint)")
        day = task.first - timedelta(days=29)
        while day <= task.last:
            con.execute(
                """
                create or replace table seen as
                select coalesce(s.cell, t.cell) as cell, coalesce(s.person_key, t.person_key) as person_key,
                    ((coalesce(s.bits, 0) << 1) & (1 << 30) - 1) | (t.person_key is not null)::integer as bits
                from seen as s
                full join (from user_days where date = $day) as t on s.cell = t.cell and s.person_key = t.person_key
                where ((coalesce(s.bits, 0) << 1) & (1 << 30) - 1) | (t.person_key is not null)::integer > 0
                """,
                {"day": day},
            )
            if day >= task.first:
                con.execute(
                    "insert into counts select $day, cell, count(*) filter (where bits & 1 > 0), "
                    "count(*) filter (where bits & 127 > 0), count(*) from seen group by cell",
                    {"day": day},
                )
            day += timedelta(days=1)
        con.execute(f"copy counts to '{task.result}' (format parquet)")


def clickhouse_bitmaps(task: Task) -> None:
    """ClickHouse: people are numbered, each day of a hub is an exact bitmap, and a window merges 30 of them."""
    from chdb import session

    clickhouse = session.Session(str(task.room / "chdb"))
    try:
        for setting in (
            f"max_threads = {THREADS}",
            f"max_memory_usage = {2 << 30}",
            "schema_inference_make_columns_nullable = 0",
        ):
            clickhouse.query(f"set {setting}")
        clickhouse.query("create database bench")
        seen = f"file('{task.files}', Parquet) where date between '{task.first - timedelta(days=29)}' and '{task.last}'"
        clickhouse.query(
            "create table bench.people engine = Join(any, left, person_key) as "
            "select person_key, toUInt32(rowNumberInAllBlocks()) as number "
            f"from (select distinct person_key from {seen})"
        )
        clickhouse.query(
            "create table bench.days engine = MergeTree order by (cell, date) as "
            "select toDate(date) as date, cell, "
            "groupBitmapState(joinGet('bench.people', 'number', person_key)) as people "
            f"from (select date, cell, person_key from {seen}) group by date, cell"
        )
        windows = ", ".join(
            f"groupBitmapMerge(people) over (partition by cell order by toUInt32(day) "
            f"range between {days - 1} preceding and current row) as {name}"
            for name, days in (("dau", 1), ("wau", 7), ("mau", 30))
        )
        clickhouse.query(
            f"select day as date, cell, dau, wau, mau from (select day, cell, {windows} from ("
            # Windows end on days too on which a hub has nobody.
            "select d.day as day, d.cell as cell, t.people as people from ("
            f"    select cell, arrayJoin(range({(task.last - task.first).days + 30})) + "
            f"        toDate('{task.first - timedelta(days=29)}') as day from (select distinct cell from bench.days)"
            ") d left join bench.days t on t.cell = d.cell and t.date = d.day)"
            f") where day >= '{task.first}' into outfile '{task.result}' format Parquet"
        )
    finally:
        clickhouse.close()


def polars_sort_and_shift(task: Task) -> None:
    """Polars: sorted by hub, person and day, the day before and after beside each row; the windows are running sums."""
    import polars as pl

    rows = (
        pl.scan_parquet(task.files)
        .filter(pl.col("date").is_between(task.first - timedelta(days=29), task.last))
        .sort("cell", "person_key", "date")
        .with_columns(
            before=(pl.col("date") - pl.col("date").shift(1).over("cell", "person_key")).dt.total_days(),
            after=(pl.col("date").shift(-1).over("cell", "person_key") - pl.col("date")).dt.total_days(),
        )
    )

    def change(days: int, name: str) -> Any:
        comes = rows.filter(pl.col("before").is_null() | (pl.col("before") >= days)).select(
            "cell", "date", pl.lit(1).alias(name)
        )
        goes = rows.filter(pl.col("after").is_null() | (pl.col("after") >= days)).select(
            "cell", pl.col("date").dt.offset_by(f"{days}d"), pl.lit(-1).alias(name)
        )
        return pl.concat([comes, goes])

    daily = pl.concat([change(1, "dau"), change(7, "wau"), change(30, "mau")], how="diagonal")
    grid = (
        pl.scan_parquet(task.files)
        .select("cell")
        .unique()
        .join(
            pl.LazyFrame({"date": pl.date_range(task.first - timedelta(days=29), task.last, eager=True)}), how="cross"
        )
    )
    counts = (
        pl.concat([daily, grid], how="diagonal_relaxed")
        .group_by("cell", "date")
        .sum()
        .sort("cell", "date")
        .with_columns(pl.col("dau", "wau", "mau").cum_sum().over("cell"))
        .filter(pl.col("date").is_between(task.first, task.last))
    )
    counts.collect(engine="streaming").write_parquet(task.result)


CONTENDERS = {
    "self_join": Contender("range self-join, as MetricFlow writes it (DuckDB)", self_join, 0.1),
    "unnest": Contender("each row unnested to 30 days (DuckDB)", unnest_to_30_days, 0.1),
    "bit_patterns": Contender("patterns of 30 bits, day by day (DuckDB)", bit_patterns),
    "clickhouse": Contender("sliding exact bitmaps (ClickHouse)", clickhouse_bitmaps, package="chdb"),
    "polars": Contender("sort and shift (Polars)", polars_sort_and_shift, package="polars"),
}


def count_distinct(task: Task) -> None:
    """The floor: one plain pass, which gives DAU of everybody together and no more."""
    with _duckdb(task) as con:
        con.execute(
            "copy (select date, count(distinct person_key) as dau from user_days group by date) "
            f"to '{task.result}' (format parquet)"
        )
