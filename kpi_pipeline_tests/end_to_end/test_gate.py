"""The gate before publishing: what has passed in a run isn't looked at twice, and still nothing gets around it."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import duckdb

from kpi_pipeline.assets.common import passed_by
from kpi_pipeline.assets.published import still_to_check
from kpi_pipeline.stages.checks import CHECKS, EVERY_KPI_IS_COMPUTED
from kpi_pipeline_tests.end_to_end.commands import PROJECT, environment, kpi, run, values

Organisation = Callable[[], Path]
# A run that remembers what the tables of each check held when it passed, and looks again before it publishes.
WATCHED = """
import sys
from kpi_pipeline.assets import asset_checks, published
from kpi_pipeline.cli import app
from kpi_pipeline.warehouse import quote
from kpi_pipeline_tests.tables_read import tables_read

evaluate, refuse, held = asset_checks.evaluate, published.checks.refuse_if_wrong, {}

def content(con, name):
    return con.execute(f"select count(*), sum(hash(t)::hugeint) from {quote(name)} as t").fetchall()

def remember(con, check, parameters):
    outcome = evaluate(con, check, parameters)
    if outcome.passed and check.severity == "ERROR" and not check.of_shared:
        held[check.table, check.name] = {name: content(con, name) for name in sorted(tables_read(check.wrong_rows))}
    return outcome

def look_again(con, gate, parameters):
    for (_, check), contents in held.items():
        for name, then in contents.items():
            if content(con, name) != then:
                print("changed since it passed:", check, name)
    print("remembered:", len(held), "tables:", len({name for contents in held.values() for name in contents}))
    print("gate:", *sorted(check.name for check in gate))
    return refuse(con, gate, parameters)

asset_checks.evaluate, published.checks.refuse_if_wrong = remember, look_again
sys.argv = ["kpi", "run", *sys.argv[1:]]
app()
"""


def watched(config: Path, data: Path, *more: str) -> dict[str, str]:
    done = subprocess.run(
        [sys.executable, "-c", WATCHED, "--config", str(config), "--data-dir", str(data), *more],
        cwd=PROJECT,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return dict(line.split(": ", 1) for line in done.stdout.splitlines() if ": " in line)


def test_what_a_check_has_passed_on_is_what_is_published(small: Organisation, tmp_path: Path) -> None:
    """The first run, and one for an earlier day, which changes much: no step changes a table after its checks."""
    config, data = small(), tmp_path / "data"
    errors = [check for check in CHECKS if check.severity == "ERROR"]
    again = sorted(check.name for check in [*errors, EVERY_KPI_IS_COMPUTED] if check.of_shared)
    for more in ((), ("--as-of", "2026-03-15")):
        told = watched(config, data, *more)
        assert "changed since it passed" not in told
        assert int(told["remembered"].split()[0]) == len(errors) - len(again)
        assert sorted(told["gate"].split()) == sorted([*again, EVERY_KPI_IS_COMPUTED.name])


def test_publishing_alone_looks_at_everything(small: Organisation, tmp_path: Path) -> None:
    config, data = small(), tmp_path / "data"
    run(config, data)
    before = values(data)
    (warehouse,) = data.glob("**/warehouse.duckdb")
    with duckdb.connect(str(warehouse)) as con:
        con.execute("update facts.active_users set wau = mau + 1 where grain = 'organisation'")
    failed = kpi("run", "--config", config, "--data-dir", data, "--select", 'key:"published/kpi_values"')
    assert failed.returncode == 1
    assert "windows_are_nested fails on" in failed.stdout
    assert values(data) == before


def test_only_what_passed_with_the_same_parameters_is_left_out() -> None:
    parameters: dict[str, object] = {"as_of": "2026-03-31", "min_people": 3}
    errors = [check for check in CHECKS if check.severity == "ERROR"]
    assert still_to_check(set(), parameters) == [*errors, EVERY_KPI_IS_COMPUTED]
    passed = {passed_by(check, parameters) for check in errors}
    assert still_to_check(passed, parameters) == [*(c for c in errors if c.of_shared), EVERY_KPI_IS_COMPUTED]
    assert still_to_check(passed, {**parameters, "min_people": 5}) == [*errors, EVERY_KPI_IS_COMPUTED]
