"""One asset per KPI, with definition, owner, target, latest value and plot; one step computes them."""

import re
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from decimal import Decimal
from typing import Any

import dagster as dg
import duckdb

from kpi_pipeline import clock
from kpi_pipeline.assets.common import FRESHNESS, Pipeline, key, max_ages
from kpi_pipeline.assets.plots import line_plot
from kpi_pipeline.catalog import Catalog, Kpi
from kpi_pipeline.errors import FormulaError
from kpi_pipeline.stages import kpi as stage
from kpi_pipeline.stages.scorecard import TARGET_CHECK, Rules, Verdict, score


def kpi_key(kpi: Kpi) -> dg.AssetKey:
    return dg.AssetKey(["kpi", kpi.group, kpi.name])


def _team(owner: str) -> str:
    return "team:" + re.sub("[^a-z0-9]+", "_", owner.lower()).strip("_")


def _spec(kpi: Kpi) -> dg.AssetSpec:
    m = kpi.measure
    return dg.AssetSpec(
        kpi_key(kpi),
        deps=[key(name) for name in m.reads],
        description=f"**{kpi.title}.** {kpi.question}\n\n{m.definition}\n\n*Caveats:* {m.caveats}\n\n"
        f"*As the document says:* {kpi.as_written}",
        group_name=kpi.group,
        owners=[_team(kpi.owner)],
        kinds={"duckdb", "kpi"},
        tags={"kpi/audience": kpi.audience, "kpi/status": kpi.status.replace(" ", "-")},
        freshness_policy=FRESHNESS,
        metadata={
            "kpi_id": kpi.id,
            "unit": m.unit,
            "direction": m.direction,
            "target": shown_target(kpi),
            **({"role": kpi.role} if kpi.role else {}),
            **({"scope": "; ".join(f"{d}: {', '.join(m)}" for d, m in kpi.scope.items())} if kpi.scope else {}),
            "owner": kpi.owner,
            "grains": ", ".join(m.dimensions),
            "sources": ", ".join((*m.sources, *m.better_with)),
            "definition_hash": kpi.definition_hash,
            "formula": dg.MetadataValue.md(f"```sql\n{m.formula}\n```"),
        },
    )


def shown_target(kpi: Kpi) -> str:
    """The newest target, or why there is none."""
    if not kpi.targets:
        return f"none. {kpi.no_target}"
    target = kpi.targets[-1]
    return f"{target.comparator} {target.value} {target.unit} per {target.window}, from {target.valid_from}"


def _check_specs(kpis: tuple[Kpi, ...]) -> list[dg.AssetCheckSpec]:
    return [
        dg.AssetCheckSpec(
            TARGET_CHECK,
            asset=kpi_key(kpi),
            description=f"The last closed {kpi.targets[-1].window} reached the target that held then. "
            "A missed target is news, not a failure.",
        )
        for kpi in kpis
        if kpi.targets and kpi.role
    ]


def _verdict(kpi: Kpi, verdict: Verdict) -> dg.AssetCheckResult:
    target = kpi.target_on(verdict.period_end)
    return dg.AssetCheckResult(
        asset_key=kpi_key(kpi),
        check_name=TARGET_CHECK,
        passed=verdict.status in ("met", "exempt"),
        severity=dg.AssetCheckSeverity.WARN,
        metadata={
            "status": verdict.status,
            "value": shown(verdict.value, kpi.measure.unit),
            "target": f"{target.comparator} {target.value} {target.unit}" if target else "none held yet",
            "period": f"{verdict.period_start} to {verdict.period_end}",
        },
    )


def _values(kpi: Kpi, computed: stage.Computed, plot: Future[str] | None) -> dict[str, Any]:
    metadata: dict[str, Any] = {
        "latest_value": shown(computed.value, kpi.measure.unit),
        "latest_period_end": computed.period_end.isoformat(),
        "status": computed.status,
    }
    if plot is not None:
        metadata["plot"] = dg.MetadataValue.md(plot.result())
    if computed.value is not None:
        # As a number too: the UI plots numbers from run to run.
        metadata["value"] = float(computed.value)
    return {**metadata, "dagster/row_count": computed.rows, "rows_changed": computed.changed}


def shown(value: object, unit: str) -> str:
    """A value for people: no more digits than it needs, and 'no value' where there is none."""
    if not isinstance(value, Decimal):
        return "no value"
    number = f"{value.normalize():,f}"
    return number if unit == "count" else f"{number} {unit}"


def _failure(failed: Mapping[str, duckdb.Error]) -> FormulaError:
    """All that failed, with the reason of the first, of which it is told in full as the cause."""
    first = next(iter(failed.values()))
    error = FormulaError(
        ", ".join(failed),
        got=" ".join(str(first).split())[:300],
        expected="a value; the other KPIs are up to date",
        fix="Look at what the formula, which is in the asset's metadata, does with the rows of its tables.",
    )
    error.__cause__ = first
    return error


def assets(catalog: Catalog) -> list[dg.AssetsDefinition]:
    """The KPI assets of a catalogue, all of which one step computes."""

    @dg.multi_asset(
        specs=[_spec(kpi) for kpi in catalog.kpis],
        check_specs=_check_specs(catalog.kpis),
        can_subset=True,
        name="compute_kpis",
    )
    def compute(
        context: dg.AssetExecutionContext, pipeline: Pipeline
    ) -> Iterator[dg.MaterializeResult[Any] | dg.AssetCheckResult]:
        configured, this = pipeline.settings(), pipeline.this_run(context, clock.now())
        rules = Rules(configured.config.exemptions, max_ages(configured))
        checked = {(check.asset_key, check.name) for check in context.selected_asset_check_keys}
        chosen = [kpi for kpi in catalog.kpis if kpi_key(kpi) in context.selected_asset_keys]
        with pipeline.warehouse() as con, ThreadPoolExecutor(1) as drawing:
            plots: dict[str, Future[str]] = {}

            def draw(points: stage.Points) -> None:
                """Plots come while values are written, and events."""
                for kpi in chosen:
                    if len(newest := points.get(kpi.id, ())) > 1:
                        plots[kpi.id] = drawing.submit(line_plot, newest, kpi.title, kpi.measure.unit)

            batch = stage.compute(con, chosen, this, draw)
            done = [kpi for kpi in chosen if kpi.id in batch.computed]
            verdicts = score(con, done, this, rules)
            for kpi in done:
                verdict = verdicts.get(kpi.id)
                judged = {"scorecard": verdict.status} if verdict else {}
                metadata = _values(kpi, batch.computed[kpi.id], plots.get(kpi.id)) | judged
                yield dg.MaterializeResult(asset_key=kpi_key(kpi), metadata=metadata)
                if verdict and (kpi_key(kpi), TARGET_CHECK) in checked:
                    yield _verdict(kpi, verdict)
        if batch.failed:
            raise _failure(batch.failed)

    return [compute]
