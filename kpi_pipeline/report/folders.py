"""Folders of output that are built aside and swapped in as one. What is in them is their builders' affair."""

import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock

from kpi_pipeline.landing import sync

ASIDE = ".next"
SYNCED_TOGETHER = 16


@contextmanager
def replaced(folder: Path) -> Iterator[Path]:
    """An empty folder to build in; when all went well it is what readers find at `folder`.

    `folder` is a link to a version that stands beside it in a hidden folder: one rename changes all of its files. The
    version before stays, for readers that have begun with it. Whoever comes second waits.
    """
    versions = folder.parent / f".{folder.name}"
    versions.mkdir(parents=True, exist_ok=True)
    with FileLock(versions / "lock"):
        aside = versions / ASIDE
        shutil.rmtree(aside, ignore_errors=True)
        aside.mkdir()
        yield aside
        _swap_in(aside, versions, folder)


def _swap_in(aside: Path, versions: Path, folder: Path) -> None:
    # Many at a time: a busy disk takes as long for one as for all that wait together.
    with ThreadPoolExecutor(SYNCED_TOGETHER) as pool:
        list(pool.map(sync, (aside, *aside.rglob("*"))))
    before = folder.resolve().name
    last = max((int(path.name) for path in versions.glob("[0-9]*")), default=0)
    if folder.is_dir() and not folder.is_symlink():
        # Made by hand: kept as if it had been the version before.
        last, before = last + 1, f"{last + 1:06d}"
        folder.replace(versions / before)
    version = versions / f"{last + 1:06d}"
    aside.replace(version)
    sync(versions)
    link = versions / "link"
    link.unlink(missing_ok=True)
    # Relative to where it will lie.
    link.symlink_to(f"{versions.name}/{version.name}")
    link.replace(folder)
    sync(folder.parent)
    for path in versions.glob("[0-9]*"):
        if path.name not in (version.name, before):
            shutil.rmtree(path)
