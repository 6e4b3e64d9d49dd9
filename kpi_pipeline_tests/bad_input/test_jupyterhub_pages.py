"""Pages of a JupyterHub's users, dropped as files: what is wrong is named with its place, and the rest arrives."""

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest
from pydantic import SecretStr

from kpi_pipeline.landing import Landing
from kpi_pipeline.settings.sources import HubActivityFiles
from kpi_pipeline.sources.files import list_files
from kpi_pipeline.stages import activity
from kpi_pipeline_tests.bad_input.organisation import FETCHED, SECRET, empty_warehouse, key_of

ALICE = {"kind": "user", "name": "zz-alice", "last_activity": "2025-06-01T23:59:59.999999Z"}
BOBBY = {"kind": "user", "name": "zz-bobby", "last_activity": "2025-06-02T00:00:00Z"}
GOOD = [("2025-06-01", "reef", "coral", key_of("zz-alice")), ("2025-06-02", "reef", "coral", key_of("zz-bobby"))]
PAGE = "reef/coral/1.json"
Found = tuple[list[tuple[Any, ...]], list[tuple[Any, ...]]]


class Drop:
    """A folder of pages, and what comes of it in raw."""

    def __init__(self, root: Path, con: duckdb.DuckDBPyConnection) -> None:
        self.root, self.con = root, con

    def put(self, name: str, content: Any) -> None:
        path = self.root / "pages" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())

    def load(self) -> Found:
        """The rows in raw, and (file, row, reason) of what was rejected."""
        landing = Landing(self.root / "landing")
        landing.land("hub_activity", "jupyterhub_json", list_files("hub_activity", self.root / "pages"), FETCHED)
        configured = HubActivityFiles(kind="jupyterhub_json", path=Path("pages"))
        activity.load(self.con, landing, configured, SecretStr(SECRET))
        rows = self.con.execute("select date::varchar, cluster, hub, person_key from raw.hub_activity order by all")
        found = rows.fetchall()
        rejected = self.con.execute("select file, row, reason from raw.quarantine order by all").fetchall()
        return found, rejected


@pytest.fixture
def drop(tmp_path: Path) -> Iterator[Drop]:
    path = tmp_path / "warehouse.duckdb"
    path.write_bytes(empty_warehouse())
    with duckdb.connect(str(path)) as con:
        con.execute("set timezone = 'UTC'")
        yield Drop(tmp_path, con)


@pytest.mark.parametrize(
    "page",
    [
        [ALICE, BOBBY],
        {"items": [ALICE, BOBBY], "_pagination": {"offset": 0, "limit": 200, "total": 2, "next": None}},
        b"\xef\xbb\xbf" + json.dumps([ALICE, BOBBY]).encode(),
        [ALICE, {**ALICE, "name": "zz-idle", "last_activity": None}, {"name": "zz-idler"}, BOBBY],
        [ALICE, {**BOBBY, "last_activity": "2025-06-02T02:00:00+02:00"}],
    ],
    ids=["a list", "a page", "a mark in front", "with users who never were active", "in another zone"],
)
def test_a_good_page(drop: Drop, page: Any) -> None:
    drop.put(PAGE, page)
    assert drop.load() == (GOOD, [])


def test_names_in_any_spelling(drop: Drop) -> None:
    names = {
        "ZZ-Änne": "zz-änne",
        " zz-straße ": "zz-strasse",
        "zz-ｆｕｌｌ": "zz-full",
        "zz-\U0001f600": "zz-\U0001f600",
    }
    drop.put(PAGE, [{**ALICE, "name": name} for name in names])
    rows, rejected = drop.load()
    assert rejected == []
    assert {row[-1] for row in rows} == {key_of(normal) for normal in names.values()}


def test_folders_are_percent_encoded(drop: Drop) -> None:
    drop.put("re%2Fef/co%20ral/2025/june/1.json", [ALICE])
    assert drop.load() == ([("2025-06-01", "re/ef", "co ral", key_of("zz-alice", "re/ef"))], [])


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("reef/coral/2.json", b"", "not_json"),
        ("reef/coral/2.json", b"[{", "not_json"),
        ("reef/coral/2.json", b"<html>", "not_json"),
        ("reef/coral/2.json", b'[{"name": "\xff"}]', "not_utf8"),
        ("reef/coral/2.json.gz", gzip.compress(b"[]" * 1000, mtime=0)[:-9], "truncated"),
        ("reef/coral/2.json", {"message": "Forbidden", "status": 403}, "not_a_list"),
        ("reef/coral/2.json", {"items": {}}, "not_a_list"),
        ("reef/coral/2.json", 3, "not_a_list"),
        ("reef/coral/2.json", "null", "not_a_list"),
        ("reef/2.json", [ALICE], "no_hub_folder"),
        ("2.json", [ALICE], "no_hub_folder"),
    ],
)
def test_a_page_that_can_not_be_read(drop: Drop, name: str, content: Any, reason: str) -> None:
    """It is named, and the other page arrives."""
    drop.put(PAGE, [ALICE, BOBBY])
    drop.put(name, content)
    assert drop.load() == (GOOD, [(name, None, reason)])


@pytest.mark.parametrize(
    ("user", "reason"),
    [
        (3, "not_an_object"),
        (None, "not_an_object"),
        ({**ALICE, "last_activity": "yesterday"}, "invalid:last_activity"),
        ({**ALICE, "last_activity": {}}, "invalid:last_activity"),
        ({**ALICE, "last_activity": "2025-07-11T00:00:00Z"}, "future:date"),
        ({"last_activity": ALICE["last_activity"]}, "missing:username"),
        ({**ALICE, "name": None}, "missing:username"),
        ({**ALICE, "name": "  "}, "missing:username"),
    ],
)
def test_a_user_that_can_not_be_read(drop: Drop, user: Any, reason: str) -> None:
    """It is named by its place on the page, and the others arrive."""
    drop.put(PAGE, [ALICE, user, BOBBY])
    assert drop.load() == (GOOD, [(PAGE, 2, reason)])


def test_many_pages_in_several_goes(drop: Drop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each row is of its page; a newer version of a page takes the place of the older."""
    monkeypatch.setattr(activity, "BATCH_BYTES", 1000)
    for n in range(60):
        drop.put(f"reef/hub-{n}/1.json", [{**ALICE, "name": f"zz-{n}"}] if n % 10 else b"[")
    rows, rejected = drop.load()
    assert sorted((hub, key) for _, _, hub, key in rows) == sorted(
        (f"hub-{n}", key_of(f"zz-{n}")) for n in range(60) if n % 10
    )
    assert sorted(file for file, _, _ in rejected) == sorted(f"reef/hub-{n}/1.json" for n in range(0, 60, 10))
    drop.put("reef/hub-10/1.json", [ALICE])
    drop.put("reef/hub-11/1.json", [])
    rows, rejected = drop.load()
    assert ("2025-06-01", "reef", "hub-10", key_of("zz-alice")) in rows
    assert not [row for row in rows if row[2] == "hub-11"]
    assert len(rows) == 54
    assert len(rejected) == 5
