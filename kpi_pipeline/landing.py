"""The landing zone: what a source said, byte for byte, private, and complete or not there at all.

One folder per source: `objects/` holds contents named by their hash, `manifests/` one JSON document per fetch, written
last. A file without a manifest doesn't count. What was superseded long ago goes; what a rebuild reads never does.
Nothing here looks into a file: parsing belongs to raw.
"""

import gzip
import hashlib
import os
import threading
import zlib
from collections.abc import Collection, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import IO, Literal

from filelock import FileLock
from pydantic import BaseModel, ConfigDict, ValidationError

from kpi_pipeline.errors import LandingError

CHUNK = 1 << 20
# How many files are on their way to the disk at a time: it takes many almost as fast as one.
WRITERS = 16
# Formats that are compressed already, or that DuckDB can't read through gzip.
STORED_AS_IS = (".gz", ".parquet")
TEMPORARY = ".tmp-"


class LandedFile(BaseModel):
    """One file of a fetch.

    Args:
        name: its name in the source, with `/` between folders.
        sha256: hash of the bytes that the source gave.
        object: where they lie, relative to the source's folder.
        encoding: `gzip` where we compressed them; `identity` where they lie as delivered.
        fetched_at: when this content was first seen.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    sha256: str
    bytes: int
    object: str
    encoding: Literal["gzip", "identity"]
    fetched_at: datetime

    @property
    def fetched_date(self) -> date:
        return self.fetched_at.date()


class Manifest(BaseModel):
    """One fetch: every file that the source held then, those that had not changed included.

    Pruning takes superseded files out of it; of the newest fetch, none.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: str
    kind: str
    fetched_at: datetime
    files: tuple[LandedFile, ...]


@dataclass(frozen=True)
class Pruned:
    """What was deleted: contents, and their bytes on disk."""

    contents: int = 0
    bytes: int = 0

    def __add__(self, other: "Pruned") -> "Pruned":
        return Pruned(self.contents + other.contents, self.bytes + other.bytes)


class Landing:
    """The landing zone below one folder."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def land(self, source: str, kind: str, files: Iterable[tuple[str, Path]], fetched_at: datetime) -> Manifest | None:
        """Lands the files (name, path) of a source, and returns the manifest; None where nothing has changed.

        Raises:
            OSError: a file can't be read; nothing is landed then.
        """
        folder = self._prepare(source)
        with FileLock(folder / ".lock"):
            return self._land(folder, source, kind, files, fetched_at)

    def _land(
        self, folder: Path, source: str, kind: str, files: Iterable[tuple[str, Path]], fetched_at: datetime
    ) -> Manifest | None:
        for leftover in folder.rglob(f"{TEMPORARY}*"):
            leftover.unlink(missing_ok=True)
        previous = self.newest(source)
        known = {f.name: f for f in previous.files} if previous else {}
        with ThreadPoolExecutor(WRITERS) as pool:
            jobs = [
                pool.submit(self._land_file, folder, name, path, known.get(name), fetched_at) for name, path in files
            ]
            try:
                landed = tuple(job.result() for job in jobs)
            finally:
                pool.shutdown(cancel_futures=True)
        # Names before the manifest that needs them; once for each folder, not for each file.
        touched = {(folder / file.object).parent for file in landed if file.fetched_at == fetched_at}
        for path in sorted(touched | {folder / "objects"}):
            sync(path)
        unchanged = previous and [(f.name, f.sha256) for f in landed] == [(f.name, f.sha256) for f in previous.files]
        if previous and unchanged and previous.kind == kind:
            return None
        manifest = Manifest(source=source, kind=kind, fetched_at=fetched_at, files=landed)
        number = 1 + max((int(path.name.split("-")[0]) for path in self._manifest_paths(source)), default=0)
        with _written_aside(folder / "manifests" / f"{number:06d}-{fetched_at:%Y%m%dT%H%M%SZ}.json") as out:
            out.write(_as_json(manifest))
        sync(folder / "manifests")
        return manifest

    def manifests(self, source: str) -> list[Manifest]:
        """All fetches of a source, oldest first.

        Raises:
            LandingError: a manifest isn't what this program writes.
        """
        return [self._read_manifest(path) for path in self._manifest_paths(source)]

    def newest(self, source: str) -> Manifest | None:
        """The last fetch of a source, if there is any."""
        paths = self._manifest_paths(source)
        return self._read_manifest(paths[-1]) if paths else None

    def files(self, source: str, delivery: Literal["state", "log"]) -> list[LandedFile]:
        """The files that count, by name: of the newest fetch (`state`), or the newest version of each (`log`)."""
        if delivery == "state":
            newest = self.newest(source)
            return sorted(newest.files if newest else (), key=lambda f: f.name)
        versions = {file.name: file for manifest in self.manifests(source) for file in manifest.files}
        return [versions[name] for name in sorted(versions)]

    def prune(
        self, source: str, delivery: Literal["state", "log"], before: date, history: Collection[str] = ()
    ) -> Pruned:
        """Deletes what was superseded before a day: no rebuild reads it, and `files` stays as it is.

        A file is superseded by the next fetch (`state`), or by the next that holds a file of its name (`log`).

        Args:
            history: kinds whose every fetch counts, so that nothing of them is superseded.

        Raises:
            LandingError: a manifest isn't what this program writes; nothing is deleted then.
        """
        folder = self.root / source
        if not self._manifest_paths(source):
            return Pruned()
        with FileLock(folder / ".lock"):
            paths = self._manifest_paths(source)
            manifests = [self._read_manifest(path) for path in paths]
            kept = _without_superseded(manifests, delivery, before, history)
            # Manifests first: whenever this ends, no manifest that is left names a content that is gone.
            for path, was, manifest in zip(paths, manifests, kept, strict=True):
                if manifest.files and manifest != was:
                    with _written_aside(path) as out:
                        out.write(_as_json(manifest))
                elif manifest != was:
                    path.unlink()
            sync(folder / "manifests")
            return _delete_others(folder, {file.object for manifest in kept for file in manifest.files})

    def path(self, source: str, file: LandedFile) -> Path:
        """Where a landed file's bytes lie.

        Raises:
            LandingError: they are gone.
        """
        path = self.root / source / file.object
        if not path.is_file():
            raise LandingError(
                path,
                got="no such file",
                expected=f"the content of {file.name}, as its manifest says",
                fix="Restore the landing zone from its backup; the warehouse can be rebuilt from nothing else.",
            )
        return path

    def _manifest_paths(self, source: str) -> list[Path]:
        return sorted((self.root / source / "manifests").glob("[0-9]*.json"))

    def _prepare(self, source: str) -> Path:
        folder = self.root / source
        for part in ("objects", "manifests"):
            (folder / part).mkdir(parents=True, exist_ok=True)
        self.root.chmod(0o700)
        return folder

    def _land_file(
        self, folder: Path, name: str, path: Path, known: LandedFile | None, fetched_at: datetime
    ) -> LandedFile:
        sha256, size = _hash(path)
        if known and known.sha256 == sha256:
            return known
        as_is = name.lower().endswith(STORED_AS_IS)
        target = folder / "objects" / sha256[:2] / (sha256 if as_is else f"{sha256}.gz")
        if not target.exists():
            _copy(path, target, as_is, sha256)
        return LandedFile(
            name=name,
            sha256=sha256,
            bytes=size,
            object=str(target.relative_to(folder)),
            encoding="identity" if as_is else "gzip",
            fetched_at=fetched_at,
        )

    def _read_manifest(self, path: Path) -> Manifest:
        try:
            return Manifest.model_validate_json(path.read_bytes())
        except ValidationError as error:
            raise LandingError(
                path, got=error.errors()[0]["msg"], expected="a manifest", fix="Restore it from the backup."
            ) from error


def _as_json(manifest: Manifest) -> bytes:
    return manifest.model_dump_json(indent=1).encode()


def _without_superseded(
    manifests: list[Manifest], delivery: Literal["state", "log"], before: date, history: Collection[str]
) -> list[Manifest]:
    """The manifests, oldest first, less the files that were superseded before a day."""
    kept: list[Manifest] = []
    # Seen from the newest: when the next fetch was, and the next with a file of that name.
    next_fetch: date | None = None
    next_of_name: dict[str, date] = {}
    for manifest in reversed(manifests):
        ends = {
            file.name: next_fetch if delivery == "state" else next_of_name.get(file.name) for file in manifest.files
        }
        files = tuple(file for file in manifest.files if (end := ends[file.name]) is None or end >= before)
        kept.append(manifest if manifest.kind in history else manifest.model_copy(update={"files": files}))
        next_fetch = manifest.fetched_at.date()
        next_of_name.update(dict.fromkeys((file.name for file in manifest.files), next_fetch))
    return kept[::-1]


def _delete_others(folder: Path, wanted: Collection[str]) -> Pruned:
    """Deletes the contents that no manifest names, those included that a killed run left."""
    pruned = Pruned()
    for path in sorted((folder / "objects").rglob("*")):
        if path.is_file() and path.relative_to(folder).as_posix() not in wanted:
            pruned += Pruned(1, path.stat().st_size)
            path.unlink()
    return pruned


def _hash(path: Path) -> tuple[str, int]:
    digest, size = hashlib.sha256(), 0
    with path.open("rb") as content:
        while chunk := content.read(CHUNK):
            digest.update(chunk)
            size += len(chunk)
    return digest.hexdigest(), size


def _copy(source: Path, target: Path, as_is: bool, sha256: str) -> None:
    """Copies, and checks that what was copied is what was hashed: a file may be written to while we read it."""
    digest = hashlib.sha256()
    with _written_aside(target) as out, source.open("rb") as content:
        # mtime=0 and no name: the same content always gives the same object.
        packed = out if as_is else gzip.GzipFile("", "wb", 6, out, mtime=0)
        while chunk := content.read(CHUNK):
            digest.update(chunk)
            packed.write(chunk)
        if packed is not out:
            packed.close()
        if digest.hexdigest() != sha256:
            raise LandingError(
                source,
                got="other bytes at the second reading",
                expected="a file that is complete before it is dropped",
                fix="Write it under another name and rename it when it is whole; the next run will take it.",
            )


@contextmanager
def _written_aside(target: Path) -> Iterator[IO[bytes]]:
    """A file that appears under its name only when its content is whole and on disk; the name itself needs a sync."""
    target.parent.mkdir(parents=True, exist_ok=True)
    aside = target.with_name(f"{TEMPORARY}{os.getpid()}-{threading.get_ident()}-{target.name}")
    try:
        with aside.open("wb") as out:
            yield out
            out.flush()
            os.fsync(out.fileno())
        aside.replace(target)
    finally:
        aside.unlink(missing_ok=True)


def sync(path: Path) -> None:
    """What was written to a file, or renamed and removed in a folder, stays so after a power cut."""
    opened = os.open(path, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


@contextmanager
def unpacked(path: Path, compressed: bool) -> Iterator[IO[bytes]]:
    """The bytes of a landed text file; reading a torn one raises one of TORN_GZIP."""
    with gzip.open(path, "rb") if compressed else path.open("rb") as content:
        yield content  # type: ignore[misc]


def content_of(path: Path, compressed: bool) -> bytes:
    """All of a landed file at once; reading a torn one raises one of TORN_GZIP."""
    content = path.read_bytes()
    return gzip.decompress(content) if compressed else content


TORN_GZIP = (EOFError, gzip.BadGzipFile, zlib.error)
