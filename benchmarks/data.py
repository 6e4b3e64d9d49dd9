"""Generated user-days for the benchmarks, the same for the same arguments. Nothing is timed here."""

from pathlib import Path

import duckdb

PERSON_DAYS = 35.7  # user-days that one person has on average, by the chances below


def write_user_days(path: Path, rows: int, days: int = 1095, hubs: int = 200) -> None:
    """About `rows` user-days as Parquet (date, cell, person_key), sorted by day.

    People come at random days and stay for 20 to 219 days, are there on 40 % of weekdays and 12 % of weekends; 15 %
    also use other hubs.
    """
    people = int(rows / PERSON_DAYS)
    with duckdb.connect(config={"threads": 2}) as con:
        con.execute(f"""
            copy (
                with person as (
                    select i as person, hash(i) % {hubs} as home, hash(i + 7) % 100 as chance,
                        hash(i + 11) % {days} as first, 20 + hash(i + 13) % 200 as length
                    from range({people}) t (i)
                ),
                stay as (
                    select person, home, chance, first, unnest(range(0, length::bigint)) as k from person
                )
                select distinct
                    date '2023-01-01' + (first + k)::integer as date,
                    (case when chance < 15 and hash(person, k, 3) % 3 = 0
                        then (home + 1 + chance % 5) % {hubs} else home end)::integer as cell,
                    md5(person::varchar)::uuid as person_key
                from stay
                where first + k < {days}
                    and hash(person, k) % 100 < (case when (first + k) % 7 in (5, 6) then 12 else 40 end)
                order by date, cell, person_key
            ) to '{path}' (format parquet)
        """)


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
