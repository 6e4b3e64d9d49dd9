"""The published database and Parquet files: built aside, complete, then swapped in as one. Readers never wait.

Nothing personal belongs here: no person, no person_key, no username. Only what the `published.*` contracts declare.
"""

import os
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import duckdb

from kpi_pipeline.catalog import Catalog, Kpi
from kpi_pipeline.contracts import PUBLISHED, Table, table
from kpi_pipeline.landing import sync
from kpi_pipeline.settings import Annotation, Config, Exclusion
from kpi_pipeline.stages.checks import newest_data
from kpi_pipeline.stages.scorecard import put_exemptions, put_targets
from kpi_pipeline.warehouse import Connection, create_statement, put_rows, quote, run, scalar, sql

DATABASE = "kpis.duckdb"
# Every file of `published/` is a link into `.current`, itself a link to one snapshot: one rename changes them all.
ASIDE, CURRENT, SNAPSHOTS = ".next", ".current", ".snapshots"
# What was reported of each month that is closed.
CLOSED = "closed"
NEXT = "published_next"
# Views for people, with what the database says of them.
VIEWS = {
    "mau_percentiles": "p10, p50 and p90 of MAU over production hubs, per day, with how many hubs and empty hubs.",
    "communities_served": "Communities served and provisioned in the 6 calendar months that end on each day.",
    "running_infrastructure": "Hubs and clusters in service per day and provider ('all': every provider).",
    "monthly_active_users": "MAU per day at every grain.",
    "monthly_revenue": "Recognised revenue per month and category ('total': all), with what was billed and booked.",
    "monthly_costs": "Operational costs per accrual month and category ('total': all), credits beside them.",
    "community_satisfaction": "Satisfaction per month and fiscal quarter, of all and by community, with response rate.",
    "publications": "Publications and presentations per month and fiscal quarter, of all and by community.",
    "cost_reduction": "List price less charged price per month and fiscal quarter.",
    "monthly_cloud_costs": "The cloud bill per month: each hub's direct and shared cost, and what is unallocated.",
    "cloud_cost_per_hub_user": "Cloud cost per distinct user and month, by hub, hub type and for the organisation.",
    "nbgitpuller_clicks": "Clicks and landings of nbgitpuller links by hub: month, fiscal quarter, rolling 30 days.",
    "ticket_turnaround": "Hours to the first reply and to the resolution of tickets, per month, fiscal quarter and the "
    "30 days that end on each day; period `day`: what is open on the as-of day.",
    "issue_completion": "Hours from an issue's assignment to its completion, per month, fiscal quarter and the 30 days "
    "that end on each day.",
    "issues_closed_minus_opened": "Issues closed less opened and reopened, per month, fiscal quarter and week.",
    "upstream_contributions": "Contributions to upstream projects per month and fiscal quarter, by project and kind.",
    "kpi_series": "Values with what kind of period each covers, how it changed, and whether it may be shown outside.",
    "kpi_quarters": "What each KPI was in a fiscal quarter, beside the quarter before and a year before.",
    "headlines": "The at most four headline KPIs: the newest value and how it changed.",
    "external_values": "What may be shown outside the organisation: no internal KPI, nothing that rests on few people.",
}


@dataclass(frozen=True)
class Health:
    """What a source is expected to be: connected or not, and how old its data may be."""

    source: str
    connected: bool
    max_age_days: int | None


def publish(
    con: Connection,
    folder: Path,
    catalog: Catalog,
    config: Config,
    health: Iterable[Health],
    as_of: date,
    allow: Callable[[], object],
) -> dict[str, int]:
    """Builds the published database and Parquet files from the warehouse, and swaps them in.

    Args:
        config: its exclusions and exemptions are published; values on fewer than its min_people stay internal.
        allow: is asked when all is built and nothing swapped in yet; raises what forbids it.

    Returns:
        Rows by table.
    """
    aside = folder / ASIDE
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    _put_definitions(con, catalog, as_of)
    put_targets(con, catalog.kpis)
    put_exemptions(con, config.exemptions)
    _put_exclusions(con, config.exclusions)
    _put_details(con, catalog)
    _put_annotations(con, config.annotations)
    _put_health(con, health, as_of)
    organisation = config.organisation
    parameters = {
        "as_of": as_of,
        "min_people": config.privacy.min_people,
        "name": organisation.name,
        "currency": organisation.reporting_currency,
        "fiscal_month": organisation.fiscal_year_first_month,
        "demo": organisation.demo,
    }
    rows = _write_tables(con, aside / DATABASE, parameters)
    _finish(aside / DATABASE)
    allow()
    swap_in(aside, folder)
    return rows


def swap_in(built: Path, folder: Path) -> None:
    """Makes the files of a folder what readers find in `folder`, all at once; the snapshot before stays for readers."""
    names = sorted(path.name for path in built.iterdir())
    snapshots = folder / SNAPSHOTS
    snapshots.mkdir(exist_ok=True)
    for leftover in folder.glob(f"{ASIDE}-*"):
        leftover.unlink()
    last = max((int(path.name) for path in snapshots.glob("[0-9]*")), default=0)
    snapshot, before = snapshots / f"{last + 1:06d}", (folder / CURRENT).resolve().name
    for name in names:
        sync(built / name)
    sync(built)
    built.replace(snapshot)
    sync(snapshots)
    _link(folder / CURRENT, f"{SNAPSHOTS}/{snapshot.name}")
    for name in names:
        if os.path.realpath(folder / name) != str((snapshot / name).resolve()):
            _link(folder / name, f"{CURRENT}/{name}")
    sync(folder)
    for path in snapshots.glob("[0-9]*"):
        if path.name not in (snapshot.name, before):
            shutil.rmtree(path)
    for path in folder.iterdir():
        # A table that is no longer published.
        if path.is_symlink() and path.readlink().parent == Path(CURRENT) and not path.exists():
            path.unlink()


def close_month(folder: Path, month: str) -> bool:
    """Keeps what is published now as what was reported of a month, under `closed/`; never a second time.

    Args:
        folder: the published folder.
        month: such as 2026-09.

    Returns:
        Whether it was kept; False: it had been before.
    """
    closed = folder / CLOSED
    target = closed / month
    if target.exists():
        return False
    closed.mkdir(exist_ok=True)
    aside = closed / f"{ASIDE}-{month}"
    shutil.rmtree(aside, ignore_errors=True)
    shutil.copytree((folder / CURRENT).resolve(), aside)
    for path in aside.iterdir():
        sync(path)
    sync(aside)
    aside.replace(target)
    sync(closed)
    return True


def _link(path: Path, target: str) -> None:
    aside = path.with_name(f"{ASIDE}-{path.name}")
    aside.symlink_to(target)
    aside.replace(path)


def _write_tables(con: Connection, path: Path, parameters: Mapping[str, object]) -> dict[str, int]:
    # ATTACH takes no parameter for the path; it is ours, and quoted all the same.
    con.execute(f"attach {literal(str(path))} as {NEXT}")
    try:
        rows = {}
        for contract in PUBLISHED:
            name = f"{NEXT}.main.{contract.short_name}"
            con.execute(create_statement(contract, name))
            key = ", ".join(map(quote, contract.key))
            run(con, f"insert into {quote(name)} by name (from ({_select(contract)}) order by {key})", parameters)
            rows[contract.short_name] = int(scalar(con, f"select count(*) from {quote(name)}"))
        return rows
    finally:
        con.execute(f"detach {NEXT}")


def _select(contract: Table) -> str:
    """What a published table holds; its key says in which order."""
    match contract.short_name:
        case "kpi_definitions":
            return "select * from temp.kpi_definitions"
        case "active_users":
            # Days after the newest data aren't days without users: nothing is known of them.
            return (
                "select * from facts.active_users where date <= $as_of "
                "and date <= (select max(date) from facts.coverage where has_data)"
            )
        case "kpi_values":
            return "select * exclude (people) from kpi.kpi_values"
        case "scorecard" | "scorecard_details":
            columns = ", ".join(quote(column.name) for column in contract.columns)
            return f"select {columns} from kpi.scorecard"
        case "source_parts":
            return sql("stages", "source_parts")
        case "organisation":
            return (
                "select $name as name, $as_of::date as as_of, $currency as reporting_currency, "
                "$fiscal_month as fiscal_year_first_month, $min_people as min_people, $demo as demo"
            )
        case "targets" | "exemptions" | "kpi_details" | "annotations" as name:
            return f"select * from {quote('temp.' + name)}"
        case name:
            return sql("stages", f"published_{name}")


def _finish(path: Path) -> None:
    """Comments, views and the Parquet files."""
    with duckdb.connect(str(path)) as con:
        for contract in PUBLISHED:
            name = quote(contract.short_name)
            con.execute(f"comment on table {name} is {literal(contract.comment)}")
            for column in contract.columns:
                con.execute(f"comment on column {name}.{quote(column.name)} is {literal(column.comment)}")
        for view, comment in VIEWS.items():
            con.execute(f"create view {quote(view)} as {sql('stages', 'view_' + view)}")
            con.execute(f"comment on view {quote(view)} is {literal(comment)}")
        for contract in PUBLISHED:
            file = path.parent / f"{contract.short_name}.parquet"
            con.execute(f"copy {quote(contract.short_name)} to {literal(str(file))} (format parquet, compression zstd)")
        con.execute("checkpoint")


def _put_definitions(con: Connection, catalog: Catalog, as_of: date) -> None:
    contract = table("published.kpi_definitions")
    names = [column.name for column in contract.columns]
    rows = [_definition(kpi, as_of) for kpi in catalog.kpis]
    _put_rows(con, contract, [[row[name] for name in names] for row in rows])


def _definition(kpi: Kpi, as_of: date) -> dict[str, object]:
    m, target = kpi.measure, kpi.target_on(as_of)
    return {
        "kpi_id": kpi.id,
        "measure": m.name,
        "title": kpi.title,
        "question": kpi.question,
        "definition": f"{m.definition} {m.caveats}",
        "unit": m.unit,
        "direction": m.direction,
        "comparator": target.comparator if target else None,
        "target": target.value if target else None,
        "owner": kpi.owner,
        "audience": kpi.audience,
        "theme": kpi.theme,
        "role": kpi.role,
        "status": kpi.status,
        "headline": kpi.headline,
        "source": ", ".join((*m.sources, *m.better_with)),
        "definition_hash": kpi.definition_hash,
    }


def _put_details(con: Connection, catalog: Catalog) -> None:
    _put_rows(
        con,
        table("published.kpi_details"),
        [
            (
                kpi.id, kpi.as_written, kpi.document, kpi.measure.definition, kpi.measure.caveats, kpi.measure.formula,
                list(kpi.measure.reads), [*kpi.measure.sources, *kpi.measure.better_with],
                list(kpi.measure.dimensions), list(kpi.measure.figures), *kpi.place, kpi.no_target,
            )
            for kpi in catalog.kpis
        ],
    )  # fmt: skip


def _put_annotations(con: Connection, annotations: Sequence[Annotation]) -> None:
    rows = [(note.date, note.text, list(note.kpis), note.audience) for note in annotations]
    _put_rows(con, table("published.annotations"), rows)


def _put_rows(con: Connection, contract: Table, rows: Sequence[Sequence[object]]) -> None:
    """Makes a temporary table by a published contract."""
    run(con, f"drop table if exists temp.{contract.short_name}")
    con.execute(create_statement(contract, contract.short_name, temporary=True))
    put_rows(con, f"temp.{contract.short_name}", rows)


def _put_exclusions(con: Connection, rules: Sequence[Exclusion]) -> None:
    run(
        con,
        "create or replace temp table exclusion_register (position integer, rule_id varchar, source varchar, "
        "cluster varchar, hub varchar, usernames bigint, first_day date, last_day date, until date, reason varchar, "
        "approved_by varchar)",
    )
    put_rows(
        con,
        "temp.exclusion_register",
        (
            (
                position, r.id, r.source, r.match.cluster, r.match.hub, len(r.match.username),
                r.first, r.last, r.until, r.reason, r.approved_by,
            )
            for position, r in enumerate(rules)
        ),
    )  # fmt: skip


def _put_health(con: Connection, health: Iterable[Health], as_of: date) -> None:
    run(
        con,
        "create or replace temp table source_health (source varchar, connected boolean, max_age_days integer, "
        "newest_data date)",
    )
    known = [(h, scalar(con, newest_data(h.source), {"as_of": as_of}) if h.connected else None) for h in health]
    put_rows(con, "temp.source_health", ((h.source, h.connected, h.max_age_days, newest) for h, newest in known))
    missing = f"select * from ({sql('stages', 'missing_days')}) where not is_lag"
    run(con, f"create or replace temp table missing_days as {missing}", {"as_of": as_of})


def literal(text: str) -> str:
    """A text in a statement that takes no parameter there."""
    return "'" + text.replace("'", "''") + "'"
