"""Generated user-days for the benchmarks, the same for the same arguments. Nothing is timed here."""

from datetime import date, timedelta
from pathlib import Path

import duckdb

FIRST = date(2023, 1, 1)
DAYS, HUBS, COMMUNITIES = 1095, 200, 60
PERSON_DAYS = 36.0  # user-days that one person has on average, by the chances below
CHUNK_DAYS = 15
LONGEST_STAY = 220


def write_user_days(folder: Path, rows: int, days: int = DAYS, hubs: int = HUBS) -> None:
    """About `rows` user-days as Parquet files of 15 days each (date, cell, person_key), sorted by day.

    People come at random days and stay for 20 to 219 days, are there on 40 % of weekdays and 12 % of weekends; 15 %
    also use another hub, on other days or on the same one. The newest day is the same whatever the number of days: only
    history gets longer. File by file, so that memory doesn't grow with the rows.
    """
    folder.mkdir(parents=True, exist_ok=True)
    people = int(rows / PERSON_DAYS)
    with duckdb.connect(config={"threads": 2, "memory_limit": "2GiB", "temp_directory": str(folder)}) as con:
        con.execute("set enable_progress_bar = false")
        con.execute(f"""
            create temp table person as
            select md5(i::varchar)::uuid as person_key, i as person, (hash(i) % {hubs})::integer as home,
                (hash(i + 7) % 100)::integer as chance, (hash(i + 11) % {days})::integer as arrives,
                (20 + hash(i + 13) % {LONGEST_STAY - 20})::integer as length
            from range({people}) t (i)
            order by arrives
        """)
        first = last_day() - timedelta(days=days - 1)
        for start in range(0, days, CHUNK_DAYS):
            con.execute(f"""
                copy (
                    with day as (
                        select person, person_key, home, chance, day, hash(person, day) as h
                        from temp.person, range({start}, {min(start + CHUNK_DAYS, days)}) t (day)
                        where arrives between day - {LONGEST_STAY} and day and day < arrives + length
                    ),
                    here as (
                        select * from day
                        where h % 100 < (case when isodow(date '{first}' + day::integer) > 5 then 12 else 40 end)
                    )
                    select date '{first}' + day::integer as date, cell, person_key
                    from (
                        select *, case when chance < 15 and h // 100 % 3 = 0 then (home + 1 + chance % 5) % {hubs}
                            else home end as cell from here
                        union all
                        select *, (home + 1 + chance % 5) % {hubs} from here where chance < 15 and h // 100 % 12 = 1
                    )
                    order by date, cell, person_key
                ) to '{folder}/{start:05d}.parquet' (format parquet)
            """)


def last_day() -> date:
    """The newest day of all generated data."""
    return FIRST + timedelta(days=DAYS - 1)


def fill_members(con: duckdb.DuckDBPyConnection, hubs: int = 200) -> None:
    """Five grains over the cells: organisation, 200 hubs, 20 clusters, 60 communities, 3 hub types."""
    grains = {
        "organisation": "0",
        "hub": "i",
        "cluster": f"i // {max(hubs // 20, 1)}",
        "community": "i % 60",
        "hub_type": "i % 3",
    }
    for number, (grain, member) in enumerate(grains.items()):
        offset = number * 1000
        con.execute(
            f"insert into facts.members select distinct {offset} + {member}, '{grain}', ({member})::varchar "
            f"from range({hubs}) t (i)"
        )
        con.execute(f"insert into facts.cell_members select i, {offset} + {member} from range({hubs}) t (i)")
