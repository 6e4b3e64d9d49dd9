"""The program that draws is made once, kept, and never taken from a copy that is damaged or of another version."""

from pathlib import Path

import pytest

from kpi_pipeline.report import vega

MADE = "made now"


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The versions that were bundled."""
    versions: list[str] = []

    def bundle(*, vl_version: str) -> str:
        versions.append(vl_version)
        return MADE

    monkeypatch.setattr(vega.vl_convert, "javascript_bundle", bundle)
    return versions


def kept(folder: Path) -> list[str]:
    return [path.read_text() for path in folder.iterdir()]


def test_it_is_made_once(tmp_path: Path, made: list[str]) -> None:
    first, again = vega.script(tmp_path), vega.script(tmp_path)
    assert first == again == b"(() => {\nmade now\n})();\n"
    assert made == [vega.VERSION]
    assert kept(tmp_path) == [MADE]


@pytest.mark.parametrize("damage", [b"", b"made n", b"made by somebody else"])
def test_what_is_damaged_is_made_anew(tmp_path: Path, made: list[str], damage: bytes) -> None:
    first = vega.script(tmp_path)
    (copy,) = tmp_path.iterdir()
    copy.write_bytes(damage)
    assert vega.script(tmp_path) == first
    assert len(made) == 2
    assert kept(tmp_path) == [MADE]


@pytest.mark.parametrize("what", ["VERSION", "BUNDLER"])
def test_what_is_of_another_version_is_made_anew(
    tmp_path: Path, made: list[str], monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    vega.script(tmp_path)
    before = set(tmp_path.iterdir())
    monkeypatch.setattr(vega, what, "99.9")
    vega.script(tmp_path)
    assert len(made) == 2
    assert len(kept(tmp_path)) == 1, "the other one is of no use any more"
    assert before.isdisjoint(tmp_path.iterdir())


def test_a_copy_that_is_written_half_counts_for_nothing(
    tmp_path: Path, made: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", die)
        with pytest.raises(KeyboardInterrupt):
            vega.script(tmp_path)
    assert kept(tmp_path) == []
    vega.script(tmp_path)
    assert len(made) == 2
