"""KPI values against their targets: kpi.scorecard, role by role. Never here: how a value comes about."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import zip_longest

from kpi_pipeline.catalog import Catalog, Kpi
from kpi_pipeline.contracts import table
from kpi_pipeline.contracts.tables import SCORECARD
from kpi_pipeline.settings import Exemption
from kpi_pipeline.stages.checks import newest_data
from kpi_pipeline.stages.kpi import Run
from kpi_pipeline.warehouse import Connection, create_statement, fill, run, scalar, sql, transaction

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


def score(con: Connection, kpi: Kpi, this: Run, rules: Rules) -> Verdict | None:
    """Brings the scorecard rows of one KPI up to date, in one transaction.

    Returns:
        The verdict; None where the KPI is no role's, or the calendar has no period.
    """
    with transaction(con):
        run(con, "delete from kpi.scorecard where kpi_id = $kpi_id", {"kpi_id": kpi.id})
        if kpi.role is not None:
            fill(con, SCORECARD, sql("stages", "scorecard"), _parameters(con, kpi, this, rules))
    rows = run(
        con,
        "select status, value, period_start, period_end from kpi.scorecard where kpi_id = $kpi_id "
        "order by is_closed desc, period_start desc limit 1",
        {"kpi_id": kpi.id},
    )
    return Verdict(*rows[0]) if rows else None


def _parameters(con: Connection, kpi: Kpi, this: Run, rules: Rules) -> dict[str, object]:
    newest, fresh_until = _freshness(con, kpi, this, rules)
    exempt = [exemption for exemption in rules.exemptions if exemption.kpi == kpi.id]
    missing = sorted(set(kpi.measure.sources) - this.connected)
    statistic = kpi.targets[0].statistic if kpi.targets else "value"
    grain, member = kpi.place
    return {
        "kpi_id": kpi.id,
        "role": kpi.role,
        "grain": grain if statistic == "value" else f"{grain}:{statistic}",
        "member": member,
        "window": kpi.targets[0].window if kpi.targets else "quarter",
        "valid_from": [target.valid_from for target in kpi.targets],
        "comparators": [target.comparator for target in kpi.targets],
        "targets": [target.value for target in kpi.targets],
        "minimums": [target.min_n for target in kpi.targets],
        "is_count": kpi.measure.kind == "count",
        "newest": newest,
        "fresh_until": fresh_until,
        "exempt_from": [exemption.first for exemption in exempt],
        "exempt_to": [exemption.last for exemption in exempt],
        "exempt_notes": [f"{e.reason} (until {e.last}, approved by {e.approved_by})" for e in exempt],
        "no_data_note": f"not connected: {', '.join(missing)}" if missing else "nothing to compute it from",
        "no_target_note": kpi.no_target or NO_TARGET_YET,
    }


def _freshness(con: Connection, kpi: Kpi, this: Run, rules: Rules) -> tuple[date | None, date | None]:
    """The newest day of the source that is furthest behind its deadline, and the last day it is fresh for."""
    fresh_until: list[tuple[date, date]] = []
    for source in sorted(set(kpi.measure.sources) & this.connected):
        allowed, newest = rules.max_age_days.get(source), scalar(con, newest_data(source), {"as_of": this.as_of})
        if allowed is not None and newest is not None:
            fresh_until.append((newest + timedelta(days=allowed), newest))
    if not fresh_until:
        return None, None
    until, newest = min(fresh_until)
    return newest, until


def put_targets(con: Connection, catalog: Catalog) -> None:
    """Makes temp.targets, the history of all targets, for publishing."""
    contract = table("published.targets")
    run(con, "drop table if exists temp.targets")
    con.execute(create_statement(contract, "targets", temporary=True))
    for kpi in catalog.kpis:
        for target, following in zip_longest(kpi.targets, kpi.targets[1:]):
            con.execute(
                "insert into temp.targets values (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                [
                    kpi.id, target.valid_from, following and following.valid_from, target.statistic,
                    target.comparator, target.value, target.unit, target.window, target.min_n,
                ],
            )  # fmt: skip


def put_exemptions(con: Connection, exemptions: Sequence[Exemption]) -> None:
    """Makes temp.exemptions, as kpi.toml has them, for publishing."""
    run(con, "drop table if exists temp.exemptions")
    con.execute(create_statement(table("published.exemptions"), "exemptions", temporary=True))
    for e in exemptions:
        con.execute(
            "insert into temp.exemptions values (?, ?, ?, ?, ?)", [e.kpi, e.first, e.last, e.reason, e.approved_by]
        )
