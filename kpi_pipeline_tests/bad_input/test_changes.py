"""Files that come again, change, or go away: only what changed is read and counted anew."""

from datetime import timedelta

import pytest

from kpi_pipeline.contracts import RECORDS
from kpi_pipeline.errors import LandingError
from kpi_pipeline.stages import dirty, raw

from .organisation import FETCHED, FIRST, GOOD_DAYS, HEADER, LATER, REGISTRY, REGISTRY_HEADER, Organisation, key_of

NEXT_DAY = FETCHED + timedelta(days=1)


def csv(*rows: str) -> str:
    return "\n".join([HEADER, *rows, ""])


@pytest.fixture
def grown(org: Organisation) -> Organisation:
    """Two files of activity, counted."""
    org.drop("hub_activity", "a.csv", csv(FIRST, LATER[0]))
    org.drop("hub_activity", "b.csv", csv(LATER[1]))
    org.run()
    assert org.user_days() == GOOD_DAYS
    return org


def test_same_content_again_changes_nothing(grown: Organisation) -> None:
    before = [p.name for p in grown.landing.root.rglob("*.json")]
    loads = grown.query("select * from raw.loads order by all")
    assert grown.run(NEXT_DAY) == []
    assert [p.name for p in grown.landing.root.rglob("*.json")] == before
    assert len(before) == 2
    assert grown.query("select * from raw.loads order by all") == loads
    assert grown.user_days() == GOOD_DAYS


def test_changed_file_marks_exactly_its_old_and_new_days(grown: Organisation) -> None:
    grown.drop("hub_activity", "b.csv", csv("2025-06-05,reef,kelp,zz-alice", "2025-06-07,reef,kelp,zz-carol", "x"))
    grown.land(NEXT_DAY)
    grown.close()
    with grown.warehouse.open() as con:
        loaded = raw.load(con, grown.landing, RECORDS["hub_activity"], grown.settings.id_secret, True)
        marked = [str(day) for day in dirty.days(con, dirty.STAGED)]
        untouched = con.execute("select count(*) from raw.hub_activity where _file = 'a.csv'").fetchall()
    assert (loaded.files, loaded.removed, loaded.rows) == (1, 0, 4)
    assert dict(loaded.rejected) == {"wrong_column_count": 1}
    assert marked == ["2025-06-02", "2025-06-05", "2025-06-07"]
    assert untouched == [(2,)]
    assert [str(day) for day in grown.load()] == marked
    assert grown.user_days() == sorted(
        [
            *GOOD_DAYS[:2],
            ("2025-06-05", "reef/kelp", key_of("zz-alice")),
            ("2025-06-07", "reef/kelp", key_of("zz-carol")),
        ]
    )
    assert grown.counts() == [("2025-06-01", 2, 2), ("2025-06-05", 1, 2), ("2025-06-07", 1, 3)]


def test_file_that_vanishes_from_a_log_stays(grown: Organisation) -> None:
    (grown.root / "hub_activity" / "b.csv").unlink()
    assert grown.run(NEXT_DAY) == []
    assert grown.user_days() == GOOD_DAYS
    grown.drop("hub_activity", "c.csv", csv("2025-06-03,reef,coral,zz-carol"))
    grown.run(NEXT_DAY + timedelta(days=1))
    assert grown.user_days() == sorted([*GOOD_DAYS, ("2025-06-03", "reef/coral", key_of("zz-carol"))])


def test_file_that_vanishes_from_a_state_goes(grown: Organisation) -> None:
    grown.drop("hub_registry", "more.csv", f"{REGISTRY_HEADER}\n2025-01-01,,reef,gcp,atoll,Atoll,,,\n")
    grown.drop("hub_registry", "broken.csv", "x\n")
    grown.run(NEXT_DAY)
    assert [hub[0] for hub in grown.hubs()] == ["reef/atoll", "reef/coral", "reef/kelp"]
    assert grown.quarantine() == [("broken.csv", None, "wrong_columns")]
    for name in ("more.csv", "broken.csv"):
        (grown.root / "hub_registry" / name).unlink()
    grown.run(NEXT_DAY + timedelta(days=1))
    assert [hub[0] for hub in grown.hubs()] == ["reef/coral", "reef/kelp"]
    assert grown.quarantine() == []
    assert grown.query("select file, rows from raw.loads where source = 'hub_registry'") == [("hubs.csv", 2)]
    assert grown.user_days() == GOOD_DAYS


def test_another_secret_makes_everybody_another(grown: Organisation, monkeypatch: pytest.MonkeyPatch) -> None:
    other = "another-secret-for-tests"
    monkeypatch.setenv("KPI_ID_SECRET", other)
    grown.load()
    assert {day[2] for day in grown.user_days()} == {
        key_of("zz-alice", secret=other),
        key_of("zz-bobby", secret=other),
    }
    assert grown.counts() == [("2025-06-01", 2, 2), ("2025-06-02", 1, 2)]


def test_missing_object_stops_the_load_and_leaves_the_warehouse(grown: Organisation) -> None:
    grown.drop("hub_activity", "a.csv", csv("2025-06-09,reef,coral,zz-carol"))
    grown.land(NEXT_DAY)
    changed = next(f for f in grown.landing.files("hub_activity", "log") if f.name == "a.csv")
    lost = grown.landing.path("hub_activity", changed)
    lost.unlink()
    with pytest.raises(LandingError) as caught:
        grown.load()
    message = str(caught.value)
    assert str(lost) in message
    assert "got no such file" in message
    assert "the content of a.csv" in message
    assert "Restore the landing zone from its backup" in message
    assert grown.user_days() == GOOD_DAYS


def test_broken_file_beside_a_broken_file(org: Organisation) -> None:
    """What goes wrong in one file takes nothing of the others along, whatever the order."""
    org.drop("hub_activity", "1.parquet", b"PAR1 none PAR1")
    org.drop("hub_activity", "2.csv", csv(FIRST, LATER[0]))
    org.drop("hub_activity", "3.json", b"[{")
    org.drop("hub_activity", "4.csv.gz", b"\x1f\x8b\x08")
    org.drop("hub_activity", "5.csv", csv('2025-06-02,reef,coral,"zz-alice'))
    org.drop("hub_activity", "6.csv", csv(LATER[1]))
    org.run()
    assert org.quarantine() == [
        ("1.parquet", None, "not_parquet"),
        ("3.json", None, "not_json"),
        ("4.csv.gz", None, "truncated"),
        ("5.csv", None, "unclosed_quote"),
    ]
    assert org.user_days() == GOOD_DAYS
    assert org.query("select file, rows from raw.loads where source = 'hub_activity' order by file") == [
        ("1.parquet", 0),
        ("2.csv", 2),
        ("3.json", 0),
        ("4.csv.gz", 0),
        ("5.csv", 0),
        ("6.csv", 1),
    ]


def test_same_user_day_in_two_files_counts_once(grown: Organisation) -> None:
    grown.drop("hub_activity", "c.csv", csv(FIRST.replace("zz-alice", " ZZ-ALICE"), *LATER))
    grown.run(NEXT_DAY)
    assert grown.user_days() == GOOD_DAYS
    assert grown.counts() == [("2025-06-01", 2, 2), ("2025-06-02", 1, 2)]
    assert grown.query("select date::varchar, raw_rows, duplicates from staged.activity_accounting order by date") == [
        ("2025-06-01", 4, 2),
        ("2025-06-02", 2, 1),
    ]


def test_registry_unchanged_loads_nothing(grown: Organisation) -> None:
    grown.drop("hub_registry", "hubs.csv", REGISTRY)
    grown.land(NEXT_DAY)
    grown.close()
    with grown.warehouse.open() as con:
        loaded = raw.load(con, grown.landing, RECORDS["hub_registry"], None, True)
    assert (loaded.files, loaded.removed, loaded.rows) == (0, 0, 2)
