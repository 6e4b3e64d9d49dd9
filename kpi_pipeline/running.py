"""`kpi run`: the asset graph in this process, as a Dagster run that the UI shows, with progress on the terminal.

What belongs here: starting a run and following it. What never does: what a run computes.
"""

import gc
import logging
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from kpi_pipeline.assets import plots
from kpi_pipeline.errors import ConfigError, KpiError, WarehouseError
from kpi_pipeline.settings import Settings
from kpi_pipeline.stages.scorecard import TARGET_CHECK
from kpi_pipeline.warehouse import Warehouse

DAGSTER_YAML = """\
# Made by kpi; the runs, events and schedules of this data folder are kept here.
telemetry: {enabled: false}
nux: {enabled: false}
concurrency: {runs: {max_concurrent_runs: 1}}
run_monitoring: {enabled: true}
event_log_storage:
  module: kpi_pipeline.event_log
  class: KeptOpenEventLogStorage
  config: {base_dir: {env: DAGSTER_HOME}}
"""
# The organisation that a data folder belongs to.
OWNER = "organisation.txt"
RUN_LOCK = "run.lock"
RUN_LOCK_SECONDS = 4 * 3600.0
# Python looks for cycles after so many new objects. Its own 700 are a twentieth of a night, since Dagster keeps many.
NEW_OBJECTS = 50_000
PLANNED_EVENTS = 1_000


@dataclass(frozen=True)
class Finished:
    """How a run ended: what failed, in words, how many assets were materialized, and whether it published.

    A run that could not begin has no id.
    """

    run_id: str | None
    problems: tuple[str, ...]
    materialized: int
    published: bool

    @property
    def success(self) -> bool:
        return not self.problems


def prepare(configured: Settings) -> Path:
    """Makes the Dagster home of a data folder, and points this process and its children at everything.

    Raises:
        ConfigError: the data folder can't be used, or is another organisation's.
    """
    home = configured.data_dir / "dagster_home"
    try:
        home.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(
            f"data folder {configured.data_dir}",
            got=error.strerror,
            expected="a folder that can be written",
            fix="Choose another with --data-dir or KPI_DATA_DIR.",
        ) from error
    _claim(configured)
    if not (home / "dagster.yaml").exists():
        aside = home / f".dagster-{os.getpid()}.yaml"
        aside.write_text(DAGSTER_YAML, encoding="utf-8")
        aside.replace(home / "dagster.yaml")
    os.environ |= {
        "DAGSTER_HOME": str(home),
        "KPI_CONFIG": str(configured.config_path),
        "KPI_DATA_DIR": str(configured.data_dir),
        # What a run plans, an event for each asset and check, is written at once.
        "DAGSTER_EVENT_BATCH_SIZE": str(PLANNED_EVENTS),
    }
    return home


def _claim(configured: Settings) -> None:
    """A data folder is of one organisation: what another has landed there would count as this one's."""
    mark, name = configured.data_dir / OWNER, configured.config.organisation.name
    if not mark.exists():
        mark.write_text(name + "\n", encoding="utf-8")
    owner = mark.read_text(encoding="utf-8").strip()
    if owner != name:
        raise ConfigError(
            f"data folder {configured.data_dir}",
            got=f"the data of {owner!r}",
            expected=f"a folder of {name!r}'s own",
            fix=f"Choose another with --data-dir or KPI_DATA_DIR. Renamed? Then write {mark} anew.",
        )


def execute(configured: Settings, select: str | None, *, replay: bool, console: Console) -> Finished:
    """Materializes the graph, or the selected assets of it.

    Args:
        select: a Dagster asset selection, such as `group:impact` or `key:"staged/user_days"+`.
        replay: leave the sources alone and work from what was landed before.

    Raises:
        ConfigError: the selection is wrong or selects nothing.
    """
    if configured.config.sources.hub_activity is not None:
        configured.id_secret  # noqa: B018  # a missing secret is noticed before anything starts
    prepare(configured)
    os.environ["KPI_AS_OF"] = configured.as_of.isoformat()
    _quiet()
    # Steps of two runs must not mix: they may be for two as-of days.
    warehouse = Warehouse(configured.warehouse_path, configured.spill_dir)
    lock = FileLock(configured.data_dir / RUN_LOCK, timeout=RUN_LOCK_SECONDS)
    with _few_collections(), lock, warehouse.kept_open():
        try:
            # Once, here: else every source would wait in turn for the program that keeps it.
            with warehouse.open():
                pass
        except WarehouseError as error:
            return Finished(None, (str(error),), materialized=0, published=False)
        with plots.at_hand():
            return _execute(configured, select, replay=replay, console=console)


def _execute(configured: Settings, select: str | None, *, replay: bool, console: Console) -> Finished:
    with console.status("loading definitions") if console.is_terminal else _nothing():
        import dagster as dg

        from kpi_pipeline.assets.sources import REPLAY_TAG
        from kpi_pipeline.definitions import NIGHTLY, PROGRESS_LOGGER, defs

        job = defs.resolve_job_def(NIGHTLY)
        keys = _selected(dg, job, select) if select else None
        steps = len(job.get_subset(asset_selection=keys).nodes if keys else job.nodes)
    with dg.DagsterInstance.get() as instance, _followed(console, steps) as follower:
        result = job.execute_in_process(
            instance=instance,
            asset_selection=list(keys) if keys else None,
            partition_key=configured.as_of.isoformat() if _has_days(job, keys) else None,
            run_config={"loggers": {PROGRESS_LOGGER: {}}},
            tags={REPLAY_TAG: "true"} if replay else None,
            raise_on_error=False,
        )
    return Finished(result.run_id, tuple(follower.problems), follower.materialized, follower.published)


def _selected(dg: Any, job: Any, select: str) -> set[Any]:
    try:
        # A step makes its tables together; asking for one of them asks for them all, as in the UI.
        asked = dg.AssetSelection.from_string(select).required_multi_asset_neighbors()
        keys = asked.resolve(job.asset_layer.asset_graph)
    except Exception as error:
        raise ConfigError(
            "--select",
            got=repr(select),
            expected="a Dagster asset selection",
            fix="For example: 'group:impact', 'key:\"staged/user_days\"+', or '*'.",
        ) from error
    if not keys:
        raise ConfigError(
            "--select", got=f"{select!r}, which selects no asset", expected="at least one asset", fix="See kpi doctor."
        )
    return set(keys)


def _has_days(job: Any, keys: set[Any] | None) -> bool:
    graph = job.asset_layer.asset_graph
    return any(graph.get(k).partitions_def is not None for k in (keys or graph.get_all_asset_keys()))


class _Follower(logging.Handler):
    """Turns Dagster's events into progress, and collects what went wrong."""

    def __init__(self, console: Console, progress: Progress | None, steps: int) -> None:
        super().__init__()
        self.console, self.progress = console, progress
        self.task = progress.add_task("starting", total=steps) if progress else None
        self.done, self.steps = 0, steps
        self.problems: list[str] = []
        self.materialized, self.published = 0, False

    def emit(self, record: logging.LogRecord) -> None:
        meta = getattr(record, "dagster_meta", {})
        event = meta.get("dagster_event")
        if event is None:
            if record.levelno == logging.INFO:
                self._tell(meta.get("orig_message", ""))
            return
        step = (event.step_key or "").replace("_", " ")
        match event.event_type_value:
            case "STEP_START":
                if self.progress and self.task is not None:
                    self.progress.update(self.task, description=step)
            case "STEP_SUCCESS":
                self._advance(step)
            case "STEP_SKIPPED":
                self._advance(f"{step}: skipped")
            case "ASSET_MATERIALIZATION":
                self.materialized += 1
                self.published |= event.asset_key.path[0] == "published"
            case "ASSET_CHECK_EVALUATION":
                self._check(event.asset_check_evaluation_data)
            case "STEP_FAILURE":
                self._advance(f"{step}: FAILED")
                if event.event_specific_data.error.cls_name != "DagsterAssetCheckFailedError":
                    self.problems.append(_reason(event, step))
            case "RUN_FAILURE" | "PIPELINE_FAILURE" if not self.problems:
                self.problems.append(event.message or "the run failed")

    def _tell(self, text: str) -> None:
        """What a step says of itself while it is under way: how far a fetch is."""
        if self.progress and self.task is not None:
            self.progress.update(self.task, description=text)
        else:
            self.console.print(f"[{self.done}/{self.steps}] {text}", highlight=False, markup=False, soft_wrap=True)

    def _advance(self, text: str) -> None:
        self.done += 1
        if self.progress and self.task is not None:
            self.progress.update(self.task, advance=1, description=text)
        else:
            self.console.print(f"[{self.done}/{self.steps}] {text}", highlight=False, markup=False)

    def _check(self, check: Any) -> None:
        # A target that isn't reached is news of the organisation, not of the run; the scorecard has it.
        if check.passed or check.check_name == TARGET_CHECK:
            return
        rows = check.metadata.get("first_wrong_rows")
        shown = " ".join(map(str, rows.value)) if rows is not None else ""
        text = f"{'/'.join(check.asset_key.path)}: check {check.check_name}: {check.description} Wrong rows: {shown}"
        if check.severity.value == "ERROR":
            self.problems.append(text)
        else:
            self.console.print(f"warning: {text}", style="yellow", highlight=False, markup=False, soft_wrap=True)


def _reason(event: Any, step: str) -> str:
    """The innermost of our own errors; else the last line of what came."""
    error = event.event_specific_data.error
    while error is not None:
        if error.cls_name in _OUR_ERRORS:
            return f"{step}: {error.message.split(': ', 1)[-1].strip()}"
        if error.cause is None:
            return f"{step}: {error.cls_name}: {error.message.strip()}"
        error = error.cause
    return f"{step} failed"


_OUR_ERRORS = {KpiError.__name__, *(error.__name__ for error in KpiError.__subclasses__())}


@contextmanager
def _followed(console: Console, steps: int) -> Iterator[_Follower]:
    logger = logging.getLogger("kpi_pipeline.progress")
    progress = None
    if console.is_terminal:
        progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.completed:>2.0f}/{task.total:.0f}"),
            BarColumn(),
            TextColumn("{task.description}"),
            TimeElapsedColumn(),
            console=console,
            transient=True,
        )
        progress.start()
    follower = _Follower(console, progress, steps)
    logger.addHandler(follower)
    try:
        yield follower
    finally:
        logger.removeHandler(follower)
        if progress:
            progress.stop()


@contextmanager
def _few_collections() -> Iterator[None]:
    before = gc.get_threshold()
    gc.set_threshold(NEW_OBJECTS)
    try:
        yield
    finally:
        gc.set_threshold(*before)


@contextmanager
def _nothing() -> Iterator[None]:
    yield


def _quiet() -> None:
    """Dagster's own hints are for its own commands."""
    import warnings

    warnings.filterwarnings("ignore", module="dagster")
    logging.getLogger("dagster").setLevel(logging.ERROR)


def open_ui(configured: Settings, host: str, port: int) -> None:
    """Replaces this process by Dagster's UI and daemon on the same instance."""
    prepare(configured)
    _quiet()
    import dagster as dg

    # The storage is made here, by one process, since webserver and daemon start at once.
    with FileLock(configured.data_dir / RUN_LOCK, timeout=RUN_LOCK_SECONDS), dg.DagsterInstance.get():
        pass
    # The UI outlives the day it was started on: its runs find their own as-of.
    os.environ.pop("KPI_AS_OF", None)
    program = shutil.which("dagster", path=str(Path(sys.executable).parent)) or "dagster"
    module = ["-m", "kpi_pipeline.definitions"]
    os.execv(program, [program, "dev", *module, "-h", host, "-p", str(port)])
