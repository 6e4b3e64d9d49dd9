"""Staged to facts: conformed ids (cells and their members), and the rolling engine told what changed."""

from collections.abc import Iterable
from datetime import date

from kpi_pipeline import rolling
from kpi_pipeline.contracts import table
from kpi_pipeline.stages import dirty
from kpi_pipeline.warehouse import Connection, fill, run, sql, transaction


def count_active_users(con: Connection, as_of: date, days: Iterable[date]) -> tuple[rolling.Change, list[date]]:
    """Brings facts.user_days and facts.active_users up to date, in one transaction.

    Args:
        days: days to compare with staged whether they changed or not.

    Returns:
        What changed, and the days that were looked at.
    """
    with transaction(con):
        _number_cells(con)
        wanted = sorted({*dirty.days(con, dirty.FACTS), *days})
        run(con, "create or replace temp table facts_days as select unnest($days::date[]) as date", {"days": wanted})
        change = rolling.update(con, wanted, sql("stages", "user_days_by_cell"), as_of)
        dirty.clear(con, dirty.FACTS)
    run(con, "drop table temp.facts_days")
    return change, wanted


def cover_days(con: Connection) -> None:
    """Rebuilds facts.coverage, of which days what was delivered, and facts.missing_activity, what rests on less."""
    with transaction(con):
        for name, select in (("hub_days", "hub_days_missing"), ("live_days", "live_days")):
            run(con, f"create or replace temp table {name} as {sql('stages', select)}")
        for name in ("coverage", "missing_activity"):
            run(con, f"truncate facts.{name}")
            fill(con, table(f"facts.{name}"), sql("stages", name))
    for name in ("hub_days", "live_days"):
        run(con, f"drop table temp.{name}")


def _number_cells(con: Connection) -> None:
    """Numbers combinations and members that are new; old numbers stay."""
    fill(con, table("facts.cells"), sql("stages", "cells"))
    run(con, f"create or replace temp table cell_grains as {sql('stages', 'cell_grains')}")
    fill(con, table("facts.members"), sql("stages", "members"))
    run(
        con,
        "insert into facts.cell_members select g.cell, m.member_id from temp.cell_grains g "
        "join facts.members m on m.grain = g.grain and m.member = g.member "
        "where g.cell not in (select cell from facts.cell_members)",
    )
    run(con, "drop table temp.cell_grains")
