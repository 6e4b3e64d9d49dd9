"""Pruning the landing zone: exactly what was superseded long enough ago goes, and nothing that a rebuild reads."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kpi_pipeline.assets.published import prune_landing
from kpi_pipeline.landing import Landing, Pruned, unpacked
from kpi_pipeline_tests.bad_input.organisation import FETCHED, HEADER, Organisation

FIRST = date(2025, 1, 1)
SOURCE = "hub_registry"
Delivery = Literal["state", "log"]
# Days since the fetch before, files by name, kind. Few names and contents, so that they come back.
FETCH = st.tuples(
    st.integers(1, 9),
    st.dictionaries(st.sampled_from("abc"), st.sampled_from("uvwxyz"), min_size=1),
    st.sampled_from(["table", "table", "cluster_yaml"]),
)


def land(root: Path, fetches: list[tuple[int, dict[str, str], str]]) -> list[tuple[date, dict[str, str], str]]:
    """Lands fetches; returns what was delivered when, those left out that changed nothing."""
    landing, day, delivered = Landing(root / "landing"), FIRST, []
    for number, (gap, contents, kind) in enumerate(fetches):
        day += timedelta(days=gap)
        drop = root / str(number)
        drop.mkdir()
        for name, content in contents.items():
            (drop / name).write_text(content)
        at = datetime(day.year, day.month, day.day, 5, tzinfo=UTC)
        if landing.land(SOURCE, kind, [(name, drop / name) for name in sorted(contents)], at):
            delivered.append((day, contents, kind))
    return delivered


def read(landing: Landing, delivery: Delivery) -> list[tuple[str, str, datetime]]:
    """What a rebuild reads: name, content and when it was fetched."""
    found = []
    for file in landing.files(SOURCE, delivery):
        with unpacked(landing.path(SOURCE, file), file.encoding == "gzip") as content:
            found.append((file.name, content.read().decode(), file.fetched_at))
    return found


def snapshots(landing: Landing) -> list[tuple[datetime, list[str]]]:
    """What a registry of cluster.yaml files is rebuilt from: every fetch, with every content."""
    return [
        (m.fetched_at, [landing.path(SOURCE, file).read_bytes().hex() for file in m.files])
        for m in landing.manifests(SOURCE)
        if m.kind == "cluster_yaml"
    ]


def contents_that_stay(delivered: list[tuple[date, dict[str, str], str]], delivery: Delivery, before: date) -> set[str]:
    """By the definition: a content stays while one delivery of it is not superseded, or was only lately."""
    stay = set()
    for place, (_, contents, kind) in enumerate(delivered):
        for name, content in contents.items():
            later = [day for day, files, _ in delivered[place + 1 :] if delivery == "state" or name in files]
            if kind == "cluster_yaml" or not later or min(later) >= before:
                stay.add(content)
    return stay


def contents_there(root: Path) -> set[str]:
    found = set()
    for path in (root / "landing" / SOURCE / "objects").rglob("*.gz"):
        with unpacked(path, True) as content:
            found.add(content.read().decode())
    return found


@pytest.mark.parametrize("delivery", ["state", "log"])
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(fetches=st.lists(FETCH, min_size=1, max_size=7), days=st.integers(0, 60), stop_after=st.integers(0, 4))
def test_what_a_rebuild_reads_stays_and_the_rest_goes(
    tmp_path_factory: pytest.TempPathFactory,
    delivery: Delivery,
    fetches: list[tuple[int, dict[str, str], str]],
    days: int,
    stop_after: int,
) -> None:
    root = tmp_path_factory.mktemp("retention")
    delivered = land(root, fetches)
    landing = Landing(root / "landing")
    before = FIRST + timedelta(days=days)
    reads, history = read(landing, delivery), snapshots(landing)

    # Killed in the middle: what a rebuild reads is there, and the next run finishes.
    with pytest.MonkeyPatch.context() as patch:
        die_after(patch, stop_after)
        try:
            landing.prune(SOURCE, delivery, before, {"cluster_yaml"})
        except Killed:
            assert read(landing, delivery) == reads
            assert snapshots(landing) == history
    landing.prune(SOURCE, delivery, before, {"cluster_yaml"})

    assert read(landing, delivery) == reads
    assert snapshots(landing) == history
    assert contents_there(root) == contents_that_stay(delivered, delivery, before)
    assert landing.prune(SOURCE, delivery, before, {"cluster_yaml"}) == Pruned()


class Killed(BaseException):
    """As if the process had ended there."""


def die_after(patch: pytest.MonkeyPatch, changes: int) -> None:
    """Lets so many files be deleted or replaced, and no more."""
    left = [changes]

    def limited(name: str) -> None:
        real = getattr(Path, name)

        def change(self: Path, *args: object, **kwargs: object) -> object:
            # Cleaning up after itself is not a change: a killed process doesn't do it, nor does it matter.
            if not self.name.startswith(".tmp-") or name == "replace":
                if not left[0]:
                    raise Killed
                left[0] -= 1
            return real(self, *args, **kwargs)

        patch.setattr(Path, name, change)

    limited("unlink")
    limited("replace")


def test_deleted_is_what_is_reported(tmp_path: Path) -> None:
    land(tmp_path, [(1, {"a": "old", "b": "kept"}, "table"), (10, {"a": "new"}, "table")])
    landing = Landing(tmp_path / "landing")
    before = {path: path.stat().st_size for path in (tmp_path / "landing").rglob("*.gz")}
    # Superseded on 12 January: that day still counts as one of those to be kept.
    assert landing.prune(SOURCE, "log", date(2025, 1, 12)) == Pruned()
    pruned = landing.prune(SOURCE, "log", date(2025, 1, 13))
    gone = [size for path, size in before.items() if not path.exists()]
    assert pruned == Pruned(1, sum(gone))
    assert len(gone) == 1
    assert [[file.name for file in m.files] for m in landing.manifests(SOURCE)] == [["b"], ["a"]]


def test_source_that_was_never_landed(tmp_path: Path) -> None:
    assert Landing(tmp_path / "landing").prune("ledger", "log", date(2030, 1, 1)) == Pruned()
    assert not (tmp_path / "landing").exists()


def test_the_period_is_that_of_kpi_toml_and_the_day_that_of_the_clock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    org = Organisation(tmp_path)
    for day, name in enumerate(("zz-alice", "zz-bobby")):
        org.drop("hub_activity", "june.csv", f"{HEADER}\n2025-06-01,reef,coral,{name}\n")
        org.land(datetime(2025, 7, 10 + day, 6, tzinfo=UTC))

    def deleted_on(now: datetime) -> int:
        monkeypatch.setattr("kpi_pipeline.clock.now", lambda: now)
        return prune_landing(org.landing, org.settings).contents

    # 400 days after 11 July 2025 is 15 August 2026, which is still one of them.
    assert deleted_on(datetime(2026, 8, 15, 23, tzinfo=UTC)) == 0
    assert deleted_on(datetime(2026, 8, 16, 1, tzinfo=UTC)) == 1
    org.config.write_text(
        org.config.read_text().replace("[organisation]", "[organisation]\nlanding_retention_days = 30")
    )
    org.drop("hub_activity", "june.csv", f"{HEADER}\n2025-06-01,reef,coral,zz-carol\n")
    org.land(datetime(2026, 8, 16, 6, tzinfo=UTC))
    assert deleted_on(datetime(2026, 9, 15, 1, tzinfo=UTC)) == 0
    assert deleted_on(datetime(2026, 9, 16, 1, tzinfo=UTC)) == 1


def test_a_warehouse_rebuilt_after_pruning_says_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KPI_ID_SECRET", "a-secret-for-tests-only")
    org = Organisation(tmp_path)

    def deliver(day: int, **files: list[str]) -> None:
        for name, rows in files.items():
            org.drop("hub_activity", f"{name}.csv", "\n".join([HEADER, *rows]) + "\n")
        org.run(FETCHED + timedelta(days=day))

    deliver(0, june=["2025-06-01,reef,coral,zz-alice"], may=["2025-05-31,reef,kelp,zz-bobby"])
    (tmp_path / "hub_activity" / "may.csv").unlink()
    org.drop(
        "hub_registry",
        "hubs.csv",
        (tmp_path / "hub_registry" / "hubs.csv").read_text() + "2025-06-01,,reef,gcp,eel,Eel,e,b,\n",
    )
    deliver(1, june=["2025-06-01,reef,coral,zz-alice", "2025-06-02,reef,eel,zz-carol"])
    deliver(
        2,
        june=["2025-06-02,reef,eel,zz-carol", "2025-06-03,reef,coral,no-comma,at,all", "2025-06-04,reef,coral,zz-dave"],
    )
    tables = (
        "raw.hub_registry",
        "raw.hub_activity",
        "raw.quarantine",
        "raw.loads",
        "staged.user_days",
        "facts.active_users",
    )

    def everything() -> list[list[tuple[object, ...]]]:
        org.close()
        with org.warehouse.open() as con:
            return [con.execute(f"select * from {name} order by all").fetchall() for name in tables]

    before = everything()
    assert before[1]
    pruned = [
        org.landing.prune("hub_registry", "state", date(2026, 1, 1)),
        org.landing.prune("hub_activity", "log", date(2026, 1, 1)),
    ]
    assert [p.contents for p in pruned] == [1, 2]
    org.close()
    org.settings.warehouse_path.unlink()
    org.load()
    assert everything() == before
