"""The hub registry from a git checkout: what its history says becomes intervals, and nothing of it is run."""

import json
import os
import shutil
import stat
from collections.abc import Mapping
from contextlib import closing, suppress
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest
from pydantic import ValidationError

from kpi_pipeline import fetching
from kpi_pipeline.errors import SourceError
from kpi_pipeline.landing import Landing, content_of
from kpi_pipeline.settings.base import Live
from kpi_pipeline.settings.sources import HubRegistry, HubRegistryGit
from kpi_pipeline.sources import git as running_git
from kpi_pipeline.sources import git_registry
from kpi_pipeline.sources.connectors import connector
from kpi_pipeline.sources.transport import Budget
from kpi_pipeline.sources.walk import Seen, Tools
from kpi_pipeline.stages import cluster_yaml, parts, staged
from kpi_pipeline_tests.bad_input.organisation import empty_warehouse
from kpi_pipeline_tests.live.fetched import Killed, Nights, TurnedClock, killed_after, utc
from kpi_pipeline_tests.live.repositories import Told, git, repository, tell

NIGHT = utc(2026, 3, 10, 2, 30)
FOREVER = None
ALWAYS = "9999-12-31"


def day(number: int, hour: int = 12, minute: int = 0, second: int = 0) -> datetime:
    """A moment in January 2026."""
    return utc(2026, 1, number, hour, minute, second)


def said(moment: datetime) -> str:
    """A moment as raw has it."""
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S}"


def cluster(name: str | None, *hubs: str, provider: str = "gcp") -> str:
    """A cluster.yaml: hubs as `name:Display Name`."""
    lines = [f"name: {name}"] if name else []
    lines += [f"provider: {provider}", "hubs:" if hubs else "hubs: []"]
    for hub in hubs:
        short, _, shown = hub.partition(":")
        lines += [f"  - name: {short}", f"    display_name: {shown or short}", f"    domain: {short}.example.org"]
    return "\n".join(lines) + "\n"


def at(name: str) -> str:
    return f"config/clusters/{name}/cluster.yaml"


@dataclass
class GitVendor:
    """A checkout, as far as the tests of fetching go."""

    keys: Mapping[str, Any] = field(default_factory=dict)
    source = "hub_registry"
    night = NIGHT

    def settings(self, url: str) -> Live:
        return HubRegistryGit.model_validate({"kind": "git", "path": url, "folder": "config/clusters", **self.keys})

    def load(self, con: duckdb.DuckDBPyConnection, landing: Landing, configured: Live) -> None:
        assert isinstance(configured, HubRegistryGit)
        cluster_yaml.load_history(con, landing)

    def loaded(self, con: duckdb.DuckDBPyConnection) -> list[tuple[Any, ...]]:
        return con.execute(INTERVALS).fetchall()

    # What only servers do.
    app = is_page = rows = update_a_row = delete_a_row = None


INTERVALS = (
    "select cluster || '/' || hub, display_name, valid_from::varchar, valid_to::varchar "
    "from raw.hub_registry order by all"
)


def nights(place: Path, checkout: Path, **keys: Any) -> Nights:
    """Nights of fetching a checkout into a landing zone in a place."""
    place.mkdir(exist_ok=True)
    vendor: Any = GitVendor(keys)
    return Nights(place, vendor, str(checkout), TurnedClock(NIGHT))


def intervals(place: Path, *told: Told) -> list[tuple[Any, ...]]:
    """What a history becomes: hub, display name, from, to."""
    fetched = nights(place, repository(place / "registry", *told))
    fetched.fetch()
    return fetched.loaded()


def problems(fetched: Nights) -> str:
    """Why nothing could be fetched."""
    with pytest.raises(SourceError) as caught:
        fetched.fetch()
    return str(caught.value)


def quarantined(fetched: Nights) -> tuple[list[tuple[Any, ...]], list[tuple[Any, ...]]]:
    """What is in the quarantine, and the intervals beside it."""
    path = fetched.folder / "warehouse.duckdb"
    path.write_bytes(empty_warehouse())
    with duckdb.connect(str(path)) as con:
        cluster_yaml.load_history(con, fetched.landing)
        rejected = con.execute("select file, row, reason from raw.quarantine order by all").fetchall()
        return rejected, con.execute(INTERVALS).fetchall()


def examined(fetched: Nights) -> list[Seen]:
    with closing(connector("hub_registry", fetched.configured, Tools(clock=fetched.clock))) as asked:
        return list(asked.examine(fetching.Glance(NIGHT, Budget())))


def covered(fetched: Nights) -> tuple[tuple[date, date], ...]:
    newest = fetched.landing.newest("hub_registry")
    assert newest is not None
    return newest.parts["config/clusters"].covered


# What histories become


def test_hubs_come_change_go_and_come_back(tmp_path: Path) -> None:
    assert intervals(
        tmp_path,
        Told(day(1), {"README.md": "no registry yet"}),
        Told(day(2), {at("reef"): cluster("reef", "coral:Coral", "kelp:Kelp")}),
        Told(day(3), {at("reef"): cluster("reef", "coral:Coral Reef", "kelp:Kelp")}),
        Told(day(4), {"README.md": "nothing of the registry"}),
        Told(day(5), {at("reef"): cluster("reef", "coral:Coral Reef"), at("pond"): cluster("pond", "lily")}),
        Told(day(6), {at("reef"): cluster("reef", "coral:Coral Reef", "kelp:Kelp")}),
        Told(day(7), {at("pond"): None}),
        Told(day(8), {at("pond"): cluster("pond", "lily")}),
    ) == [
        ("pond/lily", "lily", said(day(5)), said(day(7))),
        ("pond/lily", "lily", said(day(8)), FOREVER),
        ("reef/coral", "Coral", said(day(2)), said(day(3))),
        ("reef/coral", "Coral Reef", said(day(3)), FOREVER),
        ("reef/kelp", "Kelp", said(day(2)), said(day(5))),
        ("reef/kelp", "Kelp", said(day(6)), FOREVER),
    ]


def test_files_that_move_change_nothing_unless_the_name_is_the_folders(tmp_path: Path) -> None:
    named, unnamed = cluster("reef", "coral"), cluster(None, "lily")
    assert intervals(
        tmp_path,
        Told(day(1), {at("reef"): named, at("pond"): unnamed}),
        Told(day(2), {at("reef"): None, at("atlantic/reef"): named}),
        Told(day(3), {at("pond"): None, at("lake"): unnamed}),
        Told(day(4), {at("atlantic/reef"): None, "config/clusters/reef/cluster.yml": named}),
    ) == [
        ("lake/lily", "lily", said(day(3)), FOREVER),
        ("pond/lily", "lily", said(day(1)), said(day(3))),
        ("reef/coral", "coral", said(day(1)), FOREVER),
    ]


def test_a_cluster_that_is_renamed_and_a_hub_that_moves(tmp_path: Path) -> None:
    assert intervals(
        tmp_path,
        Told(day(1), {at("a"): cluster("reef", "coral"), at("b"): cluster("pond", "lily", "frog")}),
        Told(day(2), {at("a"): cluster("great-reef", "coral")}),
        Told(day(3), {at("a"): cluster("great-reef", "coral", "frog"), at("b"): cluster("pond", "lily")}),
    ) == [
        ("great-reef/coral", "coral", said(day(2)), FOREVER),
        ("great-reef/frog", "frog", said(day(3)), FOREVER),
        ("pond/frog", "frog", said(day(1)), said(day(3))),
        ("pond/lily", "lily", said(day(1)), FOREVER),
        ("reef/coral", "coral", said(day(1)), said(day(2))),
    ]


def test_what_was_written_aside_counts_from_its_merge_on(tmp_path: Path) -> None:
    side = "refs/heads/side"
    reef, pond = cluster("reef", "coral"), cluster("pond", "lily")
    assert intervals(
        tmp_path,
        Told(day(1), {at("reef"): reef}),
        Told(day(2), {at("pond"): cluster("pond", "wrong")}, branch=side, parent="refs/heads/main"),
        Told(day(3), {at("pond"): pond}, branch=side),
        Told(day(4), {at("reef"): cluster("reef", "coral", "kelp")}),
        Told(day(5), {at("pond"): pond}, merges=[side]),
        Told(day(6), {at("lake"): cluster("lake", "never")}, branch=side),
    ) == [
        ("pond/lily", "lily", said(day(5)), FOREVER),
        ("reef/coral", "coral", said(day(1)), FOREVER),
        ("reef/kelp", "kelp", said(day(4)), FOREVER),
    ]


def test_moments_are_utc_and_become_days(tmp_path: Path) -> None:
    """A hub is in service on the days of which a version holds a moment; a day that two share is the later one's."""
    # 23:30 in Los Angeles is 07:30 of the next day in UTC.
    evening = datetime.fromisoformat("2026-01-03T23:30:00-08:00")
    checkout = repository(
        tmp_path / "registry",
        Told(evening, {at("reef"): cluster("reef", "coral:Coral", "class-staging")}, zone="-0800"),
        Told(day(6, 9), {at("reef"): cluster("reef", "coral:Reef", "class-staging")}, zone="+0530"),
        Told(day(6, 18), {at("reef"): cluster("reef", "class-staging")}),
    )
    fetched = nights(tmp_path, checkout)
    fetched.fetch()
    assert fetched.loaded() == [
        ("reef/class-staging", "class-staging", "2026-01-04 07:30:00", FOREVER),
        ("reef/coral", "Coral", "2026-01-04 07:30:00", "2026-01-06 09:00:00"),
        ("reef/coral", "Reef", "2026-01-06 09:00:00", "2026-01-06 18:00:00"),
    ]
    rules = HubRegistry.model_validate(
        {"staging": ["*-staging"], "community": [{"column": "display_name", "pattern": "^(.+)$"}]}
    )
    with duckdb.connect(str(tmp_path / "warehouse.duckdb")) as con:
        staged.stage_hubs(con, rules)
        assert con.execute(
            "select hub_id, from_day::varchar, to_day::varchar, environment, communities from staged.hubs order by all"
        ).fetchall() == [
            ("reef/class-staging", "2026-01-04", ALWAYS, "staging", ["class-staging"]),
            ("reef/coral", "2026-01-04", "2026-01-06", "production", ["coral"]),
            ("reef/coral", "2026-01-06", "2026-01-07", "production", ["reef"]),
        ]


def test_no_commit_is_before_the_one_that_it_follows(tmp_path: Path) -> None:
    """A clock at 1970, and one that was hours behind: what they say came after what was there."""
    assert intervals(
        tmp_path,
        Told(day(1), {at("reef"): cluster("reef", "a")}),
        Told(day(5), {"README.md": "not of the registry, and yet the commit before"}),
        Told(datetime(1970, 1, 2, tzinfo=UTC), {at("reef"): cluster("reef", "a", "b")}),
        Told(day(4), {at("reef"): cluster("reef", "a", "b", "c")}),
        Told(day(6), {at("reef"): cluster("reef", "b", "c")}),
    ) == [
        ("reef/a", "a", said(day(1)), said(day(6))),
        ("reef/b", "b", said(day(5)), FOREVER),
        ("reef/c", "c", said(day(5)), FOREVER),
    ]


def test_a_version_that_stood_for_no_time_never_stood(tmp_path: Path) -> None:
    assert intervals(
        tmp_path,
        Told(day(1), {at("reef"): cluster("reef", "a:A")}),
        Told(day(2), {at("reef"): cluster("reef", "a:B")}),
        Told(day(2), {at("reef"): cluster("reef", "a:A", "b:B")}),
    ) == [("reef/a", "A", said(day(1)), FOREVER), ("reef/b", "B", said(day(2)), FOREVER)]


def test_a_commit_from_the_future_counts_from_the_next_one_on(tmp_path: Path) -> None:
    checkout = repository(
        tmp_path / "registry",
        Told(day(1), {at("reef"): cluster("reef", "a")}),
        Told(utc(2031, 1, 1), {at("reef"): cluster("reef", "a", "b")}),
        Told(day(3), {at("reef"): cluster("reef", "a", "b", "c")}),
        Told(utc(2032, 1, 1), {at("reef"): cluster("reef", "b", "c")}),
    )
    fetched = nights(tmp_path, checkout)
    fetched.fetch()
    assert fetched.loaded() == [
        ("reef/a", "a", said(day(1)), said(utc(2032, 1, 1))),
        ("reef/b", "b", said(day(3)), FOREVER),
        ("reef/c", "c", said(day(3)), FOREVER),
    ]
    assert any(seen.state == "note" and "dated in the future" in seen.words for seen in examined(fetched))
    tell(checkout, Told(day(5), {"README.md": "the next one"}))
    fetched.fetch()
    assert fetched.loaded()[0] == ("reef/a", "a", said(day(1)), said(day(5)))


def test_dates_that_are_none(tmp_path: Path) -> None:
    """Git keeps whatever a commit's date is, be it the year 292 billion."""
    checkout = repository(tmp_path / "registry", Told(day(1), {at("reef"): cluster("reef", "a")}))
    tree = git(checkout, "rev-parse", "HEAD^{tree}")
    commit = git(checkout, "rev-parse", "HEAD")
    for seconds in ("9223372036854775807", "nonsense"):
        written = f"tree {tree}\nparent {commit}\nauthor A <a> {seconds} +0000\ncommitter A <a> {seconds} +0000\n\n"
        (tmp_path / "commit").write_text(written)
        commit = git(checkout, "hash-object", "-t", "commit", "-w", "--literally", str(tmp_path / "commit"))
    git(checkout, "update-ref", "refs/heads/main", commit)
    tell(checkout, Told(day(2), {at("reef"): cluster("reef", "b")}))
    fetched = nights(tmp_path, checkout)
    fetched.fetch()
    assert fetched.loaded() == [
        ("reef/a", "a", said(day(1)), said(day(2))),
        ("reef/b", "b", said(day(2)), FOREVER),
    ]


BROKEN = "hubs: [ {name: coral\n"


def test_a_broken_file_stands_for_its_last_good_version_until_it_is_mended(tmp_path: Path) -> None:
    told = [
        Told(day(1), {at("reef"): cluster("reef", "coral"), at("pond"): BROKEN}),
        Told(day(2), {at("reef"): BROKEN}),
        Told(day(3), {at("pond"): cluster("pond", "lily")}),
        Told(day(4), {at("reef"): cluster("reef", "kelp")}),
        Told(day(5), {at("pond"): None}),
        Told(day(6), {at("pond"): BROKEN}),
        Told(day(7), {at("pond"): None}),
    ]
    assert intervals(tmp_path, *told) == [
        ("pond/lily", "lily", said(day(3)), said(day(5))),
        ("reef/coral", "coral", said(day(1)), said(day(4))),
        ("reef/kelp", "kelp", said(day(4)), FOREVER),
    ]


def test_a_file_that_is_broken_now_blocks_and_stands_for_its_last_good_version(tmp_path: Path) -> None:
    checkout = repository(
        tmp_path / "registry",
        Told(day(1), {at("reef"): cluster("reef", "coral"), at("pond"): BROKEN}),
        Told(day(2), {at("reef"): BROKEN}),
    )
    fetched = nights(tmp_path, checkout)
    fetched.fetch()
    rejected, hubs = quarantined(fetched)
    assert rejected == [(at("pond"), None, "not_cluster_yaml"), (at("reef"), None, "not_cluster_yaml")]
    assert hubs == [("reef/coral", "coral", said(day(1)), FOREVER)]
    words = [seen.words for seen in examined(fetched) if seen.state == "problem"]
    assert [word.split(" ")[0] for word in words] == [at("pond"), at("reef")]
    assert all("is no cluster.yaml: not YAML" in word for word in words)


def test_what_is_no_file_of_its_own(tmp_path: Path) -> None:
    """A link is a file that says where it leads; a submodule is none; more than a megabyte is no cluster.yaml."""
    checkout = repository(
        tmp_path / "registry",
        Told(day(1), {at("reef"): cluster("reef", "coral"), at("pond"): cluster("pond", "lily")}),
        Told(day(2), {at("link"): "../reef/cluster.yaml"}, mode="120000"),
        Told(day(3), {at("pond"): "0123456789" * 4}, mode="160000"),
        Told(day(4), {at("large"): "# " + "x" * (1 << 20) + "\n" + cluster("large", "hub")}),
    )
    fetched = nights(tmp_path, checkout)
    fetched.fetch()
    rejected, hubs = quarantined(fetched)
    assert rejected == [(at("large"), None, "not_cluster_yaml"), (at("link"), None, "not_cluster_yaml")]
    assert hubs == [
        ("pond/lily", "lily", said(day(1)), said(day(3))),
        ("reef/coral", "coral", said(day(1)), FOREVER),
    ]
    assert any("more than 1,048,576 bytes" in seen.words for seen in examined(fetched))


def test_paths_that_are_no_utf8(tmp_path: Path) -> None:
    """In the old encoding of western Europe; two paths that differ stay two."""
    checkout = repository(
        tmp_path / "registry",
        Told(
            day(1),
            {
                b"config/clusters/caf\xe9/cluster.yaml": cluster(None, "a"),
                rb"config/clusters/caf\xe9/cluster.yaml": cluster("other", "b"),
                "config/clusters/naïve: hub/cluster.yaml": cluster(None, "c"),
            },
        ),
        Told(day(2), {b"config/clusters/caf\xe9/cluster.yaml": BROKEN}),
    )
    fetched = nights(tmp_path, checkout)
    fetched.fetch()
    rejected, hubs = quarantined(fetched)
    assert rejected == [(r"config/clusters/caf\xe9/cluster.yaml", None, "not_cluster_yaml")]
    assert [hub[0] for hub in hubs] == [r"caf\xe9/a", "naïve: hub/c", "other/b"]


# Which files, and which history


def test_folder_and_files_say_which(tmp_path: Path) -> None:
    checkout = repository(
        tmp_path / "registry",
        Told(day(1), {"hubs/reef.cluster.yaml": cluster("reef", "coral"), "a/b/cluster.yaml": cluster("ab", "x")}),
        Told(
            day(2),
            {
                "hubs/reef.cluster.yaml": None,
                "clusters/reef/cluster.yaml": cluster("reef", "coral", "kelp"),
                "clusters/templates/aws/cluster.yaml": "name: {{ cluster }}\nhubs: {{ hubs }}\n",
                "clusters/reef/values.yaml": "not: asked for",
            },
        ),
        Told(day(3), {"[odd]/cluster.yaml": cluster("odd", "y"), "o/cluster.yaml": cluster("o", "z")}),
    )

    def hubs(**keys: Any) -> list[str]:
        fetched = nights(tmp_path / str(len(list(tmp_path.iterdir()))), checkout, **keys)
        fetched.fetch()
        return sorted({hub[0] for hub in quarantined(fetched)[1]})

    assert hubs(folder="") == ["ab/x", "o/z", "odd/y", "reef/coral", "reef/kelp"]
    assert hubs(folder="[odd]") == ["odd/y"]
    assert hubs(folder="./clusters/") == ["reef/coral", "reef/kelp"]
    both = nights(tmp_path / "both", checkout, folder="", files=["hubs/*.cluster.yaml", "clusters/*/cluster.yaml"])
    both.fetch()
    assert both.loaded() == [
        ("reef/coral", "coral", said(day(1)), FOREVER),
        ("reef/kelp", "kelp", said(day(2)), FOREVER),
    ]


REEF = (
    Told(day(1), {at("reef"): cluster("reef", "coral")}),
    Told(day(2), {at("reef"): cluster("reef", "coral", "kelp")}),
)
REEFS = [("reef/coral", "coral", said(day(1)), FOREVER), ("reef/kelp", "kelp", said(day(2)), FOREVER)]


def test_a_tag_a_branch_or_a_commit_is_read_up_to_there(tmp_path: Path) -> None:
    checkout = repository(tmp_path / "registry", *REEF)
    git(checkout, "tag", "-a", "-m", "a tag that says more", "v1", "main~1")
    git(checkout, "tag", "light", "main")
    git(checkout, "branch", "feature/x", "main~1")
    commit = git(checkout, "rev-parse", "main~1")
    found = {}
    for ref in ("v1", "light", "feature/x", "main", "HEAD", commit):
        fetched = nights(tmp_path / ref.replace("/", "-"), checkout, ref=ref)
        fetched.fetch()
        found[ref] = fetched.loaded()
    old = [("reef/coral", "coral", said(day(1)), FOREVER)]
    assert found == {"v1": old, "light": REEFS, "feature/x": old, "main": REEFS, "HEAD": REEFS, commit: old}


@pytest.mark.parametrize("kind", ["bare", "sha256", "linked worktree", "borrowed objects", "reached by a link"])
def test_kinds_of_checkouts(kind: str, tmp_path: Path) -> None:
    checkout = repository(
        tmp_path / "registry", *REEF, bare=kind == "bare", object_format="sha256" if kind == "sha256" else "sha1"
    )
    if kind == "linked worktree":
        git(checkout, "worktree", "add", "-q", "--detach", str(tmp_path / "tree"), "main")
        checkout = tmp_path / "tree"
    elif kind == "borrowed objects":
        git(tmp_path, "clone", "-q", "--shared", "registry", "shared")
        checkout = tmp_path / "shared"
    elif kind == "reached by a link":
        (tmp_path / "link").symlink_to(checkout)
        checkout = tmp_path / "link"
    fetched = nights(tmp_path, checkout)
    fetched.fetch()
    assert fetched.loaded() == REEFS


def test_a_history_with_replaced_and_packed_objects(tmp_path: Path) -> None:
    """What is packed is read; what the checkout replaces for itself isn't what its history says."""
    checkout = repository(tmp_path / "registry", *REEF)
    other = repository(tmp_path / "other", Told(day(1), {at("reef"): cluster("reef", "invented")}))
    git(checkout, "fetch", "-q", str(other), "main:other")
    git(checkout, "replace", "main", "other")
    git(checkout, "gc", "-q")
    fetched = nights(tmp_path, checkout)
    fetched.fetch()
    assert fetched.loaded() == REEFS


# What is landed


def test_what_is_landed_is_what_git_has(tmp_path: Path) -> None:
    checkout = repository(tmp_path / "registry", *REEF, Told(day(3), {at("reef"): None, at("pond"): b"\xff\0 \n"}))
    fetched = nights(tmp_path, checkout)
    outcome = fetched.fetch()
    assert (outcome.parts, outcome.finished, outcome.rows) == (("config/clusters",), ("config/clusters",), 6)
    files = {file.name: file for file in fetched.landing.files("hub_registry", "state")}
    assert list(files) == ["blobs/0001.batch", "history.jsonl"]
    commits = git(checkout, "rev-list", "--reverse", "main").split()
    blobs = [git(checkout, "rev-parse", f"main~{n}:{at('reef')}") for n in (2, 1)]
    blobs.append(git(checkout, "rev-parse", f"main:{at('pond')}"))

    def landed(name: str) -> bytes:
        return content_of(fetched.landing.path("hub_registry", files[name]), True)

    lines = [json.loads(line) for line in landed("history.jsonl").splitlines()]
    assert lines == [
        {"commit": commits[0], "committed_at": "2026-01-01T12:00:00+00:00", "at": "2026-01-01T12:00:00+00:00",
         "changes": {at("reef"): blobs[0]}},
        {"commit": commits[1], "committed_at": "2026-01-02T12:00:00+00:00", "at": "2026-01-02T12:00:00+00:00",
         "changes": {at("reef"): blobs[1]}},
        {"commit": commits[2], "committed_at": "2026-01-03T12:00:00+00:00", "at": "2026-01-03T12:00:00+00:00",
         "changes": {at("pond"): blobs[2], at("reef"): None}},
    ]  # fmt: skip
    assert list(git_registry.read_blobs(landed("blobs/0001.batch"))) == [
        (blobs[0], cluster("reef", "coral").encode()),
        (blobs[1], cluster("reef", "coral", "kelp").encode()),
        (blobs[2], b"\xff\0 \n"),
    ]
    assert fetched.landing.newest("hub_registry").parts["config/clusters"].cursor == {"commit": commits[2]}  # type: ignore[union-attr]


def objects(fetched: Nights) -> set[str]:
    return {path.name for path in (fetched.folder / "landing" / "hub_registry" / "objects").rglob("*.gz")}


def test_a_night_with_nothing_new_adds_nothing(tmp_path: Path) -> None:
    checkout = repository(tmp_path / "registry", *REEF)
    fetched = nights(tmp_path, checkout)
    fetched.fetch()
    landed, there = fetched.landed(), objects(fetched)
    fetched.clock.turn(days=1)
    tell(checkout, Told(day(9), {"README.md": "nothing of the registry"}))
    fetched.fetch()
    assert fetched.landed() == landed
    # The answer which commit is read is another; it is no file.
    assert len(objects(fetched) - there) <= 1
    assert covered(fetched) == ((date(2026, 1, 1), date(2026, 3, 10)),)
    # And is not loaded again.
    path = tmp_path / "warehouse.duckdb"
    path.write_bytes(empty_warehouse())
    with duckdb.connect(str(path)) as con:
        assert cluster_yaml.load_history(con, fetched.landing).files == 1
        assert cluster_yaml.load_history(con, fetched.landing).files == 0
        tell(checkout, Told(day(10), {at("pond"): cluster("pond", "lily")}))
        fetched.fetch()
        assert cluster_yaml.load_history(con, fetched.landing).files == 2
        assert con.execute("select file, rows from raw.loads order by all").fetchall() == [
            (at("pond"), 1),
            (at("reef"), 2),
        ]


def test_full_files_of_contents_stay_as_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(git_registry, "BLOBS_A_FILE", 3)
    told = [Told(day(n), {at("reef"): cluster("reef", f"hub{n}")}) for n in range(1, 9)]
    checkout = repository(tmp_path / "registry", *told[:7])
    fetched = nights(tmp_path, checkout)
    fetched.fetch()
    before = dict(fetched.landed())
    assert list(before) == ["blobs/0001.batch", "blobs/0002.batch", "blobs/0003.batch", "history.jsonl"]
    tell(checkout, told[7])
    fetched.fetch()
    after = dict(fetched.landed())
    assert {name for name in before if before[name] != after[name]} == {"blobs/0003.batch", "history.jsonl"}
    monkeypatch.setattr(git_registry, "BYTES_A_FILE", 200)
    fetched.fetch()
    assert len(fetched.landed()) == 5
    assert [hub[0] for hub in fetched.loaded()] == [f"reef/hub{n}" for n in range(1, 9)]


def test_ten_thousand_commits_take_seconds(tmp_path: Path) -> None:
    began = utc(2020, 1, 1)
    told = [
        Told(began + timedelta(hours=n), {at(f"c{n % 30}"): cluster(f"c{n % 30}", f"hub{n // 60}"), "n": str(n)})
        for n in range(10_000)
    ]
    fetched = nights(tmp_path, repository(tmp_path / "registry", *told))
    clock = TurnedClock(NIGHT)
    fetched.fetch()
    # One and a half here.
    assert clock.monotonic() < 20
    rows = fetched.loaded()
    # A hub stands for two rounds through the 30 clusters.
    assert len({row[0] for row in rows}) == len(rows) == 30 * 167
    assert rows[0] == ("c0/hub0", "hub0", said(began), said(began + timedelta(hours=60)))


def test_killed_between_any_two_writes(tmp_path: Path) -> None:
    checkout = repository(tmp_path / "registry", *REEF)
    undisturbed = nights(tmp_path / "undisturbed", checkout)
    with killed_after(-1) as writes:
        undisturbed.fetch()
    assert writes[0] > 8
    for number in range(writes[0]):
        fetched = nights(tmp_path / str(number), checkout)
        with killed_after(number), pytest.raises(Killed):
            fetched.fetch()
        fetched.fetch()
        assert fetched.landed() == undisturbed.landed()
        assert fetched.loaded() == REEFS


def test_killed_before_news_came_reads_on_from_the_same_commit_and_then_what_is_new(tmp_path: Path) -> None:
    """What a run was told stays what it goes by until it is through; then it goes round once more."""
    checkout = repository(tmp_path / "registry", *REEF)
    fetched = nights(tmp_path, checkout)
    fetched.requests = 1
    assert fetched.fetch().unfinished == ("config/clusters",)
    tell(checkout, Told(day(5), {at("reef"): cluster("reef", "kelp")}))
    fetched.requests = None
    fetched.clock.turn(days=1)
    fetched.fetch()
    assert [hub[3] for hub in fetched.loaded()] == [said(day(5)), FOREVER]


# Which days are known


def touch(path: Path, moment: datetime) -> None:
    os.utime(path, (moment.timestamp(), moment.timestamp()))


def cloned(folder: Path, *told: Told) -> tuple[Path, Path]:
    """A repository, and a clone of it that was made on 5 January."""
    origin = repository(folder / "origin", *told)
    git(folder, "clone", "-q", "origin", "clone")
    touch(folder / "clone" / ".git" / "HEAD", day(5))
    return origin, folder / "clone"


def test_an_original_is_known_up_to_yesterday(tmp_path: Path) -> None:
    fetched = nights(tmp_path, repository(tmp_path / "registry", *REEF))
    fetched.fetch()
    assert covered(fetched) == ((date(2026, 1, 1), date(2026, 3, 9)),)


def test_a_clone_is_known_up_to_when_it_last_heard_of_its_remote(tmp_path: Path) -> None:
    origin, clone = cloned(tmp_path, *REEF)
    fetched = nights(tmp_path, clone)
    fetched.fetch()
    # Cloned on the 5th, which wasn't over.
    assert covered(fetched) == ((date(2026, 1, 1), date(2026, 1, 4)),)
    tell(origin, Told(day(7), {at("pond"): cluster("pond", "lily")}))
    git(clone, "pull", "-q")
    touch(clone / ".git" / "FETCH_HEAD", day(9, 1))
    fetched.fetch()
    assert covered(fetched) == ((date(2026, 1, 1), date(2026, 1, 8)),)
    assert [hub[0] for hub in fetched.loaded()] == ["pond/lily", "reef/coral", "reef/kelp"]
    # A pull that fails leaves an empty FETCH_HEAD: then what is there says what came.
    origin.rename(tmp_path / "gone")
    with pytest.raises(AssertionError):
        git(clone, "pull", "-q")
    assert (clone / ".git" / "FETCH_HEAD").stat().st_size == 0
    touch(clone / ".git" / "HEAD", day(5))
    fetched.fetch()
    assert covered(fetched) == ((date(2026, 1, 1), date(2026, 1, 6)),)


def test_a_clone_whose_clock_is_ahead_is_known_up_to_yesterday(tmp_path: Path) -> None:
    _, clone = cloned(tmp_path, *REEF)
    touch(clone / ".git" / "HEAD", utc(2026, 4, 1))
    fetched = nights(tmp_path, clone)
    fetched.fetch()
    assert covered(fetched) == ((date(2026, 1, 1), date(2026, 3, 9)),)


def test_a_branch_that_lags_behind_what_was_fetched(tmp_path: Path) -> None:
    """Fetched, and never merged: known up to the first commit that it lacks."""
    origin, clone = cloned(tmp_path, *REEF)
    tell(origin, Told(day(7), {"README.md": "a"}), Told(day(8), {at("pond"): cluster("pond", "lily")}))
    git(clone, "fetch", "-q")
    touch(clone / ".git" / "FETCH_HEAD", day(20))
    fetched = nights(tmp_path, clone)
    fetched.fetch()
    assert covered(fetched) == ((date(2026, 1, 1), date(2026, 1, 6)),)
    words = [seen.words for seen in examined(fetched) if seen.state == "problem"]
    assert words == ["HEAD lacks commits of its remote since 2026-01-07: git merge there, or set ref"]
    ahead = nights(tmp_path / "ahead", clone, ref="origin/main")
    ahead.fetch()
    assert covered(ahead) == ((date(2026, 1, 1), date(2026, 1, 19)),)


def test_days_that_a_stale_checkout_does_not_know_are_said_to_be_missing(tmp_path: Path) -> None:
    _, clone = cloned(tmp_path, *REEF)
    fetched = nights(tmp_path, clone)
    fetched.fetch()
    fetched.loaded()
    with duckdb.connect(str(tmp_path / "warehouse.duckdb")) as con:
        parts.load(con, fetched.landing, "hub_registry", "git")
        assert con.execute("select part, first_day::varchar, last_day::varchar from raw.covered_days").fetchall() == [
            ("config/clusters", "2026-01-01", "2026-01-04")
        ]


# News from the remote


def state_of(checkout: Path) -> dict[str, bytes]:
    """Every file of a checkout but git's objects, its remote-tracking refs and their log."""
    found = {}
    for path in sorted(checkout.rglob("*")):
        name = path.relative_to(checkout).as_posix()
        if path.is_file() and not name.startswith((".git/objects/", ".git/refs/remotes/", ".git/logs/refs/remotes/")):
            found[name] = path.read_bytes()
    return found


def test_fetching_moves_one_ref_and_touches_no_file(tmp_path: Path) -> None:
    origin, clone = cloned(tmp_path, *REEF)
    (clone / at("reef")).write_text("being edited")
    tell(origin, Told(day(7), {at("pond"): cluster("pond", "lily")}))
    git(origin, "branch", "another")
    git(origin, "tag", "v1")
    before, fetched = state_of(clone), nights(tmp_path, clone, ref="origin/main", fetch=True)
    assert examined(fetched)[0] == Seen("ok", "the remote of origin/main answers")
    fetched.fetch()
    assert fetched.loaded() == [("pond/lily", "lily", said(day(7)), FOREVER), *REEFS]
    assert covered(fetched) == ((date(2026, 1, 1), date(2026, 3, 9)),)
    assert state_of(clone) == before
    assert git(clone, "rev-parse", "origin/main") == git(origin, "rev-parse", "main")
    assert git(clone, "for-each-ref", "--format=%(refname)").split() == [
        "refs/heads/main", "refs/remotes/origin/HEAD", "refs/remotes/origin/main",
    ]  # fmt: skip
    git(clone, "fsck", "--strict")


def test_what_is_there_does_not_come_again(tmp_path: Path) -> None:
    content = os.urandom(200_000)
    origin, clone = cloned(tmp_path, Told(day(1), {"large": content}), *REEF)
    git(clone, "update-ref", "-d", "refs/remotes/origin/main")
    size = sum(path.stat().st_size for path in (clone / ".git/objects").rglob("*") if path.is_file())
    tell(origin, Told(day(7), {at("pond"): cluster("pond", "lily")}))
    nights(tmp_path, clone, ref="origin/main", fetch=True).fetch()
    after = sum(path.stat().st_size for path in (clone / ".git/objects").rglob("*") if path.is_file())
    assert 0 < after - size < 10_000


def test_a_history_that_is_rewritten_takes_the_old_ones_place(tmp_path: Path) -> None:
    origin, clone = cloned(tmp_path, *REEF)
    fetched = nights(tmp_path, clone, ref="origin/main", fetch=True)
    fetched.fetch()
    git(origin, "update-ref", "refs/heads/main", "main~1")
    tell(origin, Told(day(3), {at("reef"): cluster("reef", "eel")}))
    fetched.fetch()
    assert fetched.loaded() == [
        ("reef/coral", "coral", said(day(1)), said(day(3))),
        ("reef/eel", "eel", said(day(3)), FOREVER),
    ]


@pytest.mark.parametrize("how", ["gone", "refused", "no such branch", "a token in the address"])
def test_a_remote_that_gives_no_news_leaves_what_was_there(how: str, tmp_path: Path) -> None:
    origin, clone = cloned(tmp_path, *REEF)
    fetched = nights(tmp_path, clone, ref="origin/main", fetch=True)
    fetched.fetch()
    before = fetched.landed()
    if how == "gone":
        origin.rename(tmp_path / "gone")
    elif how == "refused":
        git(clone, "remote", "set-url", "origin", "http://127.0.0.1:9/registry")
    elif how == "no such branch":
        git(origin, "checkout", "-q", "-b", "other", "main")
        git(origin, "branch", "-D", "main")
    else:
        # Nobody listens there.
        git(
            clone,
            "remote",
            "set-url",
            "origin",
            "https://zz-who:zz-to@zz-ken@127.0.0.1:9/registry?private_token=zz-token",
        )
    fetched.clock.turn(days=1)
    outcome = fetched.fetch()
    problem = outcome.problems["config/clusters"]
    assert "got of remote origin, " in problem
    said_there = {
        "gone": "does not appear to be a git repository",
        "refused": "transport 'http' not allowed",
        "no such branch": "couldn't find remote ref refs/heads/main",
        "a token in the address": "unable to access 'https://127.0.0.1:9/",
    }
    assert said_there[how] in problem
    assert "zz-" not in problem
    assert "zz-" not in " ".join(seen.words for seen in examined(fetched))
    assert fetched.landed() == before
    assert covered(fetched) == ((date(2026, 1, 1), date(2026, 3, 9)),)
    # And the next night, when all is well again, it is fetched anew.
    if how == "gone":
        (tmp_path / "gone").rename(origin)
        fetched.clock.turn(days=1)
        assert fetched.fetch().problems == {}
        assert covered(fetched) == ((date(2026, 1, 1), date(2026, 3, 11)),)


def test_a_checkout_that_may_not_be_written_to_is_not_fetched_into(tmp_path: Path) -> None:
    """The ref can't move: a lock of somebody else's lies there."""
    origin, clone = cloned(tmp_path, *REEF)
    tell(origin, Told(day(7), {at("pond"): cluster("pond", "lily")}))
    (clone / ".git" / "refs" / "remotes" / "origin" / "main.lock").touch()
    assert "cannot lock ref" in problems(nights(tmp_path, clone, ref="origin/main", fetch=True))


# What can be wrong


def wrong(folder: Path, how: str) -> tuple[Path, dict[str, Any]]:
    told = REEF
    match how:
        case "no such path":
            return folder / "nowhere", {}
        case "no repository":
            (folder / "plain" / "config").mkdir(parents=True)
            return folder / "plain", {}
        case "a folder in a repository":
            repository(folder / "registry", *told)
            (folder / "registry" / "config").mkdir()
            return folder / "registry" / "config", {}
        case "no commits":
            return repository(folder / "registry"), {}
        case "no such ref":
            return repository(folder / "registry", *told), {"ref": "origin/main"}
        case "a range":
            return repository(folder / "registry", *told), {"ref": "main..main"}
        case "a blob":
            checkout = repository(folder / "registry", *told)
            git(checkout, "tag", "blob", f"main:{at('reef')}")
            return checkout, {"ref": "blob"}
        case "no such folder":
            return repository(folder / "registry", *told), {"folder": "clusters"}
        case "no clusters left":
            return repository(folder / "registry", *told, Told(day(3), {at("reef"): None})), {}
        case "a submodule":
            module = Told(day(3), {"config/clusters": "0123456789" * 4}, mode="160000")
            return repository(folder / "registry", Told(day(1), {"a": "b"}), module), {"folder": "config/clusters/x"}
        case "shallow":
            repository(folder / "registry", *told)
            git(folder, "clone", "-q", "--depth=1", f"file://{folder / 'registry'}", "shallow")
            return folder / "shallow", {}
        case "shallow, with fetch":
            checkout, _ = wrong(folder, "shallow")
            return checkout, {"ref": "origin/main", "fetch": True}
        case "partial":
            origin = repository(folder / "registry", *told)
            git(origin, "config", "uploadpack.allowFilter", "true")
            git(folder, "clone", "-q", "--bare", "--filter=blob:none", f"file://{origin}", "partial")
            return folder / "partial", {}
        case "no remote to fetch from":
            return repository(folder / "registry", *told), {"ref": "origin/main", "fetch": True}
        case "broken configuration":
            checkout = repository(folder / "registry", *told)
            (checkout / ".git" / "config").write_text("[core\n")
            return checkout, {}
        case _:
            checkout = repository(folder / "registry", *told)
            git(checkout, "repack", "-adq")
            (pack,) = (checkout / ".git/objects/pack").glob("*.pack")
            pack.chmod(stat.S_IRUSR | stat.S_IWUSR)
            content = bytearray(pack.read_bytes())
            content[len(content) // 2] ^= 0xFF
            pack.write_bytes(bytes(content))
            return checkout, {}


WRONG = {
    "no such path": ("got no git repository", "Mend path in kpi.toml"),
    "no repository": ("got no git repository", "Mend path in kpi.toml"),
    "a folder in a repository": ("got no git repository", "Mend path in kpi.toml"),
    "no commits": ("got no 'HEAD' in it: it has no commits yet", "Mend ref in kpi.toml"),
    "no such ref": ("got no 'origin/main' in it;", "Mend ref in kpi.toml"),
    "a range": ("got no 'main..main' in it;", "Mend ref in kpi.toml"),
    "a blob": ("got git rev-parse: ", "git fsck there tells more"),
    "no such folder": ("got no **/cluster.yaml or **/cluster.yml below 'clusters' now", "Mend folder or files"),
    "no clusters left": ("got no **/cluster.yaml or **/cluster.yml below 'config/clusters' now", "Mend folder"),
    "a submodule": ("below 'config/clusters/x', which is a submodule's now", "Make the submodule's own checkout"),
    "shallow": ("got a shallow clone: its history is cut off", "git fetch --unshallow there"),
    "shallow, with fetch": ("got a shallow clone: its history is cut off", "git fetch --unshallow there"),
    "partial": (" missing; expected a clone that has all contents", "clone it without"),
    "no remote to fetch from": ("got ref 'origin/main', and no remote", "git remote --verbose lists"),
    "broken configuration": ("bad config line 1", "git fsck there tells more"),
    "damaged": ("got ", "git fsck there tells more"),
}


@pytest.mark.parametrize("how", WRONG)
def test_what_is_wrong_is_said(how: str, tmp_path: Path) -> None:
    checkout, keys = wrong(tmp_path, how)
    fetched = nights(tmp_path, checkout, **keys)
    message = problems(fetched)
    got, fix = WRONG[how]
    assert f"source hub_registry: {checkout.resolve()}: " in message
    assert got in message
    assert fix in message
    found = [seen.words for seen in examined(fetched) if seen.state == "problem"]
    assert any(got in words for words in found)
    assert not any(landed for landed in fetched.landed())


def test_a_registry_that_is_gone_leaves_what_was_there(tmp_path: Path) -> None:
    checkout = repository(tmp_path / "registry", *REEF)
    fetched = nights(tmp_path, checkout)
    fetched.fetch()
    tell(checkout, Told(day(3), {at("reef"): None, "clusters/reef/cluster.yaml": cluster("reef", "coral")}))
    outcome = fetched.fetch()
    assert "below 'config/clusters' now" in outcome.problems["config/clusters"]
    assert fetched.loaded() == REEFS


def test_a_folder_that_is_another_in_kpi_toml_takes_the_old_ones_place_once_it_came_through(tmp_path: Path) -> None:
    checkout = repository(tmp_path / "registry", *REEF)
    nights(tmp_path, checkout).fetch()
    moved = nights(tmp_path, checkout, folder="clusters")
    assert "below 'clusters' now" in moved.fetch().problems["clusters"]
    assert moved.loaded() == REEFS
    tell(checkout, Told(day(5), {at("reef"): None, "clusters/pond/cluster.yaml": cluster("pond", "lily")}))
    moved.clock.turn(days=1)
    assert moved.fetch().problems == {}
    assert moved.loaded() == [("pond/lily", "lily", said(day(5)), FOREVER)]


def shim(folder: Path, script: str) -> str:
    """A PATH whose git does something else, or something more."""
    folder.mkdir()
    program = folder / "git"
    program.write_text(f"#!/bin/sh\nREAL={shutil.which('git')}\n{script}\n")
    program.chmod(0o755)
    return f"{folder}:{os.environ['PATH']}"


@pytest.fixture
def _short_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running_git._run, "__kwdefaults__", {**running_git._run.__kwdefaults__, "seconds": 2.0})
    monkeypatch.setattr(running_git, "MAX_BYTES", 20_000)


GITS = {
    "missing": ("", "git: got it can't be run: No such file or directory", "Install git, so that PATH finds it"),
    "old": ("echo git version 2.25.1", "git: got git version 2.25.1; expected 2.32 or later", "Install a newer git"),
    "silent": ('for a; do if [ "$a" = log ]; then sleep 60; fi; done; exec $REAL "$@"', "no end after 2 seconds", ""),
    "deaf": (
        'for a; do if [ "$a" = log ]; then exec >&-; sleep 60; fi; done; exec $REAL "$@"',
        "no end after 2 seconds",
        "",
    ),
    "endless": ('for a; do if [ "$a" = log ]; then exec yes; fi; done; exec $REAL "$@"', "more than 20,000 bytes", ""),
    "noisy": (
        'for a; do if [ "$a" = log ]; then exec yes >&2; fi; done; exec $REAL "$@"',
        "more than 20,000 bytes",
        "",
    ),
    "failing": ('for a; do if [ "$a" = log ]; then exit 3; fi; done; exec $REAL "$@"', "git log: exit status 3", ""),
}


@pytest.mark.parametrize("how", GITS)
@pytest.mark.usefixtures("_short_limits")
def test_a_git_that_goes_wrong(how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkout = repository(tmp_path / "registry", *REEF)
    script, got, fix = GITS[how]
    monkeypatch.setenv("PATH", shim(tmp_path / "bin", script) if script else str(tmp_path / "nothing"))
    message = problems(nights(tmp_path, checkout))
    assert got in message
    assert fix in message


# Whom nobody has to trust

# Each of these would make the file `marker`, were it run.
HOSTILE = """
[core]
    fsmonitor = {run}
    hooksPath = {hooks}
    pager = {run}
    sshCommand = {run}
    askPass = {run}
    gitProxy = {run}
    alternateRefsCommand = {run}
    editor = {run}
    attributesFile = {attributes}
[pager]
    log = {run}
[diff]
    external = {run}
[diff "yaml"]
    textconv = {run}
    command = {run}
[filter "yaml"]
    smudge = {run}
    clean = {run}
    process = {run}
[credential]
    helper = "!{run}"
[gpg]
    program = {run}
[log]
    showSignature = true
[uploadpack]
    packObjectsHook = {run}
[protocol]
    allow = always
[protocol "ext"]
    allow = always
[include]
    path = {included}
[alias]
    log = "!{run}"
    rev-parse = "!{run}"
    cat-file = "!{run}"
[extensions]
    partialClone = origin
[gc]
    auto = 1
[maintenance]
    auto = true
"""


@pytest.fixture
def hostile(tmp_path: Path) -> tuple[Path, Path, Path]:
    """A clone that runs something whatever is done in it, its origin, and the file that is made then."""
    origin, clone = cloned(tmp_path, *REEF)
    marker, hooks = tmp_path / "marker", tmp_path / "hooks"
    program = tmp_path / "program"
    program.write_text(f'#!/bin/sh\necho "$0 $@" >> {marker}\nexit 0\n')
    program.chmod(0o755)
    for folder in (hooks, clone / ".git" / "hooks"):
        folder.mkdir(exist_ok=True)
        for name in ("reference-transaction", "post-checkout", "post-index-change", "pre-auto-gc", "post-merge"):
            shutil.copy(program, folder / name)
    (clone / ".git" / "info" / "attributes").write_text("* diff=yaml filter=yaml\n")
    (tmp_path / "attributes").write_text("* diff=yaml filter=yaml\n")
    (tmp_path / "included").write_text(f'[diff "yaml"]\n textconv = {program}\n')
    with (clone / ".git" / "config").open("a") as config:
        config.write(
            HOSTILE.format(run=program, hooks=hooks, included=tmp_path / "included", attributes=tmp_path / "attributes")
        )
    git(clone, "config", "--file", ".git/config", "remote.origin.uploadpack", str(program))
    git(clone, "config", "--file", ".git/config", "remote.origin.promisor", "true")
    return origin, clone, marker


def test_a_hostile_checkout_runs_nothing(hostile: tuple[Path, Path, Path], tmp_path: Path) -> None:
    _, clone, marker = hostile
    # It would indeed.
    with suppress(AssertionError):
        git(clone, "status")
    assert marker.exists()
    marker.unlink()
    fetched = nights(tmp_path, clone)
    fetched.fetch()
    assert [seen.state for seen in examined(fetched)].count("problem") == 0
    assert not marker.exists()
    assert fetched.loaded() == REEFS


def test_a_hostile_checkout_runs_nothing_when_news_are_fetched(
    hostile: tuple[Path, Path, Path], tmp_path: Path
) -> None:
    origin, clone, marker = hostile
    tell(origin, Told(day(7), {at("pond"): cluster("pond", "lily")}))
    fetched = nights(tmp_path, clone, ref="origin/main", fetch=True)
    fetched.fetch()
    assert [seen.state for seen in examined(fetched)].count("problem") == 0
    assert not marker.exists()
    assert [hub[0] for hub in fetched.loaded()] == ["pond/lily", "reef/coral", "reef/kelp"]


@pytest.mark.parametrize("address", ["ext::sh -c touch% {marker}", "--upload-pack=touch {marker}", "file::{marker}"])
def test_an_address_that_is_a_program(address: str, tmp_path: Path) -> None:
    _, clone = cloned(tmp_path, *REEF)
    git(clone, "config", "protocol.ext.allow", "always")
    git(clone, "config", "remote.origin.url", address.format(marker=tmp_path / "marker"))
    problems(nights(tmp_path, clone, ref="origin/main", fetch=True))
    assert not (tmp_path / "marker").exists()


def test_somebody_elses_checkout_is_read_without_a_word(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkout = repository(tmp_path / "registry", *REEF)
    # So git plays it in its own tests.
    as_another = {"GIT_TEST_ASSUME_DIFFERENT_OWNER": "1"}
    with pytest.raises(AssertionError, match="dubious ownership"):
        git(checkout, "log", **as_another)
    monkeypatch.setenv("PATH", shim(tmp_path / "bin", 'GIT_TEST_ASSUME_DIFFERENT_OWNER=1 exec $REAL "$@"'))
    fetched = nights(tmp_path, checkout)
    fetched.fetch()
    assert fetched.loaded() == REEFS


def test_variables_of_ours_change_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = repository(tmp_path / "other", Told(day(1), {at("reef"): cluster("reef", "other")}))
    monkeypatch.setenv("GIT_DIR", str(other / ".git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(other))
    monkeypatch.setenv("GIT_EXTERNAL_DIFF", "false")
    monkeypatch.setenv("GIT_TRACE", str(tmp_path / "trace"))
    fetched = nights(tmp_path, repository(tmp_path / "registry", *REEF))
    fetched.fetch()
    assert fetched.loaded() == REEFS
    assert not (tmp_path / "trace").exists()


# What the configuration and the doctor say


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"folder": "../elsewhere"}, "leads out of the repository"),
        ({"folder": "/etc"}, "leads out of the repository"),
        ({"files": ["a/../../b"]}, "leads out of the repository"),
        ({"files": []}, "names none"),
        ({"ref": "--output=x"}, "should match pattern"),
        ({"fetch": True}, "needs a ref of the remote"),
        ({"fetch": True, "ref": "main"}, "needs a ref of the remote"),
    ],
)
def test_a_configuration_that_is_wrong(keys: Mapping[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        HubRegistryGit.model_validate({"kind": "git", "path": "x", **keys})


def test_the_path_is_relative_to_kpi_toml(tmp_path: Path) -> None:
    repository(tmp_path / "registry", *REEF)
    configured = HubRegistryGit.model_validate({"kind": "git", "path": "registry"})
    with closing(connector("hub_registry", configured, Tools(folder=tmp_path))) as asked:
        glance = fetching.Glance(NIGHT, Budget())
        assert asked.parts(glance) == ["registry"]
        assert [seen.state for seen in asked.examine(glance)] == ["ok", "ok", "ok"]


def test_the_doctor_says_how_old_things_are(tmp_path: Path) -> None:
    _, clone = cloned(tmp_path, *REEF, Told(day(3), {at("pond"): cluster("pond", "lily")}))
    fetched = nights(tmp_path, clone)
    commit = git(clone, "rev-parse", "--short=12", "HEAD")
    version = git(clone, "version")
    heard = "it heard of its remote {}; days since then are missing, unless fetch = true"
    newest = Seen("ok", f"{version}; HEAD is {commit} of 2026-01-03 12:00 UTC, 65 day(s) ago")
    assert examined(fetched) == [
        newest,
        Seen("note", heard.format("63 day(s) ago")),
        Seen("ok", "2 file(s) with 3 hub(s)"),
    ]
    (clone / ".git" / "FETCH_HEAD").write_text("something")
    touch(clone / ".git" / "FETCH_HEAD", NIGHT - timedelta(hours=3, minutes=5))
    assert examined(fetched)[1] == Seen("ok", heard.format("3 hour(s) ago"))
