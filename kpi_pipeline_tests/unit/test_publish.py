"""What is published changes as one, whenever a run is killed, and whoever reads goes on reading."""

import contextlib
import os
import shutil
from pathlib import Path

import duckdb
import pytest

from kpi_pipeline.stages.publish import close_month, swap_in

NAMES = ("kpis.duckdb", "hubs.parquet", "kpi_values.parquet")


def build(root: Path, night: str, names: tuple[str, ...] = NAMES) -> Path:
    built = root / "published" / ".next"
    built.mkdir(parents=True)
    for name in names:
        (built / name).write_text(night)
    return built


def publish(root: Path, night: str, names: tuple[str, ...] = NAMES) -> None:
    swap_in(build(root, night, names), root / "published")


def found(root: Path) -> dict[str, str]:
    """What somebody who lists the folder can read."""
    return {path.name: path.read_text() for path in (root / "published").iterdir() if path.is_file()}


def test_every_night_replaces_all_files(tmp_path: Path) -> None:
    for night in ("monday", "tuesday", "wednesday"):
        publish(tmp_path, night)
        assert found(tmp_path) == dict.fromkeys(NAMES, night)
    assert len(list((tmp_path / "published" / ".snapshots").iterdir())) == 2
    assert not (tmp_path / "published" / ".next").exists()


class Killed(BaseException):
    """As if the process had ended there."""


CHANGES = ("replace", "mkdir", "symlink_to", "unlink")


def kill_after(patch: pytest.MonkeyPatch, changes: int) -> None:
    """Lets so many changes of the disk happen, and no more."""
    left = [changes]

    def limited(name: str) -> None:
        real = getattr(Path, name)

        def change(self: Path, *args: object, **kwargs: object) -> object:
            if not left[0]:
                raise Killed
            left[0] -= 1
            return real(self, *args, **kwargs)

        patch.setattr(Path, name, change)

    for name in CHANGES:
        limited(name)


def test_a_killed_run_leaves_one_night_and_the_next_run_mends_it(tmp_path: Path) -> None:
    nights = set()
    for killed_after in range(20):
        root = tmp_path / str(killed_after)
        publish(root, "monday")
        built = build(root, "tuesday")
        with pytest.MonkeyPatch.context() as patch:
            kill_after(patch, killed_after)
            try:
                swap_in(built, root / "published")
                finished = True
            except Killed:
                finished = False
        (night,) = set(found(root).values())
        nights.add((night, finished))
        assert set(found(root)) == set(NAMES)
        shutil.rmtree(root / "published" / ".next", ignore_errors=True)
        publish(root, "wednesday")
        assert found(root) == dict.fromkeys(NAMES, "wednesday")
    assert {("monday", False), ("tuesday", True)} <= nights


@pytest.mark.parametrize("killed_after", range(15))
def test_a_killed_first_run_is_mended_too(tmp_path: Path, killed_after: int) -> None:
    built = build(tmp_path, "monday")
    with pytest.MonkeyPatch.context() as patch, contextlib.suppress(Killed):
        kill_after(patch, killed_after)
        swap_in(built, tmp_path / "published")
    assert set(found(tmp_path).values()) <= {"monday"}
    shutil.rmtree(built, ignore_errors=True)
    publish(tmp_path, "tuesday")
    assert found(tmp_path) == dict.fromkeys(NAMES, "tuesday")


def test_plain_files_of_before_become_links(tmp_path: Path) -> None:
    folder = tmp_path / "published"
    folder.mkdir()
    for name in NAMES:
        (folder / name).write_text("an older version of the program")
    publish(tmp_path, "monday")
    assert found(tmp_path) == dict.fromkeys(NAMES, "monday")
    publish(tmp_path, "tuesday")
    assert found(tmp_path) == dict.fromkeys(NAMES, "tuesday")


def test_a_table_that_comes_or_goes(tmp_path: Path) -> None:
    publish(tmp_path, "monday", ("kpis.duckdb", "old.parquet"))
    publish(tmp_path, "tuesday", ("kpis.duckdb", "new.parquet"))
    assert found(tmp_path) == {"kpis.duckdb": "tuesday", "new.parquet": "tuesday"}
    assert not os.path.lexists(tmp_path / "published" / "old.parquet")


def test_the_folder_may_be_moved(tmp_path: Path) -> None:
    publish(tmp_path / "here", "monday")
    (tmp_path / "here").rename(tmp_path / "there")
    assert found(tmp_path / "there") == dict.fromkeys(NAMES, "monday")
    publish(tmp_path / "there", "tuesday")
    assert found(tmp_path / "there") == dict.fromkeys(NAMES, "tuesday")


def test_a_reader_with_the_old_database_open_goes_on(tmp_path: Path) -> None:
    folder = tmp_path / "published"

    def night(number: int) -> None:
        built = folder / ".next"
        built.mkdir(parents=True)
        with duckdb.connect(str(built / "kpis.duckdb")) as con:
            con.execute("create table nights as select ? as night, range as row from range(100000)", [number])
            con.execute(f"copy nights to '{built / 'nights.parquet'}' (format parquet)")
        swap_in(built, folder)

    night(1)
    question = "select min(night), max(night), count(*) from nights"
    with duckdb.connect(str(folder / "kpis.duckdb"), read_only=True) as reader:
        snapshot = (folder / ".current").resolve()
        for number in (2, 3, 4):
            night(number)
            if number == 2:
                # One night, as long as it is the current one or the one before.
                nights = f"select distinct night from '{snapshot / 'nights.parquet'}'"
                assert reader.execute(nights).fetchall() == [(1,)]
        assert reader.execute(question).fetchall() == [(1, 1, 100000)]
    with duckdb.connect(str(folder / "kpis.duckdb"), read_only=True) as reader:
        assert reader.execute(question).fetchall() == [(4, 4, 100000)]
        assert reader.execute(f"select distinct night from '{folder / 'nights.parquet'}'").fetchall() == [(4,)]


def test_a_closed_month_stays_as_it_was_reported(tmp_path: Path) -> None:
    folder = tmp_path / "published"
    publish(tmp_path, "october")
    assert close_month(folder, "2026-10")
    publish(tmp_path, "restated")
    assert not close_month(folder, "2026-10")
    closed = folder / "closed" / "2026-10"
    assert {path.name: path.read_text() for path in closed.iterdir()} == dict.fromkeys(NAMES, "october")
    assert found(tmp_path) == dict.fromkeys(NAMES, "restated")
    # Whole files, that no later night takes away.
    assert not any(path.is_symlink() for path in closed.iterdir())


@pytest.mark.parametrize("killed_after", range(4))
def test_a_month_is_closed_whole_or_not_at_all(tmp_path: Path, killed_after: int) -> None:
    folder = tmp_path / "published"
    publish(tmp_path, "october")
    with pytest.MonkeyPatch.context() as patch, contextlib.suppress(Killed):
        kill_after(patch, killed_after)
        close_month(folder, "2026-10")
    close_month(folder, "2026-10")
    assert {path.name for path in (folder / "closed").iterdir()} == {"2026-10"}
    assert {path.read_text() for path in (folder / "closed" / "2026-10").iterdir()} == {"october"}
