"""The warehouse's connections: what DuckDB gets wrong by itself, they get right."""

import duckdb

from kpi_pipeline.warehouse import WRONG_OPTIMIZER, set_up

TABLES = """
    create table day as select unnest([date '2026-01-01', date '2026-01-30']) as d;
    create table gap (d date, member varchar);
    create table hub as select 'h' || i as id, date '2025-06-01' as since from range(12) t (i);
    insert into hub values ('late', '2026-01-02');
"""
# How many hubs had begun before each day; nothing is in gap.
QUESTION = """
    with marked as (select day.d from day left join gap on day.d = gap.d and gap.member = 'x')
    select m.d::varchar, count(b.id)
    from marked as m
    left join (
        select marked.d, hub.id from marked join hub on hub.since <= marked.d
        group by all having sum(marked.d - hub.since) > 0
    ) as b on m.d = b.d
    group by all order by all
"""
RIGHT = [("2026-01-01", 12), ("2026-01-30", 13)]


def test_a_left_join_with_nothing_loses_no_rows() -> None:
    with set_up(duckdb.connect()) as con:
        con.execute(TABLES)
        assert con.execute(QUESTION).fetchall() == RIGHT


def test_duckdb_by_itself_still_loses_them() -> None:
    """When this fails, DuckDB has been mended: take WRONG_OPTIMIZER out of the warehouse, and this file."""
    with duckdb.connect() as con:
        con.execute(TABLES)
        assert con.execute(QUESTION).fetchall() == [("2026-01-01", 0), ("2026-01-30", 0)]
        con.execute(f"set disabled_optimizers = '{WRONG_OPTIMIZER}'")
        assert con.execute(QUESTION).fetchall() == RIGHT
