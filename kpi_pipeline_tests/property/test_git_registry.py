"""The registry of a git history: intervals are what looking at all files after every commit gives."""

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import duckdb
from hypothesis import given, settings
from hypothesis import strategies as st

from kpi_pipeline_tests.live.repositories import Told, repository
from kpi_pipeline_tests.live.test_git import BROKEN, at, day, nights, quarantined, said

# Few of everything, so that they meet, change and come back. None: the cluster has its folder's name.
FOLDERS, NAMES, HUBS, SHOWN = "abc", ("a", "b", None), "xyz", "PQ"
Hubs = dict[str, str]


@dataclass(frozen=True)
class File:
    """A cluster.yaml; without hubs: a broken one."""

    name: str | None
    hubs: tuple[tuple[str, str], ...] | None

    @property
    def content(self) -> str:
        if self.hubs is None:
            return BROKEN
        lines = [f"name: {self.name}"] if self.name else []
        lines += ["hubs: []"] if not self.hubs else ["hubs:"]
        lines += [f"  - {{name: {hub}, display_name: {shown}}}" for hub, shown in self.hubs]
        return "\n".join(lines) + "\n"


FILES = st.builds(
    File,
    st.sampled_from(NAMES),
    st.none() | st.dictionaries(st.sampled_from(HUBS), st.sampled_from(SHOWN), max_size=3).map(lambda h: (*h.items(),)),
)
# Minutes since the commit before (back, too), and what it writes, removes or moves.
COMMITS = st.lists(
    st.tuples(
        st.integers(-3, 6),
        st.dictionaries(st.sampled_from(FOLDERS), st.none() | FILES, max_size=2),
        st.none() | st.tuples(st.sampled_from(FOLDERS), st.sampled_from(FOLDERS)),
        st.booleans(),
    ),
    max_size=9,
)
Commit = tuple[int, dict[str, File | None], tuple[str, str] | None, bool]
KEPT = File("kept", (("always", "Always"),))


def histories(commits: list[Commit]) -> Iterator[tuple[datetime, dict[str, File], bool]]:
    """After every commit: its date, all files that are there, and whether it comes by a merge."""
    moment, files = day(2), {"kept": KEPT}
    yield moment, files, False
    for minutes, changes, move, is_merged in commits:
        moment += timedelta(minutes=minutes)
        files = dict(files)
        if move and move[0] in files:
            files[move[1]] = files.pop(move[0])
        for folder, file in changes.items():
            if file is None:
                files.pop(folder, None)
            else:
                files[folder] = file
        yield moment, files, is_merged


def told(commits: list[Commit]) -> list[Told]:
    """The same as commits; some are made on a branch an hour before, and merged."""
    found, before = list[Told](), dict[str, File]()
    for number, (moment, files, is_merged) in enumerate(histories(commits)):
        changed = {at(f): file.content for f, file in files.items() if before.get(f) != file}
        gone = {at(f): None for f in before if f not in files}
        side = f"refs/heads/side{number}"
        if is_merged:
            earlier = moment - timedelta(hours=1)
            found.append(Told(earlier, {**changed, **gone}, branch=side, parent="refs/heads/main"))
        found.append(Told(moment, {**changed, **gone}, merges=[side] if is_merged else []))
        before = files
    return found


def looked_at(commits: list[Commit]) -> list[tuple[str, str, str, str | None]]:
    """Brute force: who is there after every commit; of those at one moment the last counts."""
    moments: dict[datetime, set[tuple[str, str]]] = {}
    good: dict[str, File] = {}
    now = day(1)
    for moment, files, _ in histories(commits):
        now = max(now, moment)
        good = {
            folder: file if file.hubs is not None else good.get(folder, File("", ())) for folder, file in files.items()
        }
        moments[now] = {
            (f"{file.name or folder}/{hub}", shown) for folder, file in good.items() for hub, shown in file.hubs or ()
        }
    found: list[tuple[str, str, str, str | None]] = []
    for who in set().union(*moments.values()):
        begun: datetime | None = None
        for moment, there in moments.items():
            if who in there and begun is None:
                begun = moment
            elif who not in there and begun is not None:
                found.append((*who, said(begun), said(moment)))
                begun = None
        if begun is not None:
            found.append((*who, said(begun), None))
    return sorted(found, key=lambda row: (row[:3], row[3] or "9999"))


@settings(max_examples=60, deadline=None)
@given(commits=COMMITS)
def test_intervals_are_what_every_commit_shows(commits: list[Commit]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        fetched = nights(Path(folder), repository(Path(folder) / "registry", *told(commits)))
        fetched.fetch()
        rejected, found = quarantined(fetched)
        *_, (_, files, _) = histories(commits)
        assert found == looked_at(commits)
        assert [file for file, _, _ in rejected] == sorted(at(f) for f, file in files.items() if file.hubs is None)
        # No hub has two versions of one content that meet or overlap: they would be one.
        with duckdb.connect(str(fetched.folder / "warehouse.duckdb")) as con:
            assert con.execute("select count(*) from raw.hub_registry where valid_to <= valid_from").fetchall() == [
                (0,)
            ]
