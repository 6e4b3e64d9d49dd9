"""The landing zone keeps what was delivered, byte for byte, privately, and whole or not at all."""

import gzip
import hashlib
import json
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kpi_pipeline.errors import LandingError
from kpi_pipeline.landing import Landing, Manifest
from kpi_pipeline.landing.zone import SMALL_BYTES

AT = datetime(2025, 7, 10, 6, tzinfo=UTC)
LATER = AT + timedelta(days=1)


def dropped(folder: Path, **contents: bytes) -> list[tuple[str, Path]]:
    folder.mkdir(exist_ok=True)
    files = []
    for name, content in contents.items():
        path = folder / name.replace("_", ".")
        path.write_bytes(content)
        files.append((path.name, path))
    return files


def land(root: Path, at: datetime = AT, kind: str = "table", **contents: bytes) -> Manifest | None:
    return Landing(root / "landing").land("hub_activity", kind, dropped(root / "drop", **contents), at)


def objects(root: Path) -> list[Path]:
    return sorted(p for p in (root / "landing" / "hub_activity" / "objects").rglob("*") if p.is_file())


def manifests(root: Path) -> list[Path]:
    return sorted((root / "landing" / "hub_activity" / "manifests").iterdir())


def test_objects_hold_exactly_what_was_delivered(tmp_path: Path) -> None:
    packed = gzip.compress(b"packed by others", mtime=5)
    contents = {"a_csv": b"a,b\r\n1,\xff\n", "b_csv_gz": packed, "c_parquet": b"PAR1\0\1PAR1", "d_csv": b""}
    manifest = land(tmp_path, **contents)
    assert manifest is not None
    found = {f.name: f for f in manifest.files}
    assert {name: f.encoding for name, f in found.items()} == {
        "a.csv": "gzip",
        "b.csv.gz": "identity",
        "c.parquet": "identity",
        "d.csv": "gzip",
    }
    for key, content in contents.items():
        file = found[key.replace("_", ".")]
        lying = Landing(tmp_path / "landing").path("hub_activity", file).read_bytes()
        assert (gzip.decompress(lying) if file.encoding == "gzip" else lying) == content
        assert file.bytes == len(content)
        assert file.sha256 == hashlib.sha256(content).hexdigest()
        assert file.sha256 in file.object


def test_manifest_says_what_when_and_of_what_kind(tmp_path: Path) -> None:
    land(tmp_path, a_csv=b"x")
    (path,) = manifests(tmp_path)
    assert path.name == "000001-20250710T060000Z.json"
    written = json.loads(path.read_text())
    assert (written["source"], written["kind"]) == ("hub_activity", "table")
    assert datetime.fromisoformat(written["fetched_at"]) == AT
    assert [f["name"] for f in written["files"]] == ["a.csv"]


def test_same_content_makes_no_manifest(tmp_path: Path) -> None:
    assert land(tmp_path, a_csv=b"x", b_csv=b"y") is not None
    assert land(tmp_path, LATER, a_csv=b"x", b_csv=b"y") is None
    assert len(manifests(tmp_path)) == 1
    assert len(objects(tmp_path)) == 2


def test_another_kind_makes_a_manifest_even_of_the_same_content(tmp_path: Path) -> None:
    land(tmp_path, a_csv=b"x")
    changed = land(tmp_path, LATER, "cluster_yaml", a_csv=b"x")
    assert changed is not None
    assert changed.kind == "cluster_yaml"
    assert len(manifests(tmp_path)) == 2


def test_content_that_did_not_change_keeps_its_day(tmp_path: Path) -> None:
    land(tmp_path, a_csv=b"x", b_csv=b"y")
    second = land(tmp_path, LATER, a_csv=b"x", b_csv=b"z")
    assert second is not None
    assert {f.name: f.fetched_at for f in second.files} == {"a.csv": AT, "b.csv": LATER}
    assert len(objects(tmp_path)) == 3


@pytest.mark.parametrize("size", [1, SMALL_BYTES, SMALL_BYTES + 1])
def test_a_change_that_keeps_the_size_is_a_change(tmp_path: Path, size: int) -> None:
    """Small files are compared one by one, large ones side by side."""
    assert land(tmp_path, a_csv=b"x" * size, b_csv=b"small") is not None
    assert land(tmp_path, LATER, a_csv=b"x" * size, b_csv=b"small") is None
    second = land(tmp_path, LATER, a_csv=b"x" * (size - 1) + b"y", b_csv=b"small")
    assert second is not None
    assert {f.name: f.fetched_at for f in second.files} == {"a.csv": LATER, "b.csv": AT}


def test_same_content_under_two_names_is_one_object(tmp_path: Path) -> None:
    manifest = land(tmp_path, a_csv=b"x", b_csv=b"x")
    assert manifest is not None
    assert len(manifest.files) == 2
    assert len(objects(tmp_path)) == 1


def test_state_is_the_newest_listing_and_log_is_all_of_them(tmp_path: Path) -> None:
    land(tmp_path, a_csv=b"x", b_csv=b"y")
    land(tmp_path, LATER, b_csv=b"z")
    landing = Landing(tmp_path / "landing")
    sha = {content: hashlib.sha256(content).hexdigest() for content in (b"x", b"z")}
    assert [(f.name, f.sha256) for f in landing.files("hub_activity", "state")] == [("b.csv", sha[b"z"])]
    assert [(f.name, f.sha256) for f in landing.files("hub_activity", "log")] == [
        ("a.csv", sha[b"x"]),
        ("b.csv", sha[b"z"]),
    ]


def test_source_that_was_never_landed_has_no_files(tmp_path: Path) -> None:
    landing = Landing(tmp_path / "landing")
    assert landing.newest("hub_activity") is None
    assert landing.files("hub_activity", "state") == landing.files("hub_activity", "log") == []


def test_only_the_owner_may_look(tmp_path: Path) -> None:
    (tmp_path / "landing").mkdir(mode=0o755)
    land(tmp_path, a_csv=b"x")
    assert stat.S_IMODE((tmp_path / "landing").stat().st_mode) == 0o700


def test_leftovers_of_a_crash_are_cleaned_and_never_read(tmp_path: Path) -> None:
    land(tmp_path, a_csv=b"x")
    folder = tmp_path / "landing" / "hub_activity"
    leftovers = [folder / "manifests" / ".tmp-77-000002-x.json", folder / "objects" / "ab" / ".tmp-77-abc.gz"]
    for leftover in leftovers:
        leftover.parent.mkdir(exist_ok=True)
        leftover.write_bytes(b"{ half a manif")
    assert len(Landing(tmp_path / "landing").manifests("hub_activity")) == 1
    land(tmp_path, LATER, a_csv=b"x")
    assert not any(leftover.exists() for leftover in leftovers)


def test_file_that_cannot_be_read_lands_nothing(tmp_path: Path) -> None:
    files = [*dropped(tmp_path / "drop", a_csv=b"x"), ("b.csv", tmp_path / "drop" / "b.csv")]
    landing = Landing(tmp_path / "landing")
    with pytest.raises(FileNotFoundError):
        landing.land("hub_activity", "table", files, AT)
    assert landing.newest("hub_activity") is None
    assert manifests(tmp_path) == []


def test_numbers_go_on_after_old_manifests_were_removed(tmp_path: Path) -> None:
    for day, content in enumerate((b"1", b"2", b"3")):
        land(tmp_path, AT + timedelta(days=day), a_csv=content)
    manifests(tmp_path)[0].unlink()
    land(tmp_path, AT + timedelta(days=3), a_csv=b"4")
    assert [path.name[:6] for path in manifests(tmp_path)] == ["000002", "000003", "000004"]
    newest = Landing(tmp_path / "landing").newest("hub_activity")
    assert newest is not None
    assert newest.fetched_at == AT + timedelta(days=3)


def test_missing_object(tmp_path: Path) -> None:
    manifest = land(tmp_path, a_csv=b"x")
    assert manifest is not None
    (lost,) = objects(tmp_path)
    lost.unlink()
    with pytest.raises(LandingError) as caught:
        Landing(tmp_path / "landing").path("hub_activity", manifest.files[0])
    message = str(caught.value)
    assert str(lost) in message
    assert "got no such file" in message
    assert "the content of a.csv, as its manifest says" in message
    assert "Restore the landing zone from its backup" in message


@pytest.mark.parametrize("content", [b"", b"{", b'{"source": "x"}', b"[]"])
def test_manifest_that_is_none(tmp_path: Path, content: bytes) -> None:
    land(tmp_path, a_csv=b"x")
    (path,) = manifests(tmp_path)
    path.write_bytes(content)
    with pytest.raises(LandingError, match="expected a manifest") as caught:
        Landing(tmp_path / "landing").newest("hub_activity")
    assert caught.value.culprit == str(path)
    assert "backup" in caught.value.fix


def test_file_that_is_written_to_meanwhile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (file,) = dropped(tmp_path / "drop", a_csv=b"first")
    monkeypatch.setattr("kpi_pipeline.landing.zone.hashed", lambda _: (hashlib.sha256(b"before").hexdigest(), 6))
    with pytest.raises(LandingError, match="other bytes at the second reading") as caught:
        Landing(tmp_path / "landing").land("hub_activity", "table", [file], AT)
    assert "rename it when it is whole" in caught.value.fix
    assert objects(tmp_path) == []
    assert manifests(tmp_path) == []


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=4000))
def test_any_bytes_come_back(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    root = tmp_path_factory.mktemp("any")
    manifest = land(root, a_csv=content)
    assert manifest is not None
    assert gzip.decompress(objects(root)[0].read_bytes()) == content
    assert manifest.files[0].bytes == len(content)
