"""Cloud bill to hubs: what counts of the billing lines, whom it is for, and each month's bill to the cent.

Everything is built whole from raw each time, so that the order of runs doesn't matter.
"""

from datetime import date

from kpi_pipeline.contracts import table
from kpi_pipeline.contracts.costs import record_with_hub_tag
from kpi_pipeline.landing import Landing
from kpi_pipeline.settings.sources import CloudCosts
from kpi_pipeline.sources.focus import delivery_of
from kpi_pipeline.stages import raw
from kpi_pipeline.warehouse import Connection, fill, run, sql, transaction

SOURCE = "cloud_costs"


def load(con: Connection, landing: Landing, configured: CloudCosts | None) -> raw.Loaded:
    """Brings raw.cloud_costs up to date with the landing zone."""
    record = record_with_hub_tag(configured.hub_tag if configured else None)
    return raw.load(con, landing, record, None, configured is not None)


def stage_cloud_costs(
    con: Connection,
    landing: Landing,
    configured: CloudCosts | None,
    reporting_currency: str,
    as_of: date,
) -> None:
    """Rebuilds staged.cloud_costs and its accounting from raw; lines without a rate go to quarantine."""
    bound: dict[str, object] = {"as_of": as_of, "reporting_currency": reporting_currency}
    with transaction(con):
        _put_deliveries(con, landing)
        _put_accounts(con, configured)
        run(con, f"create or replace temp table cost_groups as {sql('stages', 'cloud_cost_groups')}")
        run(con, f"create or replace temp table cost_outcomes as {sql('stages', 'cloud_cost_outcomes')}", bound)
        run(con, "delete from raw.quarantine where source = $source and stage = 'staged'", {"source": SOURCE})
        fill(con, table("raw.quarantine"), sql("stages", "cloud_costs_no_rate"))
        for name, statement in (
            ("staged.cloud_costs", "cloud_costs"),
            ("staged.cloud_cost_accounting", "cloud_cost_accounting"),
        ):
            run(con, f"truncate {name}")
            fill(con, table(name), sql("stages", statement), bound)
    for name in ("cost_deliveries", "cost_accounts", "cost_groups", "cost_outcomes"):
        run(con, f"drop table temp.{name}")


def count_monthly_users(con: Connection, as_of: date) -> None:
    """Rebuilds facts.hub_months and facts.monthly_users."""
    with transaction(con):
        for name, statement in (("facts.hub_months", "hub_months"), ("facts.monthly_users", "monthly_users")):
            run(con, f"truncate {name}")
            fill(con, table(name), sql("stages", statement), {"as_of": as_of})


def allocate(con: Connection, shared_by: str) -> None:
    """Rebuilds facts.cloud_costs: each month's bill among its hubs, the rest unallocated, to the cent."""
    with transaction(con):
        run(con, f"create or replace temp table cost_parts as {sql('stages', 'cloud_cost_parts')}")
        run(con, "truncate facts.cloud_costs")
        fill(con, table("facts.cloud_costs"), sql("stages", "monthly_cloud_costs"), {"shared_by": shared_by})
    run(con, "drop table temp.cost_parts")


def _put_deliveries(con: Connection, landing: Landing) -> None:
    files = landing.files(SOURCE, "log")
    newest = {delivery_of(f.name): f.fetched_at for f in sorted(files, key=lambda f: f.fetched_at)}
    run(con, "create or replace temp table cost_deliveries (file varchar, delivery varchar, delivered_at timestamptz)")
    if files:
        con.executemany(
            "insert into temp.cost_deliveries values (?, ?, ?)",
            [(f.name, delivery := delivery_of(f.name), newest[delivery]) for f in files],
        )


def _put_accounts(con: Connection, configured: CloudCosts | None) -> None:
    run(con, "create or replace temp table cost_accounts (account varchar, target varchar)")
    if configured and configured.accounts:
        con.executemany("insert into temp.cost_accounts values (?, ?)", list(configured.accounts.items()))
