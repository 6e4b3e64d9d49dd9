"""Cloud bill to hubs: what counts of the billing lines, whom it is for, and each month's bill to the cent.

Everything is built whole from raw each time, so that the order of runs doesn't matter.
"""

from datetime import date, datetime
from pathlib import Path

from kpi_pipeline.contracts import Record, table
from kpi_pipeline.contracts.costs import record_with_hub_tag
from kpi_pipeline.errors import UnreadableFileError
from kpi_pipeline.landing import LandedFile, Landing, unpacked
from kpi_pipeline.settings.sources import CloudCosts
from kpi_pipeline.sources.focus import delivery_of
from kpi_pipeline.stages import prometheus, raw
from kpi_pipeline.stages.reading import Reader, reader, whole_file
from kpi_pipeline.warehouse import Connection, fill, run, sql, transaction

SOURCE = "cloud_costs"
EXPLORER = "aws_cost_explorer"
# Kinds whose fetches hold what is new, of a delivery all of it; in a drop of files a fetch holds all that is there.
LIVE = (EXPLORER, "focus_s3")


def load(con: Connection, landing: Landing, configured: CloudCosts | None) -> raw.Loaded:
    """Brings raw.cloud_costs up to date with the landing zone."""
    record = record_with_hub_tag(configured.hub_tag if configured else None)
    loaded = raw.load(con, landing, record, None, configured is not None, _read, only_tables=True)
    prometheus.forget_answer(con)
    return loaded


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


def _read(con: Connection, record: Record, file: LandedFile, path: Path) -> Reader:
    return _cost_explorer(con, file, path) if file.kind == EXPLORER else reader(con, record, file, path)


def _cost_explorer(con: Connection, file: LandedFile, path: Path) -> Reader:
    """Costs by day, account and tag. The first folder is the account that pays."""
    with whole_file(file), unpacked(path, file.is_packed) as content:
        prometheus.put_document(con, content.read().decode("utf-8-sig"))
    if run(con, "select json_type(document, '$.ResultsByTime') from temp.answer") != [("ARRAY",)]:
        raise UnreadableFileError(
            file.name,
            reason="not_json",
            got="no costs by day",
            expected="an answer of GetCostAndUsage",
            fix="Fetch it again.",
        )
    return Reader(
        f"({sql('stages', 'cost_explorer_groups')})",
        {"payer": file.name.split("/")[0]},
        {
            "BilledCost": "amount",
            "BillingAccountId": "$payer",
            "BillingCurrency": "unit",
            "BillingPeriodStart": "month_start",
            "BillingPeriodEnd": "month_end",
            # Usage, taxes and credits come as one sum, of their signs.
            "ChargeCategory": "'usage'",
            "ChargePeriodStart": "start_text",
            "ChargePeriodEnd": "end_text",
            "ProviderName": "'AWS'",
            "SubAccountId": "account",
            "Tags": "tags",
        },
        "place",
    )


def _put_deliveries(con: Connection, landing: Landing) -> None:
    deliveries = _deliveries(landing)
    newest: dict[str, datetime] = {}
    for file, delivery in deliveries:
        newest[delivery] = max(file.fetched_at, newest.get(delivery, file.fetched_at))
    run(con, "create or replace temp table cost_deliveries (file varchar, delivery varchar, delivered_at timestamptz)")
    if deliveries:
        con.executemany(
            "insert into temp.cost_deliveries values (?, ?, ?)",
            [(file.name, delivery, newest[delivery]) for file, delivery in deliveries],
        )


def _deliveries(landing: Landing) -> list[tuple[LandedFile, str]]:
    """The files that count, and the delivery that each is part of.

    A live source lands a delivery whole. So a part of one that isn't in the newest fetch of it is left from before: the
    export has fewer parts now, or the month fewer pages. It is a delivery of its own, older than the other.
    """
    newest: dict[str, tuple[int, str]] = {}
    files: dict[str, tuple[int, LandedFile]] = {}
    for number, manifest in enumerate(landing.manifests(SOURCE)):
        newest.update((delivery_of(file.name), (number, manifest.kind)) for file in manifest.files)
        files.update((file.name, (number, file)) for file in manifest.files)
    found = []
    for name, (number, file) in sorted(files.items()):
        delivery = delivery_of(name)
        fetch, kind = newest[delivery]
        is_left = kind in LIVE and number < fetch
        found.append((file, f"{delivery} of fetch {number}" if is_left else delivery))
    return found


def _put_accounts(con: Connection, configured: CloudCosts | None) -> None:
    run(con, "create or replace temp table cost_accounts (account varchar, target varchar)")
    if configured and configured.accounts:
        con.executemany("insert into temp.cost_accounts values (?, ?)", list(configured.accounts.items()))
