"""The client for notebooks on what the sample's run published: right frames, helpful errors, a night per connection."""

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path

import duckdb
import pandas as pd
import polars as pl
import pytest

from kpi_pipeline import published
from kpi_pipeline.published import NotPublishedError, Published
from kpi_pipeline.stages.publish import VIEWS, swap_in
from kpi_pipeline_tests.end_to_end.commands import PROJECT, environment
from kpi_pipeline_tests.end_to_end.commands import published as plain

MAU = "impact.monthly_active_users"


@pytest.fixture(scope="module")
def kpis(sample_data: Path) -> Iterator[Published]:
    with published.connect(sample_data) as found:
        yield found


def test_frames_of_polars(kpis: Published, sample_data: Path) -> None:
    frame = kpis.sql("select period_end, computed_at, value, n, sum(n) over () as total from kpi_values")
    assert frame.schema == {
        "period_end": pl.Date(),
        "computed_at": pl.Datetime("us"),
        "value": pl.Float64(),
        "n": pl.Int64(),
        "total": pl.Int64(),
    }
    with plain(sample_data) as con:
        wanted = con.execute("select sum(value)::double, count(value), count(*), sum(n) from kpi_values").fetchall()[0]
    assert (pytest.approx(frame["value"].sum()), frame["value"].count(), frame.height, frame["total"][0]) == wanted


def test_frames_of_pandas(kpis: Published, sample_data: Path) -> None:
    with published.connect(sample_data, frames="pandas") as other:
        frame = other.values(MAU)
    assert isinstance(frame, pd.DataFrame)
    assert pd.api.types.is_datetime64_dtype(frame["period_end"])
    assert frame["value"].dtype == "float64"
    wanted = kpis.values(MAU)
    assert frame["value"].tolist() == wanted["value"].to_list()
    assert frame["period_end"].dt.date.tolist() == wanted["period_end"].to_list()


def test_decimals_where_every_digit_counts(kpis: Published, sample_data: Path) -> None:
    query = "select value from kpi_values where value is not null order by all"
    wanted = [row[0] for row in kpis.rows(query)]
    assert all(isinstance(value, Decimal) for value in wanted)
    with published.connect(sample_data, exact=True) as exact:
        frame = exact.sql(query)
        assert frame.schema == {"value": pl.Decimal(38, 9)}
        assert frame["value"].to_list() == wanted
    with published.connect(sample_data, frames="pandas", exact=True) as exact:
        assert exact.sql(query)["value"].tolist() == wanted
    # The nearest float but for its last digit, which is beyond the nine that are published.
    floats = kpis.sql(query)["value"].to_list()
    assert [round(Decimal(value), 9) for value in floats if abs(value) < 1e6] == [v for v in wanted if abs(v) < 10**6]


def test_values_of_a_kpi(kpis: Published) -> None:
    own = kpis.values(MAU)
    assert own["grain"].unique().to_list() == ["organisation"]
    assert own["period_end"].is_sorted()
    assert own["period_end"][-1] == kpis.as_of == date(2026, 9, 30)
    community = kpis.values(MAU, "community", "polar-university", since=date(2026, 9, 1))
    assert community["member"].unique().to_list() == ["polar-university"]
    assert community["period_end"].to_list() == [date(2026, 9, day) for day in range(1, 31)]
    # A role's KPI has its own place: its team.
    team = kpis.values("backend_engineers.qa_pass_rate")
    assert team.select("grain", "member").unique().rows() == [("team", "backend engineers")]


def test_tables_and_columns_explain_themselves(kpis: Published) -> None:
    tables = kpis.tables()
    assert set(VIEWS) == set(tables.filter(pl.col("kind") == "view")["name"])
    assert tables["description"].null_count() == 0
    for name in tables["name"]:
        columns = kpis.columns(name)
        assert columns["name"].to_list() == kpis.table(name).columns, name
    assert kpis.columns("active_users")["description"].null_count() == 0


@pytest.mark.parametrize(
    ("ask", "hint"),
    [
        (
            lambda k: k.table("kpi_value"),
            r"table 'kpi_value': .* expected kpi_values, or one of \d+ others\. tables\(\)",
        ),
        (lambda k: k.columns("activeusers"), "expected active_users, "),
        (lambda k: k.values("impact.mau"), r"impact\.mau_p10, impact\.mau_p50, impact\.mau_p90, or .* kpi_definitions"),
        (lambda k: k.values("mau_p50"), r"expected impact\.mau_p50, or one of 94 others"),
        (lambda k: k.values(MAU, "comunity"), "grain of .* 'comunity': .* expected community, "),
        (lambda k: k.values(MAU, "community", "polar"), "expected polar-college, polar-university, or one of "),
        (lambda k: k.values(MAU, "community", "nothing like it"), "expected coastal-consortium, greenfield"),
    ],
)
def test_a_wrong_name_gives_near_ones(kpis: Published, ask: object, hint: str) -> None:
    with pytest.raises(NotPublishedError, match=hint):
        ask(kpis)  # type: ignore[operator]
    with pytest.raises(duckdb.CatalogException, match='Did you mean "headlines"'):
        kpis.sql("from headline")


@pytest.mark.parametrize("write", ["delete from hubs", "create table mine as select 1", "drop view headlines"])
def test_a_write_is_refused(kpis: Published, write: str) -> None:
    with pytest.raises(duckdb.InvalidInputException, match="read-only"):
        kpis.sql(write)


def test_what_is_ones_own_goes_with_it(sample_data: Path) -> None:
    """A frame of the notebook by the name of its variable, and tables of the session."""
    seats = pl.DataFrame({"community": ["polar-university"], "seats": [70]})
    joined = "select seats - mau as free from seats join active_users on community = member and date = $day"
    with published.connect(sample_data) as kpis:
        free = kpis.sql(joined, {"day": date(2026, 9, 30)})["free"].to_list()
        kpis.sql("create temp table mine as select 1 as one")
        assert kpis.table("mine")["one"].to_list() == [1]
        ((mau,),) = kpis.rows("select mau from active_users where member = 'polar-university' and date = '2026-09-30'")
    assert free == [seats["seats"][0] - mau]


def test_a_connection_keeps_its_night(sample_data: Path, tmp_path: Path) -> None:
    """While others are published, twice, so that its snapshot is deleted; with every way to read."""
    folder = tmp_path / "published"

    def publish(night: str) -> None:
        built = folder / ".next"
        built.mkdir(parents=True)
        shutil.copyfile(sample_data / "published" / "kpis.duckdb", built / "kpis.duckdb")
        with duckdb.connect(str(built / "kpis.duckdb")) as con:
            con.execute("update organisation set name = ?", [night])
            con.execute("update kpi_values set value = value + 1000000 * ?", [len(night)])
        swap_in(built, folder)

    def numbers(kpis: Published) -> tuple[object, ...]:
        return kpis.rows("select name from organisation"), kpis.values(MAU), kpis.table("kpi_values")["value"].sum()

    publish("a")
    with published.connect(folder) as first:
        before = numbers(first)
        for night in ("ab", "abc"):
            publish(night)
            # Who connects now, in the same notebook too, has the new night.
            with published.connect(folder) as newest:
                assert newest.rows("select name from organisation") == [(night,)]
            name, values, total = numbers(first)
            assert (name, total) == ([("a",)], before[2])
            assert isinstance(values, pl.DataFrame)
            assert values.equals(before[1])
        assert not first.path.exists()
    with published.connect(folder) as newest:
        assert numbers(newest)[2] > before[2]  # type: ignore[operator]


README = (PROJECT / "README.md").read_text(encoding="utf-8")
SHOWN = re.findall(r"^```python\n(.*?)^```\n\n```\n(.*?)^```", README, re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize(("code", "output"), SHOWN, ids=["client", "plain duckdb"])
def test_what_the_readme_shows(code: str, output: str, sample_data: Path, tmp_path: Path) -> None:
    """As in a project's folder, where data/ is."""
    (tmp_path / "data").symlink_to(sample_data)
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=environment(PYTHONPATH=str(PROJECT), PYTHONIOENCODING="utf-8"),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == output.strip()
