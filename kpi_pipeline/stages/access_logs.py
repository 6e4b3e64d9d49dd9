"""Access logs from landing to facts: which lines are landings of nbgitpuller links, and which of those are clicks.

What belongs here: the formats of log lines (nginx's combined one, JupyterHub's). What never does: any other request.
"""

from pathlib import Path

from pydantic import SecretStr

from kpi_pipeline.contracts import Record, table
from kpi_pipeline.contracts.clicks import ACCESS_LOGS
from kpi_pipeline.errors import UnreadableFileError
from kpi_pipeline.landing import LandedFile, Landing
from kpi_pipeline.stages import raw
from kpi_pipeline.stages.reading import NO_DELIMITER, Reader, count_lines, whole_file
from kpi_pipeline.warehouse import Connection, fill, run, scalar, sql, transaction

SOURCE = ACCESS_LOGS.source
CLUSTER_AND_HUB = 2
MOST_AT_ONCE = 4  # Each has buffers of its own.
# How a line of each format begins. Only JupyterHub's begins with a bracket.
NGINX = r'^\S+ \S+ [^\[]*\[\d{2}/\w{3}/\d{4}:[\d:]{8} [+-]\d{4}\] "'
JUPYTERHUB = r"^\[[A-Z] \d{4}-\d{2}-\d{2} [\d:]{8}[.,]\d{3} "


def load(con: Connection, landing: Landing, secret: SecretStr | None, connected: bool) -> raw.Loaded:
    """Brings raw.access_logs up to date. The rows of one file take one thread, so several are read at once."""
    at_once = min(MOST_AT_ONCE, scalar(con, "select current_setting('threads')"))
    return raw.load(con, landing, ACCESS_LOGS, secret, connected, reader, at_once)


def reader(_con: Connection, _record: Record, file: LandedFile, path: Path) -> Reader:
    """The reader of a log file.

    Raises:
        UnreadableFileError: it lies in no hub's folder, is empty, or torn.
    """
    folders = file.name.split("/")[:-1]
    if len(folders) < CLUSTER_AND_HUB:
        raise _unreadable(file, "no_hub_folder", "another place")
    if file.bytes == 0:
        raise _unreadable(file, "empty_file", "0 bytes")
    packed = file.encoding == "gzip" or file.name.lower().endswith(".gz")
    with whole_file(file):
        lines = count_lines(path, packed)
    parameters: dict[str, object] = {
        "path": str(path),
        "compression": "gzip" if packed else "none",
        "delimiter": NO_DELIMITER,
        "cluster": folders[0],
        "hub": folders[1],
        "nginx": NGINX,
        "jupyterhub": JUPYTERHUB,
    }
    columns = {column.name: column.name for column in ACCESS_LOGS.columns}
    reasons = [
        ("not_a_log_line", "format is null"),
    ]
    return Reader(f"({sql('stages', 'log_lines')})", parameters, columns, "line_number", True, tuple(reasons), lines)


def _unreadable(file: LandedFile, reason: str, got: str) -> UnreadableFileError:
    return UnreadableFileError(
        file.name, reason=reason, got=got, expected="<cluster>/<hub>/<file>", fix="Deliver it again in its place."
    )


def count_clicks(con: Connection) -> None:
    """Rebuilds facts.nbgitpuller_hits from raw, in one transaction; landings on hubs that aren't known are rejected."""
    with transaction(con):
        run(con, "delete from raw.quarantine where source = $source and stage = 'staged'", {"source": SOURCE})
        fill(
            con,
            table("raw.quarantine"),
            "select $source as source, r._file as file, r._row as row, 'staged' as stage, r.date, "
            "'unknown_hub' as reason from raw.access_logs r "
            "where r.cluster || '/' || r.hub not in (select hub_id from staged.hubs)",
            {"source": SOURCE},
        )
        run(con, "truncate facts.nbgitpuller_hits")
        fill(con, table("facts.nbgitpuller_hits"), sql("stages", "nbgitpuller_hits"))
