"""Folders of output change as one, and a build that fails changes nothing."""

from pathlib import Path

import pytest

from kpi_pipeline.report import folders
from kpi_pipeline.report.folders import replaced


def build(folder: Path, text: str) -> None:
    with replaced(folder) as aside:
        (aside / "in").mkdir()
        for name in ("a.txt", "in/b.txt"):
            (aside / name).write_text(text)


def found(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.rglob("*.txt")}


def test_every_build_replaces_all_files(tmp_path: Path) -> None:
    folder = tmp_path / "packs" / "2026Q3"
    for text in ("one", "two", "three"):
        build(folder, text)
        assert found(folder) == {"a.txt": text, "b.txt": text}
    versions = [path for path in (tmp_path / "packs" / ".2026Q3").iterdir() if path.is_dir()]
    assert len(versions) == 2, "the one before stays for its readers"


def test_a_reader_goes_on_with_the_version_that_it_began_with(tmp_path: Path) -> None:
    folder = tmp_path / "exports"
    build(folder, "one")
    begun = folder.resolve()
    build(folder, "two")
    assert found(begun) == {"a.txt": "one", "b.txt": "one"}


def build_half(folder: Path) -> None:
    with replaced(folder) as aside:
        (aside / "a.txt").write_text("half")
        raise RuntimeError


def test_a_build_that_fails_changes_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "exports"
    build(folder, "one")
    with pytest.raises(RuntimeError):
        build_half(folder)
    assert found(folder) == {"a.txt": "one", "b.txt": "one"}
    build(folder, "two")
    assert found(folder) == {"a.txt": "two", "b.txt": "two"}


def test_everything_is_on_disk_before_it_is_swapped_in(tmp_path: Path) -> None:
    folder = tmp_path / "exports"
    build(folder, "one")
    synced: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(folders, "sync", lambda path: synced.append(path.name))
        build(folder, "two")
    assert sorted(synced[:4]) == [".next", "a.txt", "b.txt", "in"]


def test_what_cannot_be_synced_is_not_swapped_in(tmp_path: Path) -> None:
    folder = tmp_path / "exports"
    build(folder, "one")

    def fail(path: Path) -> None:
        if path.name == "b.txt":
            raise OSError(5, "Input/output error")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(folders, "sync", fail)
        with pytest.raises(OSError, match="Input/output"):
            build(folder, "two")
    assert found(folder) == {"a.txt": "one", "b.txt": "one"}


@pytest.mark.parametrize("killed_at", ["replace", "symlink_to", "unlink"])
def test_a_killed_swap_is_mended_by_the_next(tmp_path: Path, killed_at: str) -> None:
    folder = tmp_path / "exports"
    build(folder, "one")

    def die(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Path, killed_at, die)
        with pytest.raises(KeyboardInterrupt):
            build(folder, "two")
    assert found(folder) == {"a.txt": "one", "b.txt": "one"}
    build(folder, "three")
    assert found(folder) == {"a.txt": "three", "b.txt": "three"}


def test_a_folder_of_plain_files_is_replaced_and_kept_once(tmp_path: Path) -> None:
    folder = tmp_path / "exports"
    folder.mkdir()
    (folder / "a.txt").write_text("made by hand")
    build(folder, "one")
    assert found(folder) == {"a.txt": "one", "b.txt": "one"}
    assert [path.read_text() for path in tmp_path.rglob(".exports/000001/a.txt")] == ["made by hand"]


def test_the_folder_may_be_moved(tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    build(tmp_path / "here" / "exports", "one")
    (tmp_path / "here").rename(tmp_path / "there")
    assert found(tmp_path / "there" / "exports") == {"a.txt": "one", "b.txt": "one"}
