"""File drops: which files a folder (or a single path) holds. Their content is read by raw, from the landing zone."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

from kpi_pipeline.errors import SourceError
from kpi_pipeline.sources import junit, sarif

TABLE_SUFFIXES = (
    *(f"{kind}{gz}" for kind in (".csv", ".json", ".ndjson", ".jsonl") for gz in ("", ".gz")),
    ".parquet",
)
# What people and tools leave beside data.
NOT_DATA = ("readme", "readme.md", "readme.txt", "_success")


def list_files(source: str, path: Path) -> list[tuple[str, Path]]:
    """Name and path of every file of a drop, sorted by name; hidden files and READMEs are left out.

    Raises:
        SourceError: there is no such path, or nothing in it.
    """
    if path.is_file():
        return [(path.name, path)]
    if not path.is_dir():
        raise SourceError(
            f"source {source}: {path}",
            got="no such file or folder",
            expected=f"the files of {source}",
            fix=f"Mend [sources.{source}] path in kpi.toml (it is relative to kpi.toml), or deliver the files. "
            "To run from what was landed before: kpi run --replay.",
        )
    found = {name: p for name, p in _files_below(path) if is_data(name)}
    if not found:
        raise SourceError(
            f"source {source}: {path}",
            got="an empty folder",
            expected="at least one file",
            fix=f"Deliver the files of {source}, or remove [sources.{source}] from kpi.toml if it isn't connected.",
        )
    return sorted(found.items())


def _files_below(folder: Path, within: str = "") -> Iterator[tuple[str, Path]]:
    """Names and paths; a linked file counts, a linked folder doesn't: it could lead anywhere."""
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                yield from _files_below(Path(entry.path), f"{within}{entry.name}/")
            elif entry.is_file():
                yield f"{within}{entry.name}", Path(entry.path)


def list_cluster_yaml(source: str, path: Path) -> list[tuple[str, Path]]:
    """Every `<cluster>/cluster.yaml` below a folder.

    Raises:
        SourceError: there is none.
    """
    found = [(name, p) for name, p in list_files(source, path) if p.name in ("cluster.yaml", "cluster.yml")]
    if not found:
        raise SourceError(
            f"source {source}: {path}",
            got="no file named cluster.yaml",
            expected="a folder of <cluster>/cluster.yaml files",
            fix=f"Point [sources.{source}] path at the folder that holds the clusters' folders.",
        )
    return found


def list_junit(source: str, path: Path) -> list[tuple[str, Path]]:
    """Every XML file below a folder: what else CI leaves there is no report.

    Raises:
        SourceError: there is none.
    """
    return _with_suffix(source, path, junit.SUFFIXES)


def list_sarif(source: str, path: Path) -> list[tuple[str, Path]]:
    """Every SARIF file and table below a folder.

    Raises:
        SourceError: there is none.
    """
    return _with_suffix(source, path, (*sarif.SUFFIXES, *TABLE_SUFFIXES))


# How to list the files of a kind of source; of other kinds, every file counts.
LIST_KINDS: dict[str, Callable[[str, Path], list[tuple[str, Path]]]] = {
    "cluster_yaml": list_cluster_yaml,
    "junit": list_junit,
    "sarif": list_sarif,
}


def _with_suffix(source: str, path: Path, suffixes: tuple[str, ...]) -> list[tuple[str, Path]]:
    found = [(name, p) for name, p in list_files(source, path) if name.lower().endswith(suffixes)]
    if not found:
        raise SourceError(
            f"source {source}: {path}",
            got=f"no file that ends with {' or '.join(suffixes)}",
            expected=f"the reports of {source}",
            fix=f"Point [sources.{source}] path at the folder that holds the teams' folders.",
        )
    return found


def is_data(name: str) -> bool:
    """Whether a file of a drop counts by its name, with its folders: neither hidden nor a README."""
    *folders, file = name.split("/")
    hidden = any(part.startswith(".") for part in (*folders, file))
    return not hidden and file.lower() not in NOT_DATA
