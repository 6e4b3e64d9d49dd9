"""Landing to facts of the metrics domain: API calls, their durations, and uptime. Facts are built anew, whole.

Never here: the shape of Prometheus' answers (prometheus.py), and what a KPI is (catalog/measures).
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import date

from kpi_pipeline.contracts import Record, table
from kpi_pipeline.contracts.metrics import API_METRICS, UPTIME
from kpi_pipeline.landing import Landing
from kpi_pipeline.settings.sources import ApiMetrics, Uptime
from kpi_pipeline.stages import prometheus, raw
from kpi_pipeline.warehouse import Connection, fill, quote, run, sql, transaction

API_FACTS = ("api_calls", "api_times", "api_buckets")


def load_api_metrics(con: Connection, landing: Landing, rules: ApiMetrics | None) -> raw.Loaded:
    """Brings raw.api_metrics up to date with the landing zone."""
    return _load(con, landing, _api_record(rules) if rules else API_METRICS, rules is not None)


def load_uptime(con: Connection, landing: Landing, rules: Uptime | None) -> raw.Loaded:
    """Brings raw.uptime up to date with the landing zone."""
    record = _configured(UPTIME, rules.step_seconds, {"system": rules.system_label}) if rules else UPTIME
    return _load(con, landing, record, rules is not None)


def _configured(record: Record, step_seconds: int, labels: Mapping[str, str]) -> Record:
    """The record with step and labels (by column) of kpi.toml. Other ones: another version, and all is loaded anew."""
    reasons = [
        # Fetches that overlap agree in their timestamps only where all are of one grid.
        ("off_step:sampled_at", f"epoch_ms(sampled_at) % {step_seconds * 1000} <> 0"),
    ]
    return replace(
        record, labels=tuple((label, column) for column, label in labels.items()), rules=(*record.rules, *reasons)
    )


def _api_record(rules: ApiMetrics) -> Record:
    record = _configured(API_METRICS, rules.step_seconds, rules.labels.by_column)
    columns = (replace(c, values=rules.series.folders) if c.name == "series" else c for c in record.columns)
    of_buckets = f"series = '{rules.series.duration_buckets}'"
    reasons = [
        ("missing:le", f"{of_buckets} and le is null"),
        ("invalid:le", f"{of_buckets} and le <> '+Inf' and try_cast(le as decimal(38, 9)) is null"),
    ]
    if rules.labels.audience:
        reasons.append(("missing:audience", "audience is null"))
    return replace(record, columns=tuple(columns), rules=(*record.rules, *reasons))


def _load(con: Connection, landing: Landing, record: Record, connected: bool) -> raw.Loaded:
    loaded = raw.load(con, landing, record, None, connected, prometheus.reader)
    prometheus.forget_answer(con)
    return loaded


def count_api_calls(con: Connection, landing: Landing, rules: ApiMetrics | None) -> None:
    """Rebuilds the facts of API calls, in one transaction; histograms that can't be are rejected."""
    folders = rules.series.model_dump() if rules else dict.fromkeys(("requests", "duration_sum", "duration_buckets"))
    with transaction(con):
        _put_files(con, landing, API_METRICS)
        run(con, f"create or replace temp table api_samples as {sql('stages', 'api_samples')}")
        run(con, f"create or replace temp table bucket_samples as {sql('stages', 'bucket_samples')}", folders)
        run(con, "delete from raw.quarantine where source = 'api_metrics' and stage = 'staged'")
        fill(con, table("raw.quarantine"), sql("stages", "broken_histograms"))
        for name in API_FACTS:
            run(con, f"truncate {quote('facts.' + name)}")
            fill(con, table(f"facts.{name}"), sql("stages", name), folders)
    for name in ("metric_files", "api_samples", "bucket_samples"):
        run(con, f"drop table temp.{name}")


def count_uptime(con: Connection, landing: Landing, rules: Uptime | None, as_of: date) -> None:
    """Rebuilds facts.uptime up to the as-of day, in one transaction."""
    retired = rules.retired if rules else {}
    bound: dict[str, object] = {
        "as_of": as_of,
        "step_seconds": rules.step_seconds if rules else 1,
        "retired_systems": list(retired),
        "last_days": list(retired.values()),
    }
    with transaction(con):
        _put_files(con, landing, UPTIME)
        run(con, "truncate facts.uptime")
        fill(con, table("facts.uptime"), sql("stages", "uptime"), bound)
    run(con, "drop table temp.metric_files")


def _put_files(con: Connection, landing: Landing, record: Record) -> None:
    """A table temp.metric_files: which file was landed when."""
    files = landing.files(record.source, record.delivery)
    run(
        con,
        "create or replace temp table metric_files as "
        "select unnest($files::varchar[]) as file, unnest($landed::timestamptz[]) as landed_at",
        {"files": [file.name for file in files], "landed": [file.fetched_at for file in files]},
    )
