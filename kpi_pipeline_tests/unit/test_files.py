"""Which files of a drop count."""

from pathlib import Path

import pytest

from kpi_pipeline.errors import SourceError
from kpi_pipeline.sources.files import list_files


def test_every_file_below_the_folder_by_its_name_there(tmp_path: Path) -> None:
    for name in ("b.csv", "2025/a.csv", "2025/07/c.csv", "README.md", "2025/.hidden", ".git/config", "2025/_SUCCESS"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x")
    assert list_files("people", tmp_path) == [
        (name, tmp_path / name) for name in ("2025/07/c.csv", "2025/a.csv", "b.csv")
    ]


def test_a_linked_file_counts_and_a_linked_folder_does_not(tmp_path: Path) -> None:
    """A link to a folder above would never end."""
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "a.csv").write_text("x")
    drop = tmp_path / "drop"
    drop.mkdir()
    (drop / "linked.csv").symlink_to(tmp_path / "kept" / "a.csv")
    (drop / "gone.csv").symlink_to(tmp_path / "kept" / "b.csv")
    (drop / "folder").symlink_to(tmp_path / "kept")
    (drop / "above").symlink_to(tmp_path)
    assert [name for name, _ in list_files("people", drop)] == ["linked.csv"]


def test_a_single_file_is_a_drop(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("x")
    assert list_files("people", path) == [("a.csv", path)]


def test_nothing_that_counts_is_an_error_that_names_the_source(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("x")
    with pytest.raises(SourceError, match=r"source people: .*an empty folder"):
        list_files("people", tmp_path)
    with pytest.raises(SourceError, match=r"source people: .*no such file or folder"):
        list_files("people", tmp_path / "elsewhere")
