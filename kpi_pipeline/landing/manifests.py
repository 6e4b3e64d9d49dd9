"""Manifests on disk: read once, written last. What they list is no affair of this module."""

from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

from pydantic import ValidationError

from kpi_pipeline.errors import LandingError
from kpi_pipeline.landing.disk import sync, written_aside
from kpi_pipeline.landing.model import Manifest


def paths(folder: Path) -> list[Path]:
    """The manifests of a source's folder, oldest first."""
    return sorted((folder / "manifests").glob("[0-9]*.json"))


def read(path: Path) -> Manifest:
    """One fetch.

    Raises:
        LandingError: it isn't what this program writes.
    """
    found = path.stat()
    return _read(path, found.st_mtime_ns, found.st_size)


@lru_cache(maxsize=4096)
def _read(path: Path, _modified: int, _size: int) -> Manifest:
    """Read once: a run asks for the same manifests at many of its steps."""
    try:
        manifest = Manifest.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise LandingError(
            path, got=error.errors()[0]["msg"], expected="a manifest", fix="Restore it from the backup."
        ) from error
    files = tuple(file.model_copy(update={"kind": manifest.kind}) for file in manifest.files)
    return manifest.model_copy(update={"files": files})


def newest(folder: Path, kind: str | None = None) -> Manifest | None:
    """The last fetch; with a kind: the last of that kind."""
    return next(newest_first(folder, kind), None)


def newest_first(folder: Path, kind: str | None = None) -> Iterator[Manifest]:
    """Fetches, the newest first."""
    for path in reversed(paths(folder)):
        manifest = read(path)
        if kind is None or manifest.kind == kind:
            yield manifest


def add(folder: Path, manifest: Manifest) -> None:
    """Writes a manifest as the newest. What it names must be on disk by then: from here on it counts."""
    before = paths(folder)
    number = 1 + max((int(path.name.split("-")[0]) for path in before), default=0)
    replace(folder / "manifests" / f"{number:06d}-{manifest.fetched_at:%Y%m%dT%H%M%SZ}.json", manifest)
    sync(folder / "manifests")
    _forget_parts(before, manifest)


def _forget_parts(before: list[Path], manifest: Manifest) -> None:
    """How far parts had come is read of the newest manifest only; each of hundreds would say it all again."""
    superseded = next((path for path in reversed(before) if read(path).kind == manifest.kind), None)
    if manifest.parts and superseded is not None and (was := read(superseded)).parts:
        replace(superseded, was.model_copy(update={"parts": {}}))


def replace(path: Path, manifest: Manifest) -> None:
    """Writes a manifest under its name."""
    with written_aside(path) as out:
        out.write(manifest.model_dump_json(indent=1, exclude_defaults=True).encode())
