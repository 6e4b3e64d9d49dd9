"""Landing and raw assets of a source: the same two steps whatever the source is."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import dagster as dg

from kpi_pipeline import clock, fetching
from kpi_pipeline.assets.common import FRESHNESS, Pipeline, key, table_spec
from kpi_pipeline.contracts import RECORDS
from kpi_pipeline.landing import Manifest
from kpi_pipeline.settings.base import Live
from kpi_pipeline.sources.connectors import connector
from kpi_pipeline.sources.files import list_files
from kpi_pipeline.sources.transport import Budget
from kpi_pipeline.sources.walk import Tools
from kpi_pipeline.stages import parts, raw
from kpi_pipeline.warehouse import Connection

REPLAY_TAG = "kpi/replay"
LONGEST_PROBLEM = 500
Load = Callable[[Connection, Pipeline], raw.Loaded]
ListFiles = Callable[[str, Path], list[tuple[str, Path]]]


def load_table(con: Connection, pipeline: Pipeline, source: str) -> raw.Loaded:
    """Loads what was landed of a source of kind `table`."""
    configured = pipeline.settings()
    connected = getattr(configured.config.sources, source) is not None
    secret = configured.id_secret if connected and RECORDS[source].personal else None
    return raw.load(con, pipeline.landing(), RECORDS[source], secret, connected)


def source_assets(
    source: str,
    group: str,
    *,
    after: tuple[str, ...] = (),
    load: Load | None = None,
    list_kinds: Mapping[str, ListFiles] | None = None,
) -> list[dg.AssetsDefinition]:
    """landing/<source> and raw/<source>, a step each.

    Args:
        after: tables that loading reads, beside what was landed.
        load: how landed files become rows; default: as a table.
        list_kinds: which files a kind of the source has; default: all of them.
    """

    @dg.multi_asset(specs=[_landing_spec(source, group)], name=f"land_{source}")
    def land(context: dg.AssetExecutionContext, pipeline: Pipeline) -> dg.MaterializeResult[Any]:
        return _landed(context, pipeline, source, list_kinds or {})

    @dg.multi_asset(specs=[_raw_spec(source, group, after)], name=f"load_{source}")
    def load_landed(pipeline: Pipeline) -> dg.MaterializeResult[Any]:
        with pipeline.warehouse() as con:
            return _loaded(con, pipeline, source, load)

    return [land, load_landed]


def table_assets(
    group: str,
    sources: Sequence[str],
    *,
    loads: Mapping[str, Load] | None = None,
    list_kinds: Mapping[str, ListFiles] | None = None,
) -> list[dg.AssetsDefinition]:
    """landing/<source> and raw/<source> of several sources of a group, two steps for all: steps cost more than files.

    Args:
        loads: how landed files become rows, by source; default: as a table.
    """

    @dg.multi_asset(specs=[_landing_spec(s, group) for s in sources], name=f"land_{group}", can_subset=True)
    def land(context: dg.AssetExecutionContext, pipeline: Pipeline) -> Iterator[dg.MaterializeResult[Any]]:
        for source in sources:
            if dg.AssetKey(["landing", source]) in context.selected_asset_keys:
                yield _landed(context, pipeline, source, list_kinds or {})

    @dg.multi_asset(specs=[_raw_spec(s, group, ()) for s in sources], name=f"load_{group}", can_subset=True)
    def load_landed(context: dg.AssetExecutionContext, pipeline: Pipeline) -> Iterator[dg.MaterializeResult[Any]]:
        with pipeline.warehouse() as con:
            for source in sources:
                if key(f"raw.{source}") in context.selected_asset_keys:
                    yield _loaded(con, pipeline, source, (loads or {}).get(source))

    return [land, load_landed]


def _landing_spec(source: str, group: str) -> dg.AssetSpec:
    privacy = " Private, since it names people." if RECORDS[source].personal else ""
    return dg.AssetSpec(
        dg.AssetKey(["landing", source]),
        description=f"{RECORDS[source].description} Byte for byte as delivered.{privacy}",
        group_name=group,
        kinds={"file"},
        freshness_policy=FRESHNESS,
    )


def _raw_spec(source: str, group: str, after: tuple[str, ...]) -> dg.AssetSpec:
    return table_spec(f"raw.{source}", group=group, deps=(f"landing.{source}", *after), freshness_policy=FRESHNESS)


def _landed(
    context: dg.AssetExecutionContext, pipeline: Pipeline, source: str, list_kinds: Mapping[str, ListFiles]
) -> dg.MaterializeResult[Any]:
    asset, configured = dg.AssetKey(["landing", source]), pipeline.settings()
    wanted = getattr(configured.config.sources, source)
    if wanted is None:
        return dg.MaterializeResult(asset_key=asset, metadata={"connected": False})
    if context.run_tags.get(REPLAY_TAG):
        return dg.MaterializeResult(asset_key=asset, metadata={"connected": True, "replayed": True})
    if isinstance(wanted, Live):
        return dg.MaterializeResult(asset_key=asset, metadata=_fetched(context, pipeline, source, wanted))
    files = list_kinds.get(wanted.kind, list_files)(source, configured.source_path(wanted.path))
    manifest = pipeline.landing().land(source, wanted.kind, files, clock.now())
    return dg.MaterializeResult(
        asset_key=asset, metadata={"connected": True, "files": len(files), "changed": _changed(manifest)}
    )


def _fetched(context: dg.AssetExecutionContext, pipeline: Pipeline, source: str, wanted: Live) -> dict[str, Any]:
    """Fetches what is new of a live source; what came of it, as metadata."""
    pipeline.let_go_of_warehouse()
    budget = Budget(requests=wanted.budget.requests, seconds=wanted.budget.minutes * 60)
    outcome = fetching.fetch(
        pipeline.landing(),
        source,
        wanted.kind,
        connector(source, wanted, Tools(folder=pipeline.settings().config_path.parent)),
        carries=RECORDS[source].delivery == "state",
        budget=budget,
        tell=context.log.info,
    )
    problems = {part: problem[:LONGEST_PROBLEM] for part, problem in outcome.problems.items()}
    return {
        "connected": True,
        "parts": len(outcome.parts),
        "parts_fetched": len(outcome.finished),
        **({"notes": {part: list(notes) for part, notes in outcome.notes.items()}} if outcome.notes else {}),
        "problems": problems,
        "left_for_the_next_run": list(outcome.unfinished),
        "pages": outcome.pages,
        "rows": outcome.rows,
        "bytes": outcome.bytes,
        "requests": outcome.requests,
        "seconds": round(outcome.seconds, 1),
    }


def _loaded(con: Connection, pipeline: Pipeline, source: str, load: Load | None) -> dg.MaterializeResult[Any]:
    wanted = getattr(pipeline.settings().config.sources, source)
    parts.load(con, pipeline.landing(), source, wanted.kind if isinstance(wanted, Live) else None)
    result = load(con, pipeline) if load else load_table(con, pipeline, source)
    criterion = getattr(wanted, "criterion", None)
    return dg.MaterializeResult(
        asset_key=key(f"raw.{source}"),
        metadata={
            "dagster/row_count": result.rows,
            "files_loaded": result.files,
            "files_removed": result.removed,
            "rejected_by_reason": dict(result.rejected),
            **({"criterion": criterion} if criterion else {}),
        },
    )


def _changed(manifest: Manifest | None) -> int:
    return sum(file.fetched_at == manifest.fetched_at for file in manifest.files) if manifest else 0
