"""Which days changed upstream and still have to be brought up to date, per stage. Written with the change itself,
in one transaction, so that a crash in between loses none."""

from collections.abc import Mapping
from datetime import date

from kpi_pipeline.warehouse import Connection, run

STAGED, FACTS = "staged", "facts"


def mark(con: Connection, stage: str, days: str, parameters: Mapping[str, object] | None = None) -> None:
    """Adds the days that a SELECT of one column gives."""
    statement = f"insert into ops.dirty_days select distinct $stage, d from ({days}) t(d) "
    statement += "where d not in (select date from ops.dirty_days where stage = $stage)"
    run(con, statement, {"stage": stage, **(parameters or {})})


def days(con: Connection, stage: str) -> list[date]:
    """The days that a stage has to bring up to date, in order."""
    rows = run(con, "select date from ops.dirty_days where stage = $stage order by date", {"stage": stage})
    return [row[0] for row in rows]


def clear(con: Connection, stage: str) -> None:
    """All of a stage's days are up to date."""
    run(con, "delete from ops.dirty_days where stage = $stage", {"stage": stage})
