"""Where the client for notebooks looks, and what it says when there is nothing; what it reads: end_to_end."""

import sys
import tomllib
from pathlib import Path

import duckdb
import pytest

from kpi_pipeline import published
from kpi_pipeline.errors import ConfigError, KpiError
from kpi_pipeline.published import NotInstalledError, NotPublishedError

PROJECT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A working directory with nothing in it or above, and no setting."""
    monkeypatch.delenv("KPI_DATA_DIR", raising=False)
    (tmp_path / "project" / "notebooks").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "project" / "notebooks")


def publish(data: Path, name: str) -> Path:
    """Something that is published, as little as there can be."""
    (data / "published").mkdir(parents=True)
    database = data / "published" / "kpis.duckdb"
    with duckdb.connect(str(database)) as con:
        con.execute("create table organisation as select ? as name, date '2026-09-30' as as_of", [name])
    return database


def name(folder: Path | str | None = None) -> str:
    with published.connect(folder) as kpis:
        return str(kpis.rows("select name from organisation")[0][0])


def test_it_is_found_by_data_folder_published_folder_and_file(tmp_path: Path) -> None:
    database = publish(tmp_path / "srv", "Named")
    for place in (database, database.parent, tmp_path / "srv", str(tmp_path / "srv")):
        assert name(place) == "Named"


def test_without_a_name_it_is_the_nearest_above(tmp_path: Path) -> None:
    publish(tmp_path / "project" / "data", "Above")
    assert name() == "Above"
    publish(tmp_path / "project" / "notebooks" / "data", "Here")
    assert name() == "Here"


def test_the_environment_goes_before_what_is_above(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    publish(tmp_path / "project" / "data", "Above")
    publish(tmp_path / "srv", "Of the environment")
    monkeypatch.setenv("KPI_DATA_DIR", str(tmp_path / "srv"))
    assert name() == "Of the environment"
    # What is named and isn't there is an error, and nothing else is taken instead.
    monkeypatch.setenv("KPI_DATA_DIR", str(tmp_path / "misspelt"))
    with pytest.raises(NotPublishedError, match="misspelt"):
        name()


def test_before_the_first_run_it_says_what_to_do(tmp_path: Path) -> None:
    for folder in (None, tmp_path):
        with pytest.raises(NotPublishedError, match=r"kpi run publishes") as raised:
            published.connect(folder)
        assert raised.value.culprit == str(folder or tmp_path / "project" / "notebooks" / "data")


def test_pandas_is_a_choice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    publish(tmp_path / "project" / "data", "Above")
    monkeypatch.setitem(sys.modules, "pandas", None)
    assert name() == "Above"
    with pytest.raises(NotInstalledError, match="pip install pandas"):
        published.connect(frames="pandas")
    with pytest.raises(ConfigError, match="expected polars or pandas"):
        published.connect(frames="arrow")  # type: ignore[arg-type]


def test_what_it_shows_of_itself(tmp_path: Path) -> None:
    publish(tmp_path / "srv", "Example")
    kpis = published.connect(tmp_path / "srv")
    assert repr(kpis) == "<published KPIs of Example, as of 2026-09-30: 1 tables and views; frames of polars>"
    kpis.close()
    assert repr(kpis) == "<published KPIs: closed>"
    kpis.close()


def test_what_another_version_published(tmp_path: Path) -> None:
    publish(tmp_path / "srv", "Old")
    with published.connect(tmp_path / "srv") as kpis:
        with pytest.raises(KpiError, match="Another version of this program published it: kpi run"):
            kpis.table("source_parts")
        with pytest.raises(KpiError, match=r"table 'organization': got no such name; expected organisation\. tables"):
            kpis.table("organization")


def test_the_extra_has_what_the_tests_have() -> None:
    """So that the lock file of the tests covers it."""
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))
    extra = project["project"]["optional-dependencies"]["notebooks"]
    assert set(extra) <= set(project["dependency-groups"]["dev"])
