"""The hub domain, from landing to facts: registry, activity, user-days and the rolling engine."""

from collections.abc import Iterator
from typing import Any

import dagster as dg

from kpi_pipeline import clock
from kpi_pipeline.assets.common import (
    DAILY,
    FRESHNESS,
    HUBS,
    SINGLE_RUN,
    Pipeline,
    chosen_days,
    key,
    report_other_days,
    row_count,
    table_spec,
)
from kpi_pipeline.contracts import RECORDS
from kpi_pipeline.landing import Manifest
from kpi_pipeline.settings import HubRegistry
from kpi_pipeline.sources.files import list_cluster_yaml, list_files
from kpi_pipeline.stages import cluster_yaml, facts, raw, staged
from kpi_pipeline.warehouse import run

REPLAY_TAG = "kpi/replay"


def _landing_spec(source: str) -> dg.AssetSpec:
    return dg.AssetSpec(
        dg.AssetKey(["landing", source]),
        description=f"{RECORDS[source].description} Byte for byte as delivered; private, since it holds usernames.",
        group_name=HUBS,
        kinds={"file"},
        freshness_policy=FRESHNESS,
    )


def _land(context: dg.AssetExecutionContext, pipeline: Pipeline, source: str) -> dg.MaterializeResult[Any]:
    configured = pipeline.settings()
    wanted = getattr(configured.config.sources, source)
    if wanted is None:
        return dg.MaterializeResult(metadata={"connected": False})
    if context.run_tags.get(REPLAY_TAG):
        return dg.MaterializeResult(metadata={"connected": True, "replayed": True})
    path = configured.source_path(wanted.path)
    files = list_cluster_yaml(path) if wanted.kind == "cluster_yaml" else list_files(source, path)
    manifest = pipeline.landing().land(source, wanted.kind, files, clock.now())
    return dg.MaterializeResult(metadata={"connected": True, "files": len(files), "changed": _new_files(manifest)})


def _new_files(manifest: Manifest | None) -> int:
    return sum(file.fetched_at == manifest.fetched_at for file in manifest.files) if manifest else 0


@dg.multi_asset(specs=[_landing_spec("hub_registry")], name="land_hub_registry")
def land_hub_registry(context: dg.AssetExecutionContext, pipeline: Pipeline) -> dg.MaterializeResult[Any]:
    return _land(context, pipeline, "hub_registry")


@dg.multi_asset(specs=[_landing_spec("hub_activity")], name="land_hub_activity")
def land_hub_activity(context: dg.AssetExecutionContext, pipeline: Pipeline) -> dg.MaterializeResult[Any]:
    return _land(context, pipeline, "hub_activity")


def _loaded(result: raw.Loaded) -> dict[str, Any]:
    return {
        "dagster/row_count": result.rows,
        "files_loaded": result.files,
        "files_removed": result.removed,
        "rejected_by_reason": dict(result.rejected),
    }


@dg.multi_asset(
    specs=[table_spec("raw.hub_registry", group=HUBS, deps=("landing.hub_registry",), freshness_policy=FRESHNESS)],
    name="load_hub_registry",
)
def load_hub_registry(pipeline: Pipeline) -> dg.MaterializeResult[Any]:
    configured = pipeline.settings().config.sources.hub_registry
    with pipeline.warehouse() as con:
        if configured is not None and configured.kind == "cluster_yaml":
            result = cluster_yaml.load(con, pipeline.landing(), configured.since)
        else:
            result = raw.load(con, pipeline.landing(), RECORDS["hub_registry"], None, configured is not None)
    return dg.MaterializeResult(metadata=_loaded(result))


@dg.multi_asset(
    specs=[table_spec("staged.hubs", group=HUBS, deps=("raw.hub_registry",))],
    name="stage_hubs",
)
def stage_hubs(pipeline: Pipeline) -> dg.MaterializeResult[Any]:
    rules = pipeline.settings().config.sources.hub_registry or HubRegistry(kind="table", path=".")
    with pipeline.warehouse() as con:
        hubs = staged.stage_hubs(con, rules)
        return dg.MaterializeResult(metadata={"hubs": hubs, **row_count(con, "staged.hubs")})


@dg.multi_asset(
    specs=[
        # After staged.hubs, which says who vouches for the usernames.
        table_spec(
            "raw.hub_activity", group=HUBS, deps=("landing.hub_activity", "staged.hubs"), freshness_policy=FRESHNESS
        )
    ],
    name="load_hub_activity",
)
def load_hub_activity(pipeline: Pipeline) -> dg.MaterializeResult[Any]:
    configured = pipeline.settings()
    source = configured.config.sources.hub_activity
    secret = configured.id_secret if source else None
    with pipeline.warehouse() as con:
        result = raw.load(con, pipeline.landing(), RECORDS["hub_activity"], secret, source is not None)
    return dg.MaterializeResult(
        metadata={**_loaded(result), "criterion": source.criterion if source else "not connected"}
    )


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
        days = staged.stage_user_days(
            con, configured.config.exclusions, secret, configured.as_of, chosen_days(context, configured.as_of)
        )
        count = row_count(con, "staged.user_days")
    report_other_days(context, key("staged.user_days"), days)
    return dg.MaterializeResult(metadata={"days_staged": len(days), **count})


@dg.multi_asset(
    specs=[
        table_spec("raw.quarantine", group=HUBS, deps=("raw.hub_registry", "raw.hub_activity", "staged.user_days")),
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
            "people_looked_at": change.people,
            "counted_anew": change.rebuilt,
            "days_looked_at": len(days),
            **count,
        }
    )


ASSETS = [
    land_hub_registry,
    land_hub_activity,
    load_hub_registry,
    stage_hubs,
    load_hub_activity,
    stage_user_days,
    account_for_records,
    count_active_users,
]
