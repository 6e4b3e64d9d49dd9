"""What all assets share: the resource, partitions, freshness, and metadata from contracts. No asset is defined here."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import date, timedelta
from typing import Any

import dagster as dg

from kpi_pipeline import settings
from kpi_pipeline.contracts import RECORDS, TABLES, table
from kpi_pipeline.fingerprint import fingerprint
from kpi_pipeline.landing import Landing
from kpi_pipeline.settings import Settings
from kpi_pipeline.stages.checks import Check
from kpi_pipeline.stages.kpi import Run
from kpi_pipeline.warehouse import Connection, Warehouse, quote, scalar

_ORGANISATION = settings.organisation_at_hand()
_FIRST_DAY = _ORGANISATION.first_day if _ORGANISATION else settings.FIRST_DAY
DAILY = dg.DailyPartitionsDefinition(start_date=_FIRST_DAY.isoformat(), timezone="UTC")
SINGLE_RUN = dg.BackfillPolicy.single_run()
# A nightly run that fails twice in a row shows; one that is late by some hours warns.
FRESHNESS = dg.FreshnessPolicy.time_window(fail_window=timedelta(hours=50), warn_window=timedelta(hours=26))
HUBS, PUBLISHED = "hubs", "published"


class Pipeline(dg.ConfigurableResource):  # type: ignore[type-arg]
    """Where things are. Reads the environment and kpi.toml when a run starts, never when definitions load."""

    def settings(self) -> Settings:
        return settings.load()

    def landing(self) -> Landing:
        return Landing(self.settings().landing_dir)

    @contextmanager
    def warehouse(self) -> Iterator[Connection]:
        """The one writer's connection."""
        with self._warehouse().open() as con:
            yield con

    def passed(self) -> set[object]:
        """The checks that have passed, as `passed_by`, since this process has had the warehouse without a break."""
        return self._warehouse().noted()

    def let_go_of_warehouse(self) -> None:
        """Before a step that takes long and doesn't need it: other processes may have it meanwhile."""
        self._warehouse().let_go()

    def _warehouse(self) -> Warehouse:
        paths = self.settings()
        return Warehouse(paths.warehouse_path, paths.spill_dir)

    def this_run(self, context: Any, computed_at: Any) -> Run:
        paths = self.settings()
        min_people = paths.config.privacy.min_people
        return Run(paths.as_of, connected_sources(paths), min_people, context.run_id, computed_at)


def passed_by(check: Check, parameters: Mapping[str, object]) -> object:
    """What is noted of a check that has passed with these parameters."""
    return check, fingerprint(parameters)


def connected_sources(configured: Settings) -> frozenset[str]:
    """The sources that kpi.toml names."""
    return frozenset(name for name in RECORDS if getattr(configured.config.sources, name) is not None)


def max_ages(configured: Settings) -> dict[str, int | None]:
    """How old the data of each source may be, in days; None: no deadline, or not connected."""
    sources = configured.config.sources
    return {name: getattr(getattr(sources, name), "max_age_days", None) for name in RECORDS}


def key(name: str) -> dg.AssetKey:
    """schema.table as an asset key."""
    return dg.AssetKey(name.split("."))


def table_spec(name: str, *, group: str, deps: tuple[str, ...] = (), **more: Any) -> dg.AssetSpec:
    """The asset of a table: description, columns and kinds from its contract."""
    contract = table(name)
    columns = [
        dg.TableColumn(
            c.name,
            c.type,
            c.comment,
            constraints=dg.TableColumnConstraints(nullable=c.nullable, unique=contract.key == (c.name,)),
        )
        for c in contract.columns
    ]
    return dg.AssetSpec(
        key(name),
        deps=[key(dep) for dep in deps],
        description=contract.comment,
        group_name=group,
        kinds={"duckdb", "table"},
        metadata={"dagster/column_schema": dg.TableSchema(columns=columns), "dagster/table_name": name},
        **more,
    )


def row_count(con: Connection, name: str) -> dict[str, Any]:
    """Metadata: how many rows a table of the warehouse has."""
    assert name in TABLES
    return {"dagster/row_count": int(scalar(con, f"select count(*) from {quote(name)}"))}


def chosen_days(context: dg.AssetExecutionContext, as_of: date) -> list[date]:
    """The days of the partitions that a run asks for; days after as_of are left for later."""
    if not context.has_partition_key and not context.has_partition_key_range:
        return []
    return [day for text in context.partition_keys if (day := date.fromisoformat(text)) <= as_of]


def report_other_days(context: dg.AssetExecutionContext, asset_key: dg.AssetKey, days: list[date]) -> None:
    """Tells Dagster of partitions that were brought up to date besides those asked for: late data, first load."""
    asked = set(context.partition_keys) if context.has_partition_key or context.has_partition_key_range else set()
    known = set(DAILY.get_partition_keys())
    for day in days:
        if (partition := day.isoformat()) not in asked and partition in known:
            metadata = {"reason": "changed upstream"}
            context.log_event(dg.AssetMaterialization(asset_key, partition=partition, metadata=metadata))


def results(con: Connection, names: Iterable[str]) -> Iterator[dg.MaterializeResult[Any]]:
    """Tables that a step has made, each with its row count."""
    for name in names:
        yield dg.MaterializeResult(asset_key=key(name), metadata=row_count(con, name))
