"""KPI values against their targets: kpi.scorecard, role by role. Never here: how a value comes about."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import zip_longest

from kpi_pipeline.catalog import Kpi
from kpi_pipeline.contracts import table
from kpi_pipeline.contracts.tables import SCORECARD
from kpi_pipeline.settings import Exemption
from kpi_pipeline.stages.checks import newest_data
from kpi_pipeline.stages.kpi import Run
from kpi_pipeline.warehouse import Connection, create_statement, fill, put_rows, run, scalar, sql, transaction

# The check of a KPI that shows its verdict.
TARGET_CHECK = "target_is_reached"
NO_TARGET_YET = "no target held yet"


@dataclass(frozen=True)
class Rules:
    """What decides beside values and targets: exemptions, and how old the data of a source may be, in days."""

    exemptions: Sequence[Exemption]
    max_age_days: Mapping[str, int | None]


@dataclass(frozen=True)
class Verdict:
    """The newest closed period of a KPI, or the running one where none has closed yet."""

    status: str
    value: object
    period_start: date
    period_end: date


def score(con: Connection, kpis: Sequence[Kpi], this: Run, rules: Rules) -> dict[str, Verdict]:
    """Brings the scorecard rows of KPIs up to date, in one transaction.

    Returns:
        The verdict on each, by id; of KPIs that are no role's, and where the calendar has no period, there is none.
    """
    put_targets(con, kpis)
    put_exemptions(con, rules.exemptions)
    _put_scored(con, [kpi for kpi in kpis if kpi.role is not None], this, rules)
    these = {"kpi_ids": [kpi.id for kpi in kpis]}
    with transaction(con):
        run(con, "delete from kpi.scorecard where list_contains($kpi_ids, kpi_id)", these)
        fill(con, SCORECARD, sql("stages", "scorecard"))
    rows = run(
        con,
        "select kpi_id, status, value, period_start, period_end from kpi.scorecard "
        "where list_contains($kpi_ids, kpi_id) "
        "qualify row_number() over (partition by kpi_id order by is_closed desc, period_start desc) = 1",
        these,
    )
    for name in ("targets", "exemptions", "scored"):
        run(con, f"drop table temp.{name}")
    return {kpi_id: Verdict(*verdict) for kpi_id, *verdict in rows}


def _put_scored(con: Connection, kpis: Sequence[Kpi], this: Run, rules: Rules) -> None:
    """Makes temp.scored: what decides on each KPI beside its values, its targets and exemptions."""
    run(
        con,
        "create or replace temp table scored (kpi_id varchar, role varchar, grain varchar, member varchar, "
        "kind varchar, is_count boolean, newest date, fresh_until date, no_data_note varchar, no_target_note varchar)",
    )
    newest = _newest(con, kpis, this)
    put_rows(con, "temp.scored", (_scored(kpi, this, _freshness(kpi, newest, rules)) for kpi in kpis))


def _scored(kpi: Kpi, this: Run, freshness: tuple[date | None, date | None]) -> tuple[object, ...]:
    """A row of temp.scored."""
    grain, member = kpi.place
    statistic = kpi.targets[0].statistic if kpi.targets else "value"
    missing = sorted(set(kpi.measure.sources) - this.connected)
    return (
        kpi.id,
        kpi.role,
        grain if statistic == "value" else f"{grain}:{statistic}",
        member,
        kpi.targets[0].window if kpi.targets else "quarter",
        kpi.measure.kind == "count",
        *freshness,
        f"not connected: {', '.join(missing)}" if missing else "nothing to compute it from",
        kpi.no_target or NO_TARGET_YET,
    )


def _newest(con: Connection, kpis: Sequence[Kpi], this: Run) -> dict[str, date | None]:
    """The newest day of each connected source that the KPIs need."""
    sources = {source for kpi in kpis for source in kpi.measure.sources}
    return {s: scalar(con, newest_data(s), {"as_of": this.as_of}) for s in sorted(sources & this.connected)}


def _freshness(kpi: Kpi, newest: Mapping[str, date | None], rules: Rules) -> tuple[date | None, date | None]:
    """The newest day of the source that is furthest behind its deadline, and the last day it is fresh for."""
    fresh_until: list[tuple[date, date]] = []
    for source in kpi.measure.sources:
        allowed, day = rules.max_age_days.get(source), newest.get(source)
        if allowed is not None and day is not None:
            fresh_until.append((day + timedelta(days=allowed), day))
    if not fresh_until:
        return None, None
    until, day = min(fresh_until)
    return day, until


def put_targets(con: Connection, kpis: Iterable[Kpi]) -> None:
    """Makes temp.targets, the history of their targets, as it is published."""
    contract = table("published.targets")
    run(con, "drop table if exists temp.targets")
    con.execute(create_statement(contract, "targets", temporary=True))
    put_rows(
        con,
        "temp.targets",
        (
            (
                kpi.id, target.valid_from, following and following.valid_from, target.statistic,
                target.comparator, target.value, target.unit, target.window, target.min_n,
            )
            for kpi in kpis
            for target, following in zip_longest(kpi.targets, kpi.targets[1:])
        ),
    )  # fmt: skip


def put_exemptions(con: Connection, exemptions: Sequence[Exemption]) -> None:
    """Makes temp.exemptions, as kpi.toml has them, and as they are published."""
    run(con, "drop table if exists temp.exemptions")
    con.execute(create_statement(table("published.exemptions"), "exemptions", temporary=True))
    put_rows(con, "temp.exemptions", ((e.kpi, e.first, e.last, e.reason, e.approved_by) for e in exemptions))
