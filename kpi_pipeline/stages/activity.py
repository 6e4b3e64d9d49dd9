"""Landed activity on hubs to raw, whatever it was landed as: tables, answers of Prometheus, users of JupyterHub.

What belongs here: which field of an answer is which column. What never does: which activity counts (staged).
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from urllib.parse import unquote

import polars as pl
from pydantic import SecretStr

from kpi_pipeline.contracts import HUB_ACTIVITY, Record
from kpi_pipeline.errors import UnreadableFileError
from kpi_pipeline.landing import LandedFile, Landing, content_of
from kpi_pipeline.settings.sources import HubActivity, HubActivityPrometheus
from kpi_pipeline.stages import prometheus, raw
from kpi_pipeline.stages.reading import Reader, reader, whole_file
from kpi_pipeline.warehouse import Connection, run, sql

PROMETHEUS = ("prometheus", "prometheus_json")
JUPYTERHUB = ("jupyterhub", "jupyterhub_json")
HUB_LABEL, USERNAME_LABEL = "namespace", "annotation_hub_jupyter_org_username"
# How much text one statement takes.
BATCH_BYTES = 32 << 20
PAGE = {"file": pl.String, "fetched": pl.Date, **dict.fromkeys(("cluster", "hub", "text", "fault"), pl.String)}


def load(con: Connection, landing: Landing, configured: HubActivity | None, secret: SecretStr | None) -> raw.Loaded:
    """Brings raw.hub_activity up to date with the landing zone; each file is read as what it was landed as.

    Args:
        secret: None where the source isn't connected, which then holds nothing.
    """
    asked = configured if isinstance(configured, HubActivityPrometheus) else None
    labels = (
        (asked.hub_label if asked else HUB_LABEL, "hub"),
        (asked.username_label if asked else USERNAME_LABEL, "username"),
    )

    def read(con: Connection, record: Record, file: LandedFile, path: Path) -> Reader:
        if file.kind in PROMETHEUS:
            return _prometheus(con, replace(record, labels=labels), file, path)
        return reader(con, record, file, path)

    def read_all(con: Connection, files: Sequence[LandedFile]) -> list[raw.Reject]:
        pages = [file for file in files if file.kind in JUPYTERHUB]
        others = [file for file in files if file.kind not in JUPYTERHUB]
        rejects, _ = raw.read_files(con, landing, record, others, read, 1)
        return rejects + _read_pages(con, landing, record, pages)

    # Other labels are another version, by which answers are read anew; a table's columns go by their own names.
    record = HUB_ACTIVITY if labels == DEFAULT_LABELS else replace(HUB_ACTIVITY, labels=labels)
    loaded = raw.load(con, landing, record, secret, configured is not None, read_all=read_all)
    prometheus.forget_answer(con)
    return loaded


DEFAULT_LABELS = ((HUB_LABEL, "hub"), (USERNAME_LABEL, "username"))


def _prometheus(con: Connection, record: Record, file: LandedFile, path: Path) -> Reader:
    """User-days: a sample of a day, per hub and username. The first folder is the cluster."""
    samples = prometheus.reader(con, record, file, path)
    parameters = {**samples.parameters, "cluster": _folders(file, 1)[0]}
    return replace(samples, columns={**samples.columns, "cluster": "$cluster"}, parameters=parameters)


def _read_pages(con: Connection, landing: Landing, record: Record, files: Sequence[LandedFile]) -> list[raw.Reject]:
    """Users of pages, many pages at once: a hub that is asked every hour gives thousands of small ones.

    Users have the day of their last activity; those that never were active are no activity.
    """
    users = Reader(
        f"({sql('stages', 'jupyterhub_users')})",
        {},
        {"date": "active_at::date", "cluster": "cluster", "hub": "hub", "username": "username"},
        "place",
        typed=True,
        reasons=(("not_an_object", "kind is distinct from 'OBJECT'"), ("invalid:last_activity", "active_at is null")),
        file="file",
        fetched="fetched",
    )
    rejects: list[raw.Reject] = []
    for batch in _batches(landing, files):
        con.register("landed_pages", pl.DataFrame(batch, schema=PAGE, orient="row").to_arrow())
        run(con, f"create or replace temp table user_pages as {sql('stages', 'jupyterhub_pages')}")
        con.unregister("landed_pages")
        run(con, raw.insert_statement(record, users))
        faults = run(con, "select file, fault from temp.user_pages where fault is not null")
        rejects += [(file, raw.WHOLE_FILE, fault) for file, fault in faults]
    run(con, "drop table if exists temp.user_pages")
    return rejects


def _batches(landing: Landing, files: Sequence[LandedFile]) -> Iterator[list[tuple[object, ...]]]:
    """Pages with their text, as many at once as fit."""
    batch: list[tuple[object, ...]] = []
    size = 0
    for file in files:
        batch.append(_text(landing, file))
        size += file.bytes
        if size > BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _text(landing: Landing, file: LandedFile) -> tuple[object, ...]:
    """A row of PAGE: a page and whose it is, or what is wrong with the file."""
    cluster = hub = text = fault = None
    try:
        cluster, hub = _folders(file, 2)
        with whole_file(file):
            text = content_of(landing.path(HUB_ACTIVITY.source, file), file.is_packed).decode("utf-8-sig")
    except UnreadableFileError as error:
        fault = error.reason
    return file.name, file.fetched_date, cluster, hub, text, fault


def _folders(file: LandedFile, depth: int) -> list[str]:
    """The folders that say whose activity it is, as the registry names them."""
    folders = file.name.split("/")[:-1][:depth]
    if len(folders) < depth:
        raise _unreadable(file, "no_hub_folder", "a file in no folder of a cluster (and hub)")
    return [unquote(folder) for folder in folders]


def _unreadable(file: LandedFile, reason: str, got: str) -> UnreadableFileError:
    return UnreadableFileError(
        file.name, reason=reason, got=got, expected="a page of activity in its folder", fix="Fetch it again."
    )
