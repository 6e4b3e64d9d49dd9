"""The hub domain, from landing to facts: registry, activity, user-days and the rolling engine."""

from collections.abc import Iterator
from typing import Any

import dagster as dg

from kpi_pipeline.assets.common import (
    DAILY,
    HUBS,
    SINGLE_RUN,
    Pipeline,
    chosen_days,
    key,
    report_other_days,
    results,
    row_count,
    table_spec,
)
from kpi_pipeline.assets.sources import load_table, source_assets
from kpi_pipeline.contracts import RECORDS
from kpi_pipeline.settings.sources import HubRegistry, HubRegistryFiles, HubRegistryGit
from kpi_pipeline.sources.files import list_cluster_yaml
from kpi_pipeline.stages import activity, cluster_yaml, facts, raw, staged
from kpi_pipeline.warehouse import Connection, run

# Every domain sends records to quarantine, on the way to raw and to staged.
QUARANTINE_FROM = (
    *(f"raw.{source}" for source in RECORDS),
    "staged.user_days",
    "staged.ledger",
    "staged.deals",
    "staged.charges",
    "facts.transactions",
    "staged.registration_spells",
)


def _load_registry(con: Connection, pipeline: Pipeline) -> raw.Loaded:
    configured = pipeline.settings().config.sources.hub_registry
    if isinstance(configured, HubRegistryFiles) and configured.kind == "cluster_yaml":
        return cluster_yaml.load(con, pipeline.landing(), configured.since)
    if isinstance(configured, HubRegistryGit):
        return cluster_yaml.load_history(con, pipeline.landing())
    return load_table(con, pipeline, "hub_registry")


def _load_activity(con: Connection, pipeline: Pipeline) -> raw.Loaded:
    configured = pipeline.settings()
    wanted = configured.config.sources.hub_activity
    return activity.load(con, pipeline.landing(), wanted, configured.id_secret if wanted else None)


REGISTRY = source_assets("hub_registry", HUBS, load=_load_registry, list_kinds={"cluster_yaml": list_cluster_yaml})
# After staged.hubs, which says who vouches for the usernames.
ACTIVITY = source_assets("hub_activity", HUBS, after=("staged.hubs",), load=_load_activity)


@dg.multi_asset(
    specs=[table_spec("staged.hubs", group=HUBS, deps=("raw.hub_registry",))],
    name="stage_hubs",
)
def stage_hubs(pipeline: Pipeline) -> dg.MaterializeResult[Any]:
    rules = pipeline.settings().config.sources.hub_registry or HubRegistry()
    with pipeline.warehouse() as con:
        hubs = staged.stage_hubs(con, rules)
        return dg.MaterializeResult(metadata={"hubs": hubs, **row_count(con, "staged.hubs")})


@dg.multi_asset(
    specs=[table_spec("staged.user_days", group=HUBS, deps=("raw.hub_activity", "staged.hubs"))],
    partitions_def=DAILY,
    backfill_policy=SINGLE_RUN,
    name="stage_user_days",
)
def stage_user_days(context: dg.AssetExecutionContext, pipeline: Pipeline) -> dg.MaterializeResult[Any]:
    configured = pipeline.settings()
    secret = configured.id_secret if configured.config.sources.hub_activity else None
    with pipeline.warehouse() as con:
        days = staged.stage_user_days(con, configured.config.exclusions, secret, chosen_days(context, configured.as_of))
        count = row_count(con, "staged.user_days")
    report_other_days(context, key("staged.user_days"), days)
    return dg.MaterializeResult(metadata={"days_staged": len(days), **count})


@dg.multi_asset(
    specs=[
        table_spec("raw.quarantine", group=HUBS, deps=QUARANTINE_FROM),
        table_spec("staged.activity_accounting", group=HUBS, deps=("staged.user_days",)),
        table_spec("staged.exclusion_effects", group=HUBS, deps=("staged.user_days",)),
        table_spec("staged.binder_sessions", group=HUBS, deps=("staged.user_days",)),
    ],
    name="account_for_records",
)
def account_for_records(pipeline: Pipeline) -> Iterator[dg.MaterializeResult[Any]]:
    """What became of every record. Loading and staging write these tables as they go; this step shows them."""
    with pipeline.warehouse() as con:
        for name, statement in ACCOUNTS.items():
            totals = {str(what): int(number) for what, number in run(con, statement)}
            metadata = {"totals": totals, **row_count(con, name)}
            yield dg.MaterializeResult(asset_key=key(name), metadata=metadata)


ACCOUNTS = {
    "raw.quarantine": "select source || ': ' || reason, count(*) from raw.quarantine group by all order by all",
    "staged.activity_accounting": "unpivot (select sum(columns(* exclude date)) from staged.activity_accounting) "
    "on columns(*)",
    "staged.exclusion_effects": "select rule_id, sum(user_days) from staged.exclusion_effects group by 1 order by 1",
    "staged.binder_sessions": "select hub_id, sum(sessions) from staged.binder_sessions group by all order by all",
}


@dg.multi_asset(
    specs=[table_spec("facts.active_users", group=HUBS, deps=("staged.user_days", "staged.hubs"))],
    partitions_def=DAILY,
    backfill_policy=SINGLE_RUN,
    name="count_active_users",
)
def count_active_users(context: dg.AssetExecutionContext, pipeline: Pipeline) -> dg.MaterializeResult[Any]:
    configured = pipeline.settings()
    with pipeline.warehouse() as con:
        change, days = facts.count_active_users(con, configured.as_of, chosen_days(context, configured.as_of))
        count = row_count(con, "facts.active_users")
    report_other_days(context, key("facts.active_users"), days)
    return dg.MaterializeResult(
        metadata={
            "user_days_added": change.added,
            "user_days_removed": change.removed,
            "counted_anew": change.rebuilt,
            "days_looked_at": len(days),
            **count,
        }
    )


COVERAGE = ("facts.coverage", "facts.missing_activity")


@dg.multi_asset(
    specs=[
        table_spec(name, group=HUBS, deps=("facts.active_users", "staged.activity_accounting", "staged.hubs"))
        for name in COVERAGE
    ],
    name="cover_days",
)
def cover_days(pipeline: Pipeline) -> Iterator[dg.MaterializeResult[Any]]:
    with pipeline.warehouse() as con:
        facts.cover_days(con)
        yield from results(con, COVERAGE)


ASSETS = [
    *REGISTRY,
    stage_hubs,
    *ACTIVITY,
    stage_user_days,
    account_for_records,
    count_active_users,
    cover_days,
]
