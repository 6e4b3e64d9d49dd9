"""How far the parts of live sources are landed, from manifests into the warehouse. What it means is SQL's affair."""

from collections.abc import Sequence

import polars as pl

from kpi_pipeline.contracts import Table, table
from kpi_pipeline.landing import Landing, PartState
from kpi_pipeline.warehouse import Connection, fill, run, transaction

PARTS, COVERED = table("raw.parts"), table("raw.covered_days")


def load(con: Connection, landing: Landing, source: str, kind: str | None) -> None:
    """Brings raw.parts and raw.covered_days of a source up to date.

    Args:
        kind: that of a live source; None: it isn't connected, or its files are dropped.
    """
    newest = landing.newest(source, kind) if kind else None
    parts = newest.parts if newest else {}
    covered = [(source, part, first, last) for part, state in parts.items() for first, last in state.covered]
    with transaction(con):
        for contract in (PARTS, COVERED):
            run(con, f"delete from {contract.name} where source = $source", {"source": source})
        _fill(con, PARTS, [(source, part, *_shown(state)) for part, state in parts.items()])
        _fill(con, COVERED, covered)


def _shown(state: PartState) -> tuple[object, ...]:
    checked, since = state.started_at, state.problem_since
    return (
        checked.replace(tzinfo=None) if checked else None,
        state.is_wanted,
        state.first_day,
        state.lag_days,
        state.problem,
        since.replace(tzinfo=None) if since else None,
    )


def _fill(con: Connection, contract: Table, rows: Sequence[tuple[object, ...]]) -> None:
    if rows:
        frame = pl.DataFrame(rows, schema=[column.name for column in contract.columns], orient="row")
        con.register("part_rows", frame.to_arrow())
        fill(con, contract, "select * from part_rows")
        con.unregister("part_rows")
