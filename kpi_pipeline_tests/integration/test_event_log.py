"""Dagster's event log, kept open: the same files and events as Dagster's own, read by Dagster's own."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.storage.event_log import SqliteEventLogStorage

from kpi_pipeline.event_log import KeptOpenEventLogStorage
from kpi_pipeline.running import DAGSTER_YAML

STEPS_UNTIL_KILLED = 3
KILLED = f"""
import os
import dagster as dg

@dg.op
def step(context):
    context.log.info("alive")

@dg.op(ins={{"before": dg.In(dg.Nothing)}})
def fatal():
    os._exit(9)

@dg.job
def killed():
    fatal([step.alias(f"step_{{k}}")() for k in range({STEPS_UNTIL_KILLED})])

with dg.DagsterInstance.get() as instance:
    killed.execute_in_process(instance=instance)
"""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "dagster.yaml").write_text(DAGSTER_YAML, encoding="utf-8")
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    return tmp_path


@pytest.fixture
def instance(home: Path) -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.get() as instance:
        assert isinstance(instance.event_log_storage, KeptOpenEventLogStorage)
        yield instance


@dg.multi_asset(specs=[dg.AssetSpec("made")], check_specs=[dg.AssetCheckSpec("counted", asset="made")])
def made() -> Iterator[dg.MaterializeResult[None] | dg.AssetCheckResult]:
    yield dg.MaterializeResult(metadata={"rows": 3})
    yield dg.AssetCheckResult(passed=False)


def _run(instance: dg.DagsterInstance) -> str:
    return dg.materialize([made], instance=instance).run_id


def _open_databases(home: Path) -> set[str]:
    links = [str(link.readlink()) for link in Path("/proc/self/fd").iterdir() if link.is_symlink()]
    runs = str(home / "history" / "runs")
    return {Path(target).name for target in links if target.startswith(runs) and target.endswith(".db")}


@pytest.mark.parametrize("batch_size", [0, 2, 1000])
def test_dagsters_own_log_reads_what_was_written(
    home: Path, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch, batch_size: int
) -> None:
    monkeypatch.setenv("DAGSTER_EVENT_BATCH_SIZE", str(batch_size))
    run_id = _run(instance)
    stock = SqliteEventLogStorage(str(home / "history" / "runs"))
    stock.register_instance(instance)
    types = [event.dagster_event_type.value for event in stock.get_logs_for_run(run_id) if event.dagster_event_type]
    # What Dagster says of a run of one asset with one check, in its order.
    assert [t for t in types if t.startswith(("ASSET_", "STEP_", "PIPELINE_"))] == [
        "ASSET_MATERIALIZATION_PLANNED",
        "ASSET_CHECK_EVALUATION_PLANNED",
        "PIPELINE_START",
        "STEP_START",
        "STEP_OUTPUT",
        "ASSET_MATERIALIZATION",
        "STEP_OUTPUT",
        "ASSET_CHECK_EVALUATION",
        "STEP_SUCCESS",
        "PIPELINE_SUCCESS",
    ]
    (record,) = stock.get_asset_records([dg.AssetKey("made")])
    materialization = record.asset_entry.last_materialization
    assert materialization is not None
    assert materialization.asset_materialization is not None
    assert materialization.asset_materialization.metadata["rows"].value == 3
    check = dg.AssetCheckKey(dg.AssetKey("made"), "counted")
    (executions,) = stock.get_latest_asset_check_execution_by_key([check]).values()
    assert (executions.run_id, executions.status.value) == (run_id, "FAILED")


def test_a_batch_is_stored_as_a_whole_or_not_at_all(home: Path, instance: dg.DagsterInstance) -> None:
    run_id = _run(instance)
    (planned,) = (
        event
        for event in instance.all_logs(run_id)
        if event.dagster_event_type is dg.DagsterEventType.ASSET_MATERIALIZATION_PLANNED
    )
    stock = SqliteEventLogStorage(str(home / "history" / "runs"))
    stock.register_instance(instance)

    def stored() -> tuple[int, int]:
        of_run = [event.dagster_event_type for event in stock.get_logs_for_run(run_id)]
        of_all = stock.get_event_records(dg.EventRecordsFilter(dg.DagsterEventType.ASSET_MATERIALIZATION_PLANNED))
        return of_run.count(dg.DagsterEventType.ASSET_MATERIALIZATION_PLANNED), len(of_all)

    assert stored() == (1, 1)
    with pytest.raises(Exception, match="not a EventLogEntry"):
        instance.event_log_storage.store_event_batch([planned, planned, "no event"])  # type: ignore[list-item]
    assert stored() == (1, 1)
    instance.event_log_storage.store_event_batch([planned, planned])
    assert stored() == (3, 3)


def test_who_watches_a_run_is_told_while_it_goes_on(home: Path, instance: dg.DagsterInstance) -> None:
    told = threading.Event()
    seen: list[str] = []
    stock = SqliteEventLogStorage(str(home / "history" / "runs"))
    stock.register_instance(instance)

    def callback(entry: dg.EventLogEntry, _: str) -> None:
        seen.append(entry.user_message)
        if entry.user_message == "being made":
            told.set()

    @dg.op
    def watched(context: dg.OpExecutionContext) -> None:
        stock.watch(context.run_id, None, callback)
        context.log.info("being made")
        # Still within the step: the run has not ended, and nothing was closed.
        assert told.wait(20), seen

    @dg.job
    def watching() -> None:
        watched()

    try:
        assert watching.execute_in_process(instance=instance).success
    finally:
        stock.dispose()


def test_two_databases_stay_open_and_none_after_the_end(home: Path) -> None:
    with dg.DagsterInstance.get() as instance:
        runs = [_run(instance) for _ in range(3)]
        for run_id in runs:
            instance.all_logs(run_id)
            assert _open_databases(home) == {"index.db", f"{run_id}.db"}
    assert _open_databases(home) == set()


def test_a_log_that_was_wiped_is_begun_anew(home: Path, instance: dg.DagsterInstance) -> None:
    gone = _run(instance)
    for file in (home / "history" / "runs").glob(f"{gone}.db*"):
        file.unlink()
    assert instance.all_logs(gone) == []
    instance.wipe()
    assert instance.get_latest_materialization_event(dg.AssetKey("made")) is None
    run_id = _run(instance)
    assert instance.all_logs(run_id)


def test_what_was_told_before_a_process_was_killed_is_there(home: Path) -> None:
    killed = subprocess.run([sys.executable, "-c", KILLED], capture_output=True, check=False)
    assert killed.returncode == 9, killed.stderr.decode()
    with dg.DagsterInstance.get() as instance:
        (run,) = instance.get_runs()
        stock = SqliteEventLogStorage(str(home / "history" / "runs"))
        messages = [event.user_message for event in stock.get_logs_for_run(run.run_id)]
    assert messages.count("alive") == STEPS_UNTIL_KILLED
