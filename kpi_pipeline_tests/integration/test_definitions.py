"""The code location: loads with nothing at hand, holds everything that the catalogue and the contracts declare."""

import shutil
import subprocess
import sys
from datetime import UTC, date, datetime
from pathlib import Path

import dagster as dg
import duckdb
import pytest

from kpi_pipeline import catalog, dictionary
from kpi_pipeline.assets.asset_checks import asset_of
from kpi_pipeline.assets.common import Pipeline
from kpi_pipeline.assets.kpi import kpi_key
from kpi_pipeline.assets.published import close_last_month
from kpi_pipeline.contracts import PUBLISHED, RECORDS, WAREHOUSE
from kpi_pipeline.definitions import build, defs
from kpi_pipeline.stages.checks import CHECKS, Check
from kpi_pipeline.stages.kpi import Run, compute
from kpi_pipeline.stages.publish import swap_in
from kpi_pipeline.stages.scorecard import Rules, score
from kpi_pipeline.warehouse import create_tables
from kpi_pipeline_tests.end_to_end.commands import SAMPLE
from kpi_pipeline_tests.tables_read import tables_read

LOAD = """
import builtins, os, pathlib, socket, sys
def refuse(*a, **k): raise AssertionError("network while loading definitions")
socket.socket.connect = refuse
from kpi_pipeline.definitions import defs
assert defs.resolve_job_def("nightly")
assert not list(pathlib.Path(".").iterdir()), "definitions wrote a file"
print("loaded")
"""


def test_definitions_load_without_secret_network_or_file(tmp_path: Path) -> None:
    """In an empty folder, with an empty environment."""
    project = Path(__file__).resolve().parents[2]
    done = subprocess.run(
        [sys.executable, "-c", LOAD], cwd=tmp_path, env={"PYTHONPATH": str(project)}, capture_output=True, text=True
    )
    assert done.stdout.strip() == "loaded", done.stderr


def test_what_only_live_sources_need_is_not_imported() -> None:
    """It would take longer than much of a run."""
    loaded = (
        "import sys; from kpi_pipeline.definitions import defs; print({'boto3', 'jwt', 'altair'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", loaded], capture_output=True, text=True)
    assert done.stdout.strip() == "set()", done.stderr


def test_a_configuration_that_is_wrong_does_not_keep_definitions_from_loading(tmp_path: Path) -> None:
    (tmp_path / "kpi.toml").write_text("[organisation\n")
    done = subprocess.run(
        [sys.executable, "-c", "from kpi_pipeline.definitions import nightly; print(nightly.execution_timezone)"],
        env={"KPI_CONFIG": str(tmp_path / "kpi.toml")},
        capture_output=True,
        text=True,
    )
    assert done.stdout.strip() == "UTC", done.stderr


SCHEDULE = "from kpi_pipeline.definitions import nightly as n; print(n.execution_timezone, n.cron_schedule)"


def test_the_schedule_runs_in_the_organisations_zone(tmp_path: Path) -> None:
    (tmp_path / "kpi.toml").write_text('[organisation]\nname = "X"\ntimezone = "America/New_York"\n')
    done = subprocess.run(
        [sys.executable, "-c", SCHEDULE],
        env={"KPI_CONFIG": str(tmp_path / "kpi.toml")},
        capture_output=True,
        text=True,
    )  # fmt: skip
    assert done.stdout.strip() == "America/New_York 30 2 * * *", done.stderr


LAST_MONTHS = [("2026-09-30", "2026-09"), ("2026-09-29", "2026-08"), ("2026-01-05", "2025-12")]


@pytest.mark.parametrize(("as_of", "month"), LAST_MONTHS)
def test_the_monthly_close_keeps_what_was_published(as_of: str, month: str, tmp_path: Path) -> None:
    built = tmp_path / "published" / ".next"
    built.mkdir(parents=True)
    (built / "kpis.duckdb").write_text("as reported")
    swap_in(built, tmp_path / "published")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KPI_CONFIG", str(SAMPLE / "kpi.toml"))
        patch.setenv("KPI_DATA_DIR", str(tmp_path))
        patch.setenv("KPI_AS_OF", as_of)
        result = dg.materialize([close_last_month], resources={"pipeline": Pipeline()})
    assert result.success
    assert (tmp_path / "published" / "closed" / month / "kpis.duckdb").read_text() == "as reported"


def test_the_nightly_job_closes_no_month_and_the_registry_is_refreshed_alone() -> None:
    keys = {name: defs.resolve_job_def(name).asset_layer.executable_asset_keys for name in JOBS}
    assert keys["monthly_close"] - keys["nightly"] == {dg.AssetKey(["published", "closed_months"])}
    assert {key.to_user_string() for key in keys["registry_refresh"]} == {
        "landing/hub_registry", "raw/hub_registry", "staged/hubs",
    }  # fmt: skip


JOBS = ("nightly", "monthly_close", "registry_refresh")


@pytest.mark.parametrize("job", ["nightly", "monthly_close"])
@pytest.mark.parametrize("name", ["site", "exports"])
def test_what_people_look_at_is_made_with_what_is_published(job: str, name: str) -> None:
    """After every published table, and by the jobs that publish."""
    key = dg.AssetKey(["published", name])
    assert key in defs.resolve_job_def(job).asset_layer.executable_asset_keys
    node = defs.resolve_asset_graph().get(key)
    assert node.parent_keys == {dg.AssetKey(table.name.split(".")) for table in PUBLISHED}
    assert node.group_name == "published"


def test_workspace_loads_the_definitions() -> None:
    text = (Path(__file__).resolve().parents[2] / "workspace.yaml").read_text()
    assert "module_name: kpi_pipeline.definitions" in text


def test_every_kpi_and_every_published_table_is_an_asset() -> None:
    keys = defs.resolve_asset_graph().get_all_asset_keys()
    assert {kpi_key(kpi) for kpi in catalog.load().kpis} <= keys
    assert {dg.AssetKey(table.name.split(".")) for table in PUBLISHED} <= keys


def test_every_asset_is_described_grouped_and_of_a_kind() -> None:
    graph = defs.resolve_asset_graph()
    for key in graph.get_all_asset_keys():
        node = graph.get(key)
        assert node.description, key
        assert node.group_name != "default", key
        assert node.kinds, key


def test_every_kpi_has_its_owner_definition_and_freshness_policy() -> None:
    graph = defs.resolve_asset_graph()
    for kpi in catalog.load().kpis:
        node = graph.get(kpi_key(kpi))
        assert kpi.measure.definition in (node.description or "")
        assert node.owners, kpi.id
        assert node.freshness_policy is not None, kpi.id
        assert {"unit", "target", "owner", "formula", "definition_hash"} <= set(node.metadata)


def test_every_source_has_a_freshness_policy() -> None:
    graph = defs.resolve_asset_graph()
    for source in RECORDS:
        for schema in ("landing", "raw"):
            assert graph.get(dg.AssetKey([schema, source])).freshness_policy is not None


def test_data_by_day_is_partitioned_and_backfilled_in_a_single_run() -> None:
    graph = defs.resolve_asset_graph()
    for name in ("staged/user_days", "facts/active_users"):
        node = graph.get(dg.AssetKey(name.split("/")))
        assert isinstance(node.partitions_def, dg.DailyPartitionsDefinition), name
        assert node.backfill_policy == dg.BackfillPolicy.single_run(), name


CHECK_STEPS = [step for step in defs.asset_checks or [] if isinstance(step, dg.AssetChecksDefinition)]


@pytest.mark.parametrize("check", CHECKS, ids=[f"{c.table}-{c.name}" for c in CHECKS])
def test_every_check_is_an_asset_check_and_errors_block(check: object) -> None:
    specs = [spec for definition in CHECK_STEPS for spec in definition.check_specs]
    matching = [spec for spec in specs if spec.name == check.name and spec.description == check.description]  # type: ignore[attr-defined]
    assert matching
    assert all(spec.blocking == (check.severity == "ERROR") for spec in matching)  # type: ignore[attr-defined]


def steps_before(job: dg.JobDefinition) -> dict[str, set[str]]:
    """What each step of a job waits for."""
    return {
        step.name: {
            output.node_name
            for given in job.dependency_structure.input_to_upstream_outputs_for_node(step.name).values()
            for output in given
        }
        for step in job.nodes
    }


def test_tables_that_are_made_together_are_checked_together_and_at_once() -> None:
    """A step of checks waits for the one step that makes its tables, so it can be part of no cycle."""
    before = steps_before(defs.resolve_job_def("nightly"))
    made_by = [before[step.op.name] for step in CHECK_STEPS]
    assert all(len(makers) == 1 for makers in made_by)
    assert len({maker for makers in made_by for maker in makers}) == len(CHECK_STEPS)


def test_whatever_is_made_of_a_table_waits_for_its_checks() -> None:
    before = steps_before(defs.resolve_job_def("nightly"))
    steps = [asset for asset in defs.assets or [] if isinstance(asset, dg.AssetsDefinition)]
    waiting = 0
    for checks in CHECK_STEPS:
        for table in {spec.asset_key for spec in checks.check_specs if spec.blocking}:
            readers = [s for s in steps if table in s.dependency_keys and table not in s.keys and s.op.name in before]
            assert all(checks.op.name in before[reader.op.name] for reader in readers), table
            waiting += len(readers)
    assert waiting > len(CHECK_STEPS)


@pytest.mark.parametrize("check", CHECKS, ids=[f"{c.table}-{c.name}" for c in CHECKS])
def test_a_check_that_reads_what_later_steps_write_says_so(check: Check) -> None:
    """What it reads is made by the step whose tables it checks, or before; else it is of something shared."""
    graph = defs.resolve_asset_graph()
    steps = [asset for asset in defs.assets or [] if isinstance(asset, dg.AssetsDefinition)]
    shown_on = asset_of(check, catalog.load())
    ready = {key for step in steps if shown_on in step.keys for key in step.keys}
    todo = list(ready)
    while todo:
        before = graph.get(todo.pop()).parent_keys - ready
        ready |= before
        todo += before
    # One table behind all KPIs, which one step computes.
    made = {"kpi.kpi_values" if key.path[0] == "kpi" else ".".join(key.path) for key in ready}
    assert tables_read(check.wrong_rows), "no table was found in it"
    assert check.severity == "WARN" or check.of_shared or tables_read(check.wrong_rows) <= made


def test_a_check_can_be_run_on_its_own(tmp_path: Path) -> None:
    """As the UI does it: one of the many of its step."""
    chosen = dg.AssetCheckKey(dg.AssetKey(["facts", "tickets"]), "ticket_times_are_possible")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KPI_CONFIG", str(SAMPLE / "kpi.toml"))
        patch.setenv("KPI_DATA_DIR", str(tmp_path))
        job = defs.resolve_implicit_global_asset_job_def().get_subset(asset_check_selection={chosen})
        result = job.execute_in_process()
    assert [(e.asset_check_key, e.passed) for e in result.get_asset_check_evaluations()] == [(chosen, True)]


KPI_OF_A_ROLE = """
document = "our own"
role = "Night Shift"
owner = "Night Shift"
audience = "internal"
status = "active"

[[kpi]]
id = "night_shift.attendance"
measure = "ceremony_attendance_rate"
scope = { kind = "stand-up" }
title = "Stand-ups attended: Night Shift"
question = "Do we meet?"
as_written = "All of us, every night."
targets = [{ comparator = ">=", value = 95, unit = "percent", valid_from = 2026-01-01 }]
"""


def test_a_kpi_of_an_existing_measure_is_one_file_and_no_python(tmp_path: Path) -> None:
    """It appears as an asset with target and check, as a value, a score, and in the dictionary."""
    own = tmp_path / "catalog"
    shutil.copytree(Path(catalog.__file__).parent, own, ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    (own / "night_shift.toml").write_text(KPI_OF_A_ROLE)
    mine = catalog.load(own)
    kpi = mine.kpi("night_shift.attendance")

    graph = build(mine).resolve_asset_graph()
    asset = dg.AssetKey(["kpi", "night_shift", "attendance"])
    assert graph.get(asset).group_name == "night_shift"
    assert "95 percent" in str(graph.get(asset).metadata["target"])
    assert dg.AssetCheckKey(asset, "target_is_reached") in graph.get_check_keys_for_assets([asset])
    assert "| Stand-ups attended: Night Shift | `night_shift.attendance` |" in dictionary.render(mine)

    day = date(2026, 3, 31)
    this = Run(day, frozenset({"ceremonies"}), 3, "run", datetime(2026, 4, 1, tzinfo=UTC))
    with duckdb.connect() as con:
        create_tables(con, WAREHOUSE)
        con.execute("insert into facts.periods values ('quarter', date '2026-01-01', ?, true)", [day])
        for kind, attended in (("stand-up", 9), ("sprint review", 1)):
            con.execute("insert into facts.ceremonies values (?, 'a', ['a'], ?, 10, ?)", [day, kind, attended])
        compute(con, [kpi], this)
        verdict = score(con, [kpi], this, Rules((), {}))[kpi.id]
        values = con.execute("select grain, member, value from kpi.kpi_values order by all").fetchall()
    assert values == [("kind", "stand-up", 90), ("team", "a", 90)]
    assert (verdict.status, verdict.value) == ("near", 90)
