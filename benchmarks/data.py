"""Generated user-days for the benchmarks, the same for the same arguments. Nothing is timed here."""

from datetime import date, timedelta
from pathlib import Path

import duckdb

LAST = date(2025, 12, 30)
DAYS, HUBS, COMMUNITIES = 1095, 200, 60
PERSON_DAYS = 35.9  # user-days that one person has on average, by the chances below
CHUNK_DAYS = 15
LONGEST_STAY = 220
NIGHTS = 5
# Five grains over the hubs: organisation, 200 hubs, 20 clusters, 60 communities, 3 hub types. Cells are hubs here.
GRAINS = {
    "organisation": "0",
    "hub": "{cell}",
    "cluster": "{cell} // 10",
    "community": "{cell} % " + str(COMMUNITIES),
    "hub_type": "{cell} % 3",
}


def write_user_days(folder: Path, rows: int, days: int = DAYS) -> None:
    """About `rows` user-days until LAST as Parquet files of 15 days each (date, cell, person_key), sorted by day.

    People come at random days and stay for 20 to 219 days, are there on 40 % of weekdays and 12 % of weekends; 15 %
    also use another hub, on other days or on the same one. The five days after LAST are in files of their own: busy
    days, on which 85 % are there. File by file, so that memory doesn't grow with the rows.
    """
    (folder / "nights").mkdir(parents=True, exist_ok=True)
    people = int(rows / PERSON_DAYS)
    first = LAST - timedelta(days=days - 1)
    limits = {"threads": 2, "memory_limit": "2GiB", "temp_directory": str(folder)}
    with duckdb.connect(config=limits) as con:
        con.execute("set enable_progress_bar = false")
        con.execute(f"""
            create temp table person as
            select md5(i::varchar)::uuid as person_key, i as person, (hash(i) % {HUBS})::integer as home,
                (hash(i + 7) % 100)::integer as chance, (hash(i + 11) % {days})::bigint as arrives,
                (20 + hash(i + 13) % {LONGEST_STAY - 20})::bigint as length
            from range({people}) t (i)
            order by arrives
        """)
        for start in range(0, days, CHUNK_DAYS):
            _write(con, folder / f"{start:05d}.parquet", first, start, min(start + CHUNK_DAYS, days))
        for night in range(days, days + NIGHTS):
            _write(con, folder / "nights" / f"{night - days}.parquet", first, night, night + 1, "85")


def _write(con: duckdb.DuckDBPyConnection, path: Path, first: date, start: int, end: int, percent: str = "") -> None:
    percent = percent or f"case when isodow(date '{first}' + day::integer) > 5 then 12 else 40 end"
    con.execute(f"""
        copy (
            with day as (
                select person, person_key, home, chance,
                    unnest(range(greatest(arrives, {start}), least(arrives + length, {end}))) as day
                from temp.person
                where arrives between {start - LONGEST_STAY} and {end - 1}
            ),
            here as (
                select *, hash(person, day) // 100 as other, (home + 1 + chance % 5) % {HUBS} as second
                from day
                where hash(person, day) % 100 < {percent}
            )
            select date '{first}' + day::integer as date, cell, person_key
            from (
                select day, person_key, case when chance < 15 and other % 3 = 0 then second else home end as cell
                from here
                union all
                select day, person_key, second from here where chance < 15 and other % 12 = 1
            )
            order by date, cell, person_key
        ) to '{path}' (format parquet)
    """)


def fill_members(con: duckdb.DuckDBPyConnection) -> None:
    """What the cells belong to."""
    for number, (grain, member) in enumerate(GRAINS.items()):
        member_of = member.format(cell="i")
        con.execute(
            f"insert into facts.members select distinct {number * 1000} + ({member_of}), '{grain}', "
            f"({member_of})::varchar from range({HUBS}) t (i)"
        )
        con.execute(
            f"insert into facts.cell_members select i, {number * 1000} + ({member_of}) from range({HUBS}) t (i)"
        )
