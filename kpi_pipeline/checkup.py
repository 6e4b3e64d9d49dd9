"""`kpi doctor`: what is configured, what is reachable, what is missing, and what to do about it. Changes nothing."""

import os
import stat
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Literal

import duckdb
from rich.console import Console

from kpi_pipeline import catalog, clock, settings
from kpi_pipeline.contracts import RECORDS
from kpi_pipeline.errors import KpiError
from kpi_pipeline.fetching import Glance
from kpi_pipeline.landing import Landing
from kpi_pipeline.settings import Settings
from kpi_pipeline.settings.base import Live
from kpi_pipeline.sources.connectors import connector
from kpi_pipeline.sources.files import LIST_KINDS, list_files
from kpi_pipeline.sources.transport import Budget, Limits
from kpi_pipeline.sources.walk import Tools
from kpi_pipeline.stages.publish import DATABASE

# What looking at a live source may cost.
LOOK_REQUESTS, LOOK_SECONDS = 500, 120.0
# Somebody is waiting: one more try is enough.
IMPATIENT = Limits(attempts=2, connect_seconds=5.0, read_seconds=15.0, answer_seconds=30.0, limited=1)
State = Literal["ok", "note", "problem"]
MARKS: dict[State, str] = {
    "ok": "[green]ok     [/green]",
    "note": "[yellow]note   [/yellow]",
    "problem": "[red]problem[/red]",
}


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    state: State
    subject: str
    words: str


def show(config: Path | None, data_dir: Path | None, as_of: date | None, console: Console) -> bool:
    """Prints what was found; True where nothing stands in the way of a run."""
    findings = list(examine(config, data_dir, as_of))
    for found in findings:
        words = found.words.replace("[", "\\[")
        console.print(f"{MARKS[found.state]}  {found.subject}: {words}", soft_wrap=True)
    problems = sum(found.state == "problem" for found in findings)
    console.print("Ready: kpi run" if not problems else f"{problems} problem(s) to mend before kpi run can succeed.")
    return problems == 0


def examine(config: Path | None, data_dir: Path | None, as_of: date | None) -> Iterator[Finding]:
    """Looks at everything that a run needs, in the order in which it needs it."""
    try:
        configured = settings.load(config, data_dir, as_of)
    except KpiError as error:
        yield Finding("problem", "configuration", str(error))
        return
    organisation = configured.config.organisation
    yield Finding("ok", "configuration", f"{configured.config_path}: {organisation.name}, as of {configured.as_of}")
    yield _secret(configured)
    yield _data_dir(configured)
    for source in RECORDS:
        yield from _source(configured, source)
    yield from _landing(configured)
    yield _warehouse(configured)
    yield from _kpis(configured)
    yield _published(configured)


def _secret(configured: Settings) -> Finding:
    if configured.config.organisation.demo:
        return Finding("note", "secret", "demo = true: person_key uses a public key; never for real people")
    return _tried("secret", lambda: bool(configured.id_secret) and "is set; it is never shown")


def _data_dir(configured: Settings) -> Finding:
    folder = configured.data_dir
    nearest = next(path for path in (folder, *folder.parents) if path.exists())
    if not nearest.is_dir() or not os.access(nearest, os.W_OK):
        return Finding("problem", "data folder", f"{nearest} can't be written; choose another with --data-dir")
    return Finding("ok", "data folder", f"{folder}" + ("" if folder.exists() else " (will be made)"))


def _source(configured: Settings, name: str) -> Iterator[Finding]:
    source = getattr(configured.config.sources, name)
    if source is None:
        yield Finding("note", name, f"not connected: name it as [sources.{name}] in kpi.toml to connect it")
        return
    if isinstance(source, Live):
        yield from _live_source(configured, name, source)
        return
    path = configured.source_path(source.path)

    def look() -> str:
        files = LIST_KINDS.get(source.kind, list_files)(name, path)
        newest = max(p.stat().st_mtime for _, p in files)
        return f"{len(files)} file(s) in {path}, newest of {datetime.fromtimestamp(newest, UTC):%Y-%m-%d %H:%M} UTC"

    yield _tried(name, look)


def _live_source(configured: Settings, name: str, source: Live) -> Iterator[Finding]:
    """Asks it a few questions; nothing is fetched."""
    try:
        tools = Tools(limits=IMPATIENT, folder=configured.config_path.parent)
        with closing(connector(name, source, tools)) as asked:
            glance = Glance(clock.now(), Budget(requests=LOOK_REQUESTS, seconds=LOOK_SECONDS))
            for seen in asked.examine(glance):
                yield Finding(seen.state, name, seen.words)
    except KpiError as error:
        yield Finding("problem", name, str(error))


def _landing(configured: Settings) -> Iterator[Finding]:
    root = configured.landing_dir
    if not root.exists():
        yield Finding("note", "landing zone", "empty: nothing has been fetched yet")
        return
    mode = stat.S_IMODE(root.stat().st_mode)
    if mode & 0o077:
        yield Finding("problem", "landing zone", f"{root} is open to others (mode {mode:o}): chmod 700 it")
    landing = Landing(root)
    for source in RECORDS:

        def count(source: str = source) -> str:
            manifests = landing.manifests(source)
            files = landing.files(source, RECORDS[source].delivery)
            for file in files:
                landing.path(source, file)
            return f"{len(manifests)} fetch(es), {len(files)} file(s) that count" if manifests else "nothing yet"

        yield _tried(f"landing zone, {source}", count)


def _warehouse(configured: Settings) -> Finding:
    path = configured.warehouse_path
    if not path.exists():
        return Finding("note", "warehouse", "not there yet; kpi run builds it from the landing zone")
    try:
        with duckdb.connect(str(path), read_only=True) as con:
            rejected = con.execute("select count(*) from raw.quarantine").fetchall()[0][0]
    except duckdb.Error as error:
        return Finding("problem", "warehouse", f"{path}: {' '.join(str(error).split())[:200]}")
    state: State = "note" if rejected else "ok"
    return Finding(state, "warehouse", f"{path}; {rejected} record(s) in raw.quarantine" + _look(rejected))


def _look(rejected: int) -> str:
    return ": see by_reason of the asset raw/quarantine in the UI" if rejected else ""


def _kpis(configured: Settings) -> Iterator[Finding]:
    loaded = catalog.load()
    connected = {name for name in RECORDS if getattr(configured.config.sources, name) is not None}
    without = [kpi.id for kpi in loaded.kpis if not set(kpi.measure.sources) <= connected]
    yield Finding("ok", "catalogue", f"{len(loaded.kpis)} KPIs, {len(loaded.kpis) - len(without)} with their sources")
    if without:
        yield Finding("note", "KPIs without a source", ", ".join(without))


def _published(configured: Settings) -> Finding:
    path = configured.published_dir / DATABASE
    if not path.exists():
        return Finding("note", "published", "nothing yet; kpi run publishes")
    try:
        with duckdb.connect(str(path), read_only=True) as con:
            newest, values = con.execute("select max(period_end), count(*) from kpi_values").fetchall()[0]
    except duckdb.Error as error:
        return Finding("problem", "published", f"{path}: {' '.join(str(error).split())[:200]}")
    late = newest < configured.as_of
    words = f"{path}: {values:,} values up to {newest}"
    return Finding("note" if late else "ok", "published", words + (f", before {configured.as_of}" if late else ""))


def _tried(subject: str, look: Callable[[], object]) -> Finding:
    try:
        return Finding("ok", subject, str(look()))
    except (KpiError, OSError) as error:
        return Finding("problem", subject, str(error))
