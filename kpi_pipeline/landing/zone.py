"""The landing zone below one folder: fetches go in whole, and can be read again. What a file says is raw's affair."""

import os
from collections.abc import Collection, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Literal

from filelock import FileLock, Timeout

from kpi_pipeline.errors import LandingError
from kpi_pipeline.landing import manifests
from kpi_pipeline.landing.disk import STORED_AS_IS, TEMPORARY, copy, hashed, on_our_disk, place_of, sync
from kpi_pipeline.landing.journal import OpenFetch, objects_of_open_fetch
from kpi_pipeline.landing.model import LandedFile, Manifest

# How many files are on their way to the disk at a time: it takes many almost as fast as one.
WRITERS = 16
SMALL_BYTES = 1 << 20
LOCK_SECONDS = 600.0


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
        with _alone(folder):
            return self._land(folder, source, kind, files, fetched_at)

    def _land(
        self, folder: Path, source: str, kind: str, files: Iterable[tuple[str, Path]], fetched_at: datetime
    ) -> Manifest | None:
        _delete_leftovers(folder)
        previous = self.newest(source)
        known = {f.name: f for f in previous.files} if previous else {}
        with ThreadPoolExecutor(WRITERS) as pool:
            jobs = [
                _kept(path, known.get(name))
                or pool.submit(self._land_file, folder, name, path, known.get(name), fetched_at)
                for name, path in files
            ]
            try:
                landed = tuple(job.result() if isinstance(job, Future) else job for job in jobs)
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
        manifests.add(folder, manifest)
        return manifest

    @contextmanager
    def fetch(self, source: str, kind: str) -> Iterator[OpenFetch]:
        """A fetch from a live source: what came is kept as it comes, so that one that was killed goes on.

        Nothing of it counts before it is committed.

        Raises:
            LandingError: another run has been at it for long, or the disk is full.
        """
        with on_our_disk(self.root / source):
            folder = self._prepare(source)
            with _alone(folder):
                _delete_leftovers(folder)
                with OpenFetch(folder, source, kind) as fetch:
                    yield fetch

    def manifests(self, source: str) -> list[Manifest]:
        """All fetches of a source, oldest first.

        Raises:
            LandingError: a manifest isn't what this program writes.
        """
        return [manifests.read(path) for path in manifests.paths(self.root / source)]

    def newest(self, source: str, kind: str | None = None) -> Manifest | None:
        """The last fetch of a source (of a kind), if there is any."""
        return manifests.newest(self.root / source, kind)

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
        if not manifests.paths(folder):
            return Pruned()
        with _alone(folder):
            paths = manifests.paths(folder)
            fetches = [manifests.read(path) for path in paths]
            kept = _without_superseded(fetches, delivery, before, history)
            # Manifests first: whenever this ends, no manifest that is left names a content that is gone.
            for path, was, manifest in zip(paths, fetches, kept, strict=True):
                is_past = path != paths[-1] and manifest.fetched_at.date() < before
                if not manifest.files and (was.files or is_past):
                    path.unlink()
                elif manifest != was:
                    manifests.replace(path, manifest)
            sync(folder / "manifests")
            wanted = {file.object for manifest in kept for file in manifest.files}
            return _delete_others(folder, wanted | objects_of_open_fetch(folder))

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

    def _prepare(self, source: str) -> Path:
        folder = self.root / source
        for part in ("objects", "manifests"):
            (folder / part).mkdir(parents=True, exist_ok=True)
        self.root.chmod(0o700)
        return folder

    def _land_file(
        self, folder: Path, name: str, path: Path, known: LandedFile | None, fetched_at: datetime
    ) -> LandedFile:
        sha256, size = hashed(path)
        if known and known.sha256 == sha256:
            return known
        as_is = name.lower().endswith(STORED_AS_IS)
        target = place_of(folder, sha256, as_is=as_is)
        if not target.exists():
            copy(path, target, sha256, as_is=as_is)
        return LandedFile(
            name=name,
            sha256=sha256,
            bytes=size,
            object=str(target.relative_to(folder)),
            encoding="identity" if as_is else "gzip",
            fetched_at=fetched_at,
        )


def _kept(path: Path, known: LandedFile | None) -> LandedFile | None:
    """What is known of a small file, if it is the same. Of thousands of them, threads would wait for each other."""
    is_small = known is not None and path.stat().st_size == known.bytes <= SMALL_BYTES
    return known if known and is_small and hashed(path)[0] == known.sha256 else None


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """One run at a time fetches a source, or prunes it.

    Raises:
        LandingError: another one has been at it for long.
    """
    try:
        with FileLock(folder / ".lock", timeout=LOCK_SECONDS):
            yield
    except Timeout as error:
        raise LandingError(
            folder,
            got=f"another run that has fetched {folder.name} for more than {LOCK_SECONDS:.0f} seconds",
            expected="one run at a time",
            fix="Wait until it is through, or look in the Dagster UI for one that hangs.",
        ) from error


def _delete_leftovers(folder: Path) -> None:
    for leftover in folder.rglob(f"{TEMPORARY}*"):
        leftover.unlink(missing_ok=True)


def _without_superseded(
    fetches: list[Manifest], delivery: Literal["state", "log"], before: date, history: Collection[str]
) -> list[Manifest]:
    """The manifests, oldest first, less the files that were superseded before a day."""
    kept: list[Manifest] = []
    # Seen from the newest: when the next fetch was, and the next with a file of that name.
    next_fetch: date | None = None
    next_of_name: dict[str, date] = {}
    for manifest in reversed(fetches):
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
    for place, _, names in os.walk(folder / "objects"):
        within = Path(place).relative_to(folder).as_posix()
        for path in [Path(place, name) for name in names if f"{within}/{name}" not in wanted]:
            pruned += Pruned(1, path.stat().st_size)
            path.unlink()
    return pruned
