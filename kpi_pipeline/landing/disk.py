"""Bytes on disk: written aside and renamed, packed, hashed, read again. What is written is no affair of this module."""

import errno
import gzip
import hashlib
import os
import threading
import zlib
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from kpi_pipeline.errors import LandingError

CHUNK = 1 << 20
# Formats that are compressed already, or that DuckDB can't read through gzip.
STORED_AS_IS = (".gz", ".parquet")
TEMPORARY = ".tmp-"
TORN_GZIP = (EOFError, gzip.BadGzipFile, zlib.error)
# What a disk says that takes no more, and no server.
FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO})


@contextmanager
def on_our_disk(folder: Path, only: Collection[int] | None = None) -> Iterator[None]:
    """What the disk refuses is no fault of a part or a source: nothing more can be kept.

    Args:
        only: the numbers of errors that are surely the disk's, where others happen too.

    Raises:
        LandingError: the disk refuses something.
    """
    try:
        yield
    except OSError as error:
        if only is not None and error.errno not in only:
            raise
        raise LandingError(
            folder,
            got=error.strerror or type(error).__name__,
            expected="room to keep what a source answers",
            fix="Make room, or mend the disk; the next run goes on where this one stopped.",
        ) from error


def place_of(folder: Path, sha256: str, *, as_is: bool) -> Path:
    """Where a content of this hash lies in a source's folder."""
    return folder / "objects" / sha256[:2] / (sha256 if as_is else f"{sha256}.gz")


def hashed(path: Path) -> tuple[str, int]:
    """SHA-256 and size of a file."""
    digest, size = hashlib.sha256(), 0
    with path.open("rb") as content:
        while chunk := content.read(CHUNK):
            digest.update(chunk)
            size += len(chunk)
    return digest.hexdigest(), size


def copy(source: Path, target: Path, sha256: str, *, as_is: bool) -> None:
    """Copies, and checks that what was copied is what was hashed: a file may be written to while we read it.

    Raises:
        LandingError: it isn't.
    """
    digest = hashlib.sha256()
    with written_aside(target) as out, source.open("rb") as content:
        with _packed(out, as_is=as_is) as packed:
            while chunk := content.read(CHUNK):
                digest.update(chunk)
                packed.write(chunk)
        if digest.hexdigest() != sha256:
            raise LandingError(
                source,
                got="other bytes at the second reading",
                expected="a file that is complete before it is dropped",
                fix="Write it under another name and rename it when it is whole; the next run will take it.",
            )


def write_packed(target: Path, content: bytes) -> None:
    """Writes bytes as gzip; the same bytes always give the same file."""
    with written_aside(target) as out, _packed(out, as_is=False) as packed:
        packed.write(content)


@contextmanager
def _packed(out: IO[bytes], *, as_is: bool) -> Iterator[IO[bytes]]:
    if as_is:
        yield out
        return
    # mtime=0 and no name: the same content always gives the same object.
    with gzip.GzipFile("", "wb", 6, out, mtime=0) as packed:
        yield packed  # type: ignore[misc]


@contextmanager
def written_aside(target: Path) -> Iterator[IO[bytes]]:
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
