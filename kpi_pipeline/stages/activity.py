"""Landed activity on hubs to raw, whatever it was landed as: tables, answers of Prometheus, users of JupyterHub.

What belongs here: which field of an answer is which column. What never does: which activity counts (staged).
"""

from dataclasses import replace
from pathlib import Path
from urllib.parse import unquote

from pydantic import SecretStr

from kpi_pipeline.contracts import HUB_ACTIVITY, Record
from kpi_pipeline.errors import UnreadableFileError
from kpi_pipeline.landing import LandedFile, Landing, unpacked
from kpi_pipeline.settings.sources import HubActivity, HubActivityPrometheus
from kpi_pipeline.stages import prometheus, raw
from kpi_pipeline.stages.reading import Reader, reader, whole_file
from kpi_pipeline.warehouse import Connection, run, sql

PROMETHEUS = ("prometheus", "prometheus_json")
JUPYTERHUB = ("jupyterhub", "jupyterhub_json")
HUB_LABEL, USERNAME_LABEL = "namespace", "annotation_hub_jupyter_org_username"


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
        if file.kind in JUPYTERHUB:
            return _jupyterhub(con, file, path)
        return reader(con, record, file, path)

    # Other labels are another version, by which answers are read anew; a table's columns go by their own names.
    record = HUB_ACTIVITY if labels == DEFAULT_LABELS else replace(HUB_ACTIVITY, labels=labels)
    loaded = raw.load(con, landing, record, secret, configured is not None, read)
    prometheus.forget_answer(con)
    return loaded


DEFAULT_LABELS = ((HUB_LABEL, "hub"), (USERNAME_LABEL, "username"))


def _prometheus(con: Connection, record: Record, file: LandedFile, path: Path) -> Reader:
    """User-days: a sample of a day, per hub and username. The first folder is the cluster."""
    samples = prometheus.reader(con, record, file, path)
    parameters = {**samples.parameters, "cluster": _folders(file, 1)[0]}
    return replace(samples, columns={**samples.columns, "cluster": "$cluster"}, parameters=parameters)


def _jupyterhub(con: Connection, file: LandedFile, path: Path) -> Reader:
    """Users with their last activity; those that never were active are no activity. Folders: cluster and hub."""
    cluster, hub = _folders(file, 2)
    with whole_file(file), unpacked(path, file.is_packed) as content:
        prometheus.put_document(con, content.read().decode("utf-8-sig"))
    [(is_json, kind)] = run(con, "select document is not null, json_type(document) from temp.answer")
    listing = "document -> '$.items'" if kind == "OBJECT" else "document"
    if not is_json:
        raise _unreadable(file, "not_json", "broken JSON, perhaps cut off")
    if run(con, f"select json_type({listing}) from temp.answer") != [("ARRAY",)]:
        raise _unreadable(file, "not_a_list", "no list of users")
    relation = sql("stages", "jupyterhub_users").replace("listing_of(document)", f"({listing})")
    return Reader(
        f"({relation})",
        {"cluster": cluster, "hub": hub},
        {"date": "active_at::date", "cluster": "$cluster", "hub": "$hub", "username": "username"},
        "place",
        typed=True,
        reasons=(("not_an_object", "kind is distinct from 'OBJECT'"), ("invalid:last_activity", "active_at is null")),
    )


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
