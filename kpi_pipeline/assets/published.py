"""The published tables: behind the gate, and swapped in as one."""

from collections.abc import Container, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import dagster as dg

from kpi_pipeline import clock
from kpi_pipeline.assets.common import FRESHNESS, Pipeline, connected_sources, key, max_ages, passed_by, table_spec
from kpi_pipeline.assets.common import PUBLISHED as GROUP
from kpi_pipeline.assets.kpi import kpi_key
from kpi_pipeline.catalog import Catalog
from kpi_pipeline.contracts import PUBLISHED, RECORDS
from kpi_pipeline.landing import Landing, Pruned
from kpi_pipeline.report import exports
from kpi_pipeline.settings import Settings
from kpi_pipeline.stages import checks, cluster_yaml
from kpi_pipeline.stages.kpi import stamp
from kpi_pipeline.stages.publish import DATABASE, Health, close_month, publish
from kpi_pipeline.warehouse import Connection, another, run, sql

SITE = dg.AssetKey(["published", "site"])
EXPORTS = dg.AssetKey(["published", "exports"])
CLOSED_MONTHS = dg.AssetKey(["published", "closed_months"])
# What each table is made of; their one step waits for all of it. The definitions come from the catalogue.
READS: dict[str, tuple[str, ...]] = {
    "published.kpi_definitions": (),
    "published.withheld_values": ("published.kpi_values", "staged.teams"),
    "published.targets": (),
    "published.organisation": (),
    "published.kpi_details": (),
    "published.annotations": (),
    "published.exemptions": (),
    "published.active_users": ("facts.active_users",),
    "published.hubs": ("staged.hubs",),
    "published.communities": ("staged.hubs",),
    "published.exclusions": ("staged.exclusion_effects",),
    "published.source_parts": tuple(f"raw.{source}" for source in RECORDS),
    "published.data_health": (
        *(f"raw.{source}" for source in RECORDS),
        "raw.quarantine",
        "staged.activity_accounting",
    ),
}


def check_parameters(configured: Settings, catalog: Catalog) -> dict[str, object]:
    """What checks may refer to."""
    connected = connected_sources(configured)
    exclusions = [rule for rule in configured.config.exclusions if rule.source in connected]
    rules = [rule.id for rule in exclusions if rule.holds_on(configured.as_of)]
    may_be_empty = [record.source for record in RECORDS.values() if record.may_be_empty]
    return {
        "as_of": configured.as_of,
        "rules": rules,
        "may_be_empty": may_be_empty,
        "min_people": configured.config.privacy.min_people,
        "as_of_period_end": [kpi.id for kpi in catalog.kpis if kpi.measure.kind in ("level", "cohort")],
    }


def still_to_check(passed: Container[object], parameters: Mapping[str, object]) -> list[checks.Check]:
    """The gate: all checks of severity ERROR but those that have passed in this run, on what is still there."""
    return [
        check
        for check in (*checks.CHECKS, checks.EVERY_KPI_IS_COMPUTED)
        if check.severity == "ERROR" and (check.of_shared or passed_by(check, parameters) not in passed)
    ]


def source_health(configured: Settings) -> list[Health]:
    """What is expected of every source."""
    ages = max_ages(configured)
    return [Health(name, name in connected_sources(configured), ages[name]) for name in RECORDS]


def scorecard_table(con: Connection) -> str:
    """The running and the last closed period of every role's KPIs, as Markdown."""
    lines = ["| role | KPI | target | last closed | | to date | |", "|---|---|---|---|---|---|---|"]
    lines += [f"| {' | '.join(row)} |" for row in run(con, sql("stages", "scorecard_shown"))]
    return "\n".join(lines)


def prune_landing(landing: Landing, configured: Settings) -> Pruned:
    """Deletes what was superseded longer ago than kpi.toml keeps it; by today, since landing goes by today as well."""
    before = clock.now().date() - timedelta(days=configured.config.organisation.landing_retention_days)
    pruned = [landing.prune(name, record.delivery, before, {cluster_yaml.KIND}) for name, record in RECORDS.items()]
    return sum(pruned, Pruned())


def asset(catalog: Catalog) -> dg.AssetsDefinition:
    """The published tables of a catalogue, as one step."""
    kpis = tuple(".".join(kpi_key(kpi).path) for kpi in catalog.kpis)
    roles = tuple(".".join(kpi_key(kpi).path) for kpi in catalog.kpis if kpi.role)
    reads = {**READS, "published.kpi_values": kpis, "published.scorecard": roles, "published.scorecard_details": roles}
    specs = [table_spec(t.name, group=GROUP, deps=reads[t.name], freshness_policy=FRESHNESS) for t in PUBLISHED]

    @dg.multi_asset(specs=specs, name="publish")
    def published(pipeline: Pipeline) -> Iterator[dg.MaterializeResult[Any]]:
        configured = pipeline.settings()
        stamps = [" ".join(stamp(kpi, configured.as_of)) for kpi in catalog.kpis]
        parameters = check_parameters(configured, catalog)
        # What is to be published is built while the gate looks at what it is built from.
        with pipeline.warehouse() as con, ThreadPoolExecutor(1) as beside:
            gate = still_to_check(pipeline.passed(), parameters)
            verdict = beside.submit(checks.refuse_if_wrong, another(con), gate, parameters | {"stamps": stamps})
            try:
                rows = publish(
                    con,
                    configured.published_dir,
                    catalog,
                    configured.config,
                    source_health(configured),
                    configured.as_of,
                    allow=verdict.result,
                )
            except Exception:
                # What is wrong with the data says more than what comes of it.
                verdict.result()
                raise
            scorecard = dg.MetadataValue.md(scorecard_table(con))
        # Last, so that what a night was published from is still there if it fails.
        pruned = prune_landing(pipeline.landing(), configured)
        shown: dict[str, dict[str, Any]] = {
            "published.scorecard": {"scorecard": scorecard},
            "published.data_health": {
                "checks_before_publishing": len(gate),
                "landing_contents_deleted": pruned.contents,
                "landing_bytes_deleted": pruned.bytes,
            },
        }
        for contract in PUBLISHED:
            yield dg.MaterializeResult(
                asset_key=dg.AssetKey(contract.name.split(".")),
                metadata={
                    "dagster/row_count": rows[contract.short_name],
                    "database": DATABASE,
                    **shown.get(contract.name, {}),
                },
            )

    return published


def _made_of_them(asset_key: dg.AssetKey, description: str, kinds: set[str], **more: Any) -> dg.AssetSpec:
    """What is made of all published tables, and is none itself."""
    deps = [key(t.name) for t in PUBLISHED]
    return dg.AssetSpec(asset_key, deps=deps, description=description, group_name=GROUP, kinds=kinds, **more)


@dg.multi_asset(
    specs=[
        _made_of_them(
            CLOSED_MONTHS,
            "What was reported of a month, kept when it is closed: all that was published then, in "
            "`published/closed/<month>/`. It is never replaced, so that a later restatement can be compared with it.",
            {"duckdb", "parquet"},
        )
    ],
    name="close_month",
)
def close_last_month(pipeline: Pipeline) -> dg.MaterializeResult[Any]:
    """Keeps what is published as what was reported of the last month that had ended on the as-of day."""
    configured = pipeline.settings()
    last_day = configured.as_of.replace(day=1) - timedelta(days=1)
    if (configured.as_of + timedelta(days=1)).day == 1:
        last_day = configured.as_of
    kept = close_month(configured.published_dir, f"{last_day:%Y-%m}")
    return dg.MaterializeResult(metadata={"month": f"{last_day:%Y-%m}", "kept_now": kept})


def _written_report(folder: Path) -> dict[str, Any]:
    # What draws is slow to import, and needed here only.
    from kpi_pipeline.report import site

    return {"pages": sum(1 for _ in site.write(folder).rglob("*.html"))}


def _written_exports(folder: Path) -> dict[str, Any]:
    return {"tables": sum(1 for _ in exports.write(folder).glob("*.csv"))}


@dg.multi_asset(
    specs=[
        _made_of_them(
            SITE,
            "The web report, in `published/site`: open `internal/index.html` or `external/index.html` from "
            "a disk or a web server. It asks nobody for anything. The external edition holds nothing internal.",
            {"html"},
            freshness_policy=FRESHNESS,
        ),
        _made_of_them(
            EXPORTS,
            "Every published table as CSV and Parquet, in `published/exports`, with a `datapackage.json` "
            "(Frictionless Data Package) that explains them.",
            {"csv", "parquet"},
            freshness_policy=FRESHNESS,
        ),
    ],
    name="report",
    can_subset=True,
)
def write_report_and_exports(
    context: dg.AssetExecutionContext, pipeline: Pipeline
) -> Iterator[dg.MaterializeResult[Any]]:
    """Makes of what is published what needs no DuckDB, and swaps it in.

    Both at once, as one is mostly Python's work and the other DuckDB's. One that fails doesn't stop the other.
    """
    folder = pipeline.settings().published_dir
    with ThreadPoolExecutor(2) as both:
        writing = {
            asset_key: both.submit(write, folder)
            for asset_key, write in ((SITE, _written_report), (EXPORTS, _written_exports))
            if asset_key in context.selected_asset_keys
        }
    for asset_key, written in writing.items():
        if written.exception() is None:
            yield dg.MaterializeResult(asset_key=asset_key, metadata=written.result())
    for written in writing.values():
        written.result()
