"""What cluster.yaml files said one after the other to raw.hub_registry: intervals from fetches, or from a git history.

A hub's version begins when a file first shows it, and ends when that shows it otherwise or not. A file that can't be
read stands for its last version that could.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time

import polars as pl

from kpi_pipeline.contracts import table
from kpi_pipeline.errors import LandingError
from kpi_pipeline.fingerprint import fingerprint
from kpi_pipeline.landing import TORN_GZIP, LandedFile, Landing, Manifest, content_of
from kpi_pipeline.sources import cluster_yaml, git_registry
from kpi_pipeline.stages.raw import Loaded
from kpi_pipeline.warehouse import Connection, fill, run, scalar, sql, transaction

SOURCE = "hub_registry"
KIND, GIT = "cluster_yaml", "git"
Hubs = list[dict[str, str | None]]
COLUMNS: dict[str, pl.DataType | type[pl.DataType]] = {
    "seen_at": pl.Datetime("us"),
    "gone_at": pl.Datetime("us"),
    "_file": pl.String,
    "_row": pl.Int64,
    **dict.fromkeys(("cluster", "provider", "hub", *cluster_yaml.FIELDS), pl.String),
}


@dataclass
class Timeline:
    """Files as they come, change and go, told in order; what they showed, and from when to when."""

    rows: list[dict[str, object]] = field(default_factory=list)
    # What stands of each file now, and since when; which can't be read now.
    standing: dict[str, tuple[datetime, Hubs]] = field(default_factory=dict)
    unreadable: set[str] = field(default_factory=set)

    def show(self, at: datetime, file: str, hubs: Hubs | None) -> None:
        """A file says something from now on; None: nothing that can be read."""
        if hubs is None:
            self.unreadable.add(file)
            return
        self.drop(at, file)
        self.standing[file] = (at, hubs)

    def drop(self, at: datetime, file: str) -> None:
        """A file is no longer there."""
        self.unreadable.discard(file)
        if file in self.standing:
            self._end(file, at)
            del self.standing[file]

    def spells(self) -> pl.DataFrame:
        """What every file ever showed: a row per version of a file and hub in it; without an end, it still stands."""
        for file in self.standing:
            self._end(file, None)
        self.standing.clear()
        return pl.DataFrame(self.rows, schema=COLUMNS)

    def _end(self, file: str, at: datetime | None) -> None:
        since, hubs = self.standing[file]
        if at is None or since < at:
            self.rows += [
                {"seen_at": since, "gone_at": at, "_file": file, "_row": place, **hub}
                for place, hub in enumerate(hubs, 1)
            ]


def load(con: Connection, landing: Landing, since: date | None) -> Loaded:
    """Brings raw.hub_registry up to date with all fetches of cluster.yaml files, in one transaction.

    Args:
        since: from when on what the first fetch shows is taken to have been so; default: the day of that fetch.
    """
    manifests = [m for m in landing.manifests(SOURCE) if m.kind == KIND]
    files = {file.name: file for manifest in manifests for file in manifest.files}
    version = _version(since, (file for manifest in manifests for file in manifest.files))
    if _is_loaded(con, version):
        return Loaded(rows=_rows(con))
    timeline = _of_fetches(landing, manifests, since)
    return _replace(con, timeline, version, {name: file.sha256 for name, file in files.items()})


def load_history(con: Connection, landing: Landing) -> Loaded:
    """Brings raw.hub_registry up to date with the newest history of a git checkout, in one transaction."""
    files = _of_the_folder(landing.newest(SOURCE, GIT))
    version = _version(None, files.values())
    if _is_loaded(con, version):
        return Loaded(rows=_rows(con))
    timeline, versions = _of_history(landing, files)
    return _replace(con, timeline, version, versions)


def _of_the_folder(manifest: Manifest | None) -> dict[str, LandedFile]:
    """The files of the folder that kpi.toml names; until that has come through, those of the folder before."""
    if manifest is None:
        return {}
    wanted = [file for file in manifest.files if file.part and manifest.parts[file.part].is_wanted]
    return {file.name: file for file in wanted or manifest.files}


def _of_fetches(landing: Landing, manifests: list[Manifest], since: date | None) -> Timeline:
    """Each fetch lists all files that were there then."""
    timeline = Timeline()
    parsed: dict[tuple[str, str], Hubs | None] = {}
    before: dict[str, str] = {}
    at = datetime.min
    for number, manifest in enumerate(manifests):
        fetched_at = manifest.fetched_at.astimezone(UTC).replace(tzinfo=None)
        # A clock may have been set back.
        at = datetime.combine(since, time()) if number == 0 and since is not None else max(at, fetched_at)
        now = {file.name: file for file in manifest.files}
        for name in before.keys() - now.keys():
            timeline.drop(at, name)
        for name, file in now.items():
            if before.get(name) != file.sha256:
                if (name, file.sha256) not in parsed:
                    parsed[name, file.sha256] = _parse(name, _content(landing, file))
                timeline.show(at, name, parsed[name, file.sha256])
        before = {name: file.sha256 for name, file in now.items()}
    return timeline


def _of_history(landing: Landing, files: Mapping[str, LandedFile]) -> tuple[Timeline, dict[str, str]]:
    """Each commit says what changed; beside the timeline, the last content of every file there ever was."""
    timeline, last = Timeline(), dict[str, str]()
    if not files:
        return timeline, last
    history = git_registry.read_history(_content(landing, files[git_registry.HISTORY]))
    shown = {(name, blob) for entry in history for name, blob in entry.changes.items() if blob is not None}
    parsed = _parse_blobs(landing, [file for name, file in files.items() if name != git_registry.HISTORY], shown)
    for entry in history:
        at = entry.at.astimezone(UTC).replace(tzinfo=None)
        for name, blob in entry.changes.items():
            if blob is None:
                timeline.drop(at, name)
            else:
                timeline.show(at, name, parsed.get((name, blob)))
                last[name] = blob
    return timeline, last


def _parse_blobs(
    landing: Landing, files: Iterable[LandedFile], shown: Iterable[tuple[str, str]]
) -> dict[tuple[str, str], Hubs | None]:
    """Contents by name and hash: what a file says may depend on its folder."""
    names = defaultdict[str, list[str]](list)
    for name, blob in shown:
        names[blob].append(name)
    return {
        (name, blob): _parse(name, content)
        for file in files
        for blob, content in git_registry.read_blobs(_content(landing, file))
        for name in names[blob]
    }


def _parse(name: str, content: bytes) -> Hubs | None:
    try:
        return cluster_yaml.parse(name, content)
    except ValueError:
        return None


def _content(landing: Landing, file: LandedFile) -> bytes:
    path = landing.path(SOURCE, file)
    try:
        return content_of(path, file.encoding == "gzip")
    except TORN_GZIP as error:
        raise LandingError(
            path, got="a torn file", expected=f"the content of {file.name}", fix="Restore it from the backup."
        ) from error


def _version(since: date | None, files: Iterable[LandedFile]) -> str:
    return fingerprint(since, table("raw.hub_registry").name, [(file.name, file.sha256) for file in files])


def _is_loaded(con: Connection, version: str) -> bool:
    return run(con, "select distinct keying from raw.loads where source = $s", {"s": SOURCE}) == [(version,)]


def _rows(con: Connection) -> int:
    return int(scalar(con, "select count(*) from raw.hub_registry"))


def _replace(con: Connection, timeline: Timeline, version: str, hashes: Mapping[str, str]) -> Loaded:
    """Puts what the timeline tells in the place of what is in raw; `hashes` are of the files it is made of."""
    result = Loaded(files=len(hashes))
    for name in sorted(timeline.unreadable):
        result.rejected[f"not_cluster_yaml:{name}"] += 1
    con.register("registry_spells", timeline.spells().to_arrow())
    with transaction(con):
        run(con, "truncate raw.hub_registry")
        for name in ("quarantine", "loads"):
            run(con, f"delete from raw.{name} where source = $s", {"s": SOURCE})
        fill(con, table("raw.hub_registry"), sql("stages", "registry_versions"))
        for reason in result.rejected:
            code, name = reason.split(":", 1)
            con.execute("insert into raw.quarantine values (?, ?, null, ?, 'raw', null)", [SOURCE, name, code])
        # One row per file, so that raw.load forgets them all, should the registry become a table.
        rows: dict[str, int] = dict(run(con, "select _file, count(*) from raw.hub_registry group by all"))
        if hashes:
            con.executemany(
                "insert into raw.loads values (?, ?, ?, ?, ?)",
                [(SOURCE, name, sha256, version, rows.get(name, 0)) for name, sha256 in hashes.items()],
            )
    con.unregister("registry_spells")
    result.rows = _rows(con)
    return result
