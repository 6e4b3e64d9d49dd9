"""Computing KPIs together: what comes is what each gives by itself, and one that fails takes no other with it."""

import shutil
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import dagster as dg
import duckdb
import pytest

from kpi_pipeline import catalog
from kpi_pipeline.assets.kpi import kpi_key
from kpi_pipeline.catalog import Kpi
from kpi_pipeline.contracts import WAREHOUSE
from kpi_pipeline.definitions import build
from kpi_pipeline.stages import kpi as stage
from kpi_pipeline.stages.checks import EVERY_KPI_IS_COMPUTED, evaluate
from kpi_pipeline.stages.kpi import Run, compute, stamp
from kpi_pipeline.warehouse import Connection, create_tables
from kpi_pipeline_tests.end_to_end.commands import SAMPLE

DAY = date(2026, 3, 31)
MORNING = datetime(2026, 4, 1, tzinfo=UTC)
THIS = Run(DAY, frozenset({"ceremonies"}), 3, "first", MORNING)
NEXT = Run(DAY, frozenset({"ceremonies"}), 3, "second", MORNING)
KPIS = catalog.load()
FRONTEND, BACKEND = (KPIS.kpi(f"{team}_team.ceremony_attendance_rate") for team in ("frontend", "backend"))
# Of a source that isn't connected.
UPTIME = KPIS.kpi("devops_engineer.uptime_rate")


@pytest.fixture
def con() -> Iterator[Connection]:
    with duckdb.connect() as con:
        create_tables(con, WAREHOUSE)
        con.execute("insert into facts.periods values ('quarter', date '2026-01-01', ?, true)", [DAY])
        for team, attended in (("frontend", 9), ("backend", 5)):
            con.execute("insert into facts.ceremonies values (?, ?, [?], 'demo', 10, ?)", [DAY, team, team, attended])
        yield con


def broken(kpi: Kpi) -> Kpi:
    measure = kpi.measure.model_copy(update={"formula": "select error('out of luck') as value"})
    return Kpi.model_construct(**{**dict(kpi), "measure": measure})


def values(con: Connection) -> dict[tuple[str, str], tuple[Decimal | None, str]]:
    rows = con.execute(
        "select kpi_id, member, value, run_id from kpi.kpi_values where grain in ('team', 'organisation')"
    )
    return {(kpi_id, member): (value, run_id) for kpi_id, member, value, run_id in rows.fetchall()}


def test_each_has_its_own_values(con: Connection) -> None:
    shown: dict[str, object] = {}
    batch = compute(con, [FRONTEND, BACKEND, UPTIME], THIS, shown.update)
    assert values(con) == {
        (FRONTEND.id, "frontend"): (90, "first"),
        (BACKEND.id, "backend"): (50, "first"),
        (UPTIME.id, "organisation"): (None, "first"),
    }
    assert batch.failed == {}
    computed = batch.computed
    assert {kpi_id: (c.value, c.status, c.period_end) for kpi_id, c in computed.items()} == {
        FRONTEND.id: (90, "ok", DAY),
        BACKEND.id: (50, "ok", DAY),
        UPTIME.id: (None, "no data: not connected", DAY),
    }
    # By team and by kind of ceremony.
    assert {kpi_id: (c.rows, c.changed) for kpi_id, c in computed.items()} == {
        FRONTEND.id: (2, 2),
        BACKEND.id: (2, 2),
        UPTIME.id: (1, 1),
    }
    assert shown == {FRONTEND.id: [(DAY, 90.0)], BACKEND.id: [(DAY, 50.0)]}


def test_only_what_differs_is_written(con: Connection) -> None:
    compute(con, [FRONTEND, BACKEND], THIS)
    con.execute("update facts.ceremonies set attended = 8 where team = 'frontend'")
    computed = compute(con, [FRONTEND, BACKEND], NEXT).computed
    assert values(con) == {(FRONTEND.id, "frontend"): (80, "second"), (BACKEND.id, "backend"): (50, "first")}
    assert {kpi_id: c.changed for kpi_id, c in computed.items()} == {FRONTEND.id: 2, BACKEND.id: 0}


def test_of_periods_that_end_on_one_day_the_shortest_is_shown(con: Connection) -> None:
    """March 9 of 10; the quarter, with February's 1 of 10, 10 of 20."""
    con.execute("insert into facts.periods values ('month', date '2026-03-01', ?, true)", [DAY])
    con.execute("insert into facts.ceremonies values (date '2026-02-10', 'frontend', ['frontend'], 'demo', 10, 1)")
    shown: dict[str, object] = {}
    (computed,) = compute(con, [FRONTEND], THIS, shown.update).computed.values()
    assert computed.value == 90
    assert shown == {FRONTEND.id: [(DAY, 90.0)]}


def test_another_definition_writes_all_of_its_values_anew(con: Connection) -> None:
    compute(con, [FRONTEND, BACKEND], THIS)
    measure = FRONTEND.measure.model_copy(update={"definition": "said otherwise"})
    said_otherwise = FRONTEND.model_copy(update={"measure": measure})
    # A KPI keeps the hash that it has once told.
    said_otherwise.__dict__.pop("definition_hash", None)
    assert said_otherwise.definition_hash != FRONTEND.definition_hash
    computed = compute(con, [said_otherwise, BACKEND], NEXT).computed
    assert {kpi_id: c.changed for kpi_id, c in computed.items()} == {FRONTEND.id: 2, BACKEND.id: 0}
    assert values(con) == {(FRONTEND.id, "frontend"): (90, "second"), (BACKEND.id, "backend"): (50, "first")}


def test_values_that_no_longer_come_go(con: Connection) -> None:
    compute(con, [FRONTEND, BACKEND], THIS)
    con.execute("delete from facts.ceremonies where team = 'frontend'")
    (computed,) = compute(con, [FRONTEND], NEXT).computed.values()
    assert (computed.rows, computed.changed, computed.status) == (1, 1, "no data")
    assert values(con) == {(FRONTEND.id, "frontend"): (None, "second"), (BACKEND.id, "backend"): (50, "first")}


def test_a_formula_that_fails_takes_no_other_kpi_with_it(con: Connection) -> None:
    compute(con, [FRONTEND, BACKEND], THIS)
    con.execute("update facts.ceremonies set attended = 2")
    later = Run(date(2026, 4, 1), THIS.connected, 3, "second", MORNING)
    batch = compute(con, [broken(FRONTEND), BACKEND], later)
    assert set(batch.computed) == {BACKEND.id}
    assert {kpi_id: "out of luck" in str(error) for kpi_id, error in batch.failed.items()} == {FRONTEND.id: True}
    assert values(con) == {(FRONTEND.id, "frontend"): (90, "first"), (BACKEND.id, "backend"): (20, "second")}
    # Nothing is published with the value of the day before.
    stamps = [" ".join(stamp(kpi, later.as_of)) for kpi in (FRONTEND, BACKEND)]
    assert evaluate(con, EVERY_KPI_IS_COMPUTED, {"stamps": stamps}).wrong == 1


def test_nothing_is_left_behind_whatever_happens(con: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    left = (
        "select database_name from duckdb_databases() where not internal "
        "union all select table_name from duckdb_tables() where temporary"
    )
    before = con.execute(left).fetchall()
    compute(con, [FRONTEND], THIS)
    assert con.execute(left).fetchall() == before

    def refused(*_: object) -> None:
        raise RuntimeError("in the middle")

    with monkeypatch.context() as patch:
        patch.setattr(stage, "_difference", refused)
        with pytest.raises(RuntimeError, match="in the middle"):
            compute(con, [BACKEND], NEXT)
    assert con.execute(left).fetchall() == before
    assert (BACKEND.id, "backend") not in values(con)
    assert compute(con, [BACKEND], NEXT).computed[BACKEND.id].value == 50


def test_the_step_shows_what_was_computed_and_names_what_was_not(tmp_path: Path) -> None:
    own = tmp_path / "catalog"
    shutil.copytree(Path(catalog.__file__).parent, own, ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    (own / "measures" / "uptime_rate.sql").write_text("select error('out of luck') as value")
    mine = catalog.load(own)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KPI_CONFIG", str(SAMPLE / "kpi.toml"))
        patch.setenv("KPI_DATA_DIR", str(tmp_path / "data"))
        patch.setenv("KPI_AS_OF", DAY.isoformat())
        chosen = {kpi_key(FRONTEND), kpi_key(UPTIME), kpi_key(BACKEND)}
        job = build(mine).resolve_implicit_global_asset_job_def().get_subset(asset_selection=chosen)
        result = job.execute_in_process(raise_on_error=False)
    assert not result.success
    made = {event.asset_key for event in result.get_asset_materialization_events()}
    assert made == {kpi_key(FRONTEND), kpi_key(BACKEND)}
    (failure,) = (e for e in result.all_events if e.event_type is dg.DagsterEventType.STEP_FAILURE)
    error = failure.step_failure_data.error
    assert error is not None
    text = error.to_string()
    assert f"{UPTIME.id}: got Invalid Input Error: out of luck; expected a value" in text
    assert FRONTEND.id not in text
