"""Runs and backfills launched from the UI, the schedule, and that nothing personal is in any of it."""

import csv
import gzip
import io
import json
import tomllib
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pytest

from kpi_pipeline_tests.end_to_end.commands import SAMPLE, run
from kpi_pipeline_tests.webserver.conftest import BACKFILL_DAYS, LAST_DAY, Launched
from kpi_pipeline_tests.webserver.live import LOCATION, Live


def tags(of: dict[str, Any]) -> dict[str, str]:
    return {tag["key"]: tag["value"] for tag in of["tags"]}


def test_kpi_run_is_a_run_that_the_ui_shows(first_run: dict[str, Any]) -> None:
    assert (first_run["jobName"], first_run["status"]) == ("nightly", "SUCCESS")
    assert tags(first_run)["dagster/partition"] == LAST_DAY


def test_the_schedules_are_there(live: Live) -> None:
    question = """query ($of: RepositorySelector!) {
      schedulesOrError(repositorySelector: $of) {
        ... on Schedules { results { name cronSchedule executionTimezone pipelineName } }
      }
    }"""
    of = {"repositoryName": "__repository__", "repositoryLocationName": LOCATION}
    config = tomllib.loads((SAMPLE / "kpi.toml").read_text(encoding="utf-8"))
    zone = config["organisation"]["timezone"]
    found = live.ask(question, of=of)["schedulesOrError"]["results"]
    assert sorted(tuple(schedule.values()) for schedule in found) == [
        ("monthly_close", "0 5 5 * *", zone, "monthly_close"),
        ("nightly", "30 2 * * *", zone, "nightly"),
        # Days of activity are days of UTC.
        ("poll_hubs", "15 * * * *", "UTC", "poll_hubs"),
        ("registry_refresh", "15 */6 * * *", zone, "registry_refresh"),
    ]


def test_the_nightly_job_runs_from_the_ui(launched: Launched) -> None:
    assert launched.run_status == "SUCCESS"


def test_a_backfill_of_days_is_one_run(launched: Launched) -> None:
    backfill = launched.backfill
    assert (backfill["status"], backfill["error"]) == ("COMPLETED_SUCCESS", None)
    assert [made["status"] for made in backfill["runs"]] == ["SUCCESS"]
    asked = tags(backfill["runs"][0])
    assert asked["dagster/asset_partition_range_start"] == BACKFILL_DAYS[0]
    assert asked["dagster/asset_partition_range_end"] == BACKFILL_DAYS[-1]


def test_a_backfill_looks_at_its_days_and_no_others(live: Live, launched: Launched) -> None:
    question = """query ($key: AssetKeyInput!, $days: [String!]) {
      assetNodeOrError(assetKey: $key) {
        ... on AssetNode { assetMaterializations(partitions: $days) { runId partition } }
      }
    }"""
    run_id = launched.backfill["runs"][0]["runId"]
    for path in (["staged", "user_days"], ["facts", "active_users"]):
        made = live.ask(question, key={"path": path}, days=None)["assetNodeOrError"]["assetMaterializations"]
        assert sorted(m["partition"] for m in made if m["runId"] == run_id) == BACKFILL_DAYS


def test_runs_over_the_same_data_change_no_value(launched: Launched) -> None:
    assert launched.after.keys() == launched.before.keys()
    for name, rows in launched.before.items():
        assert launched.after[name] == rows, name


def test_selecting_one_table_runs_those_it_is_made_with(live: Live, launched: Launched) -> None:
    run(SAMPLE / "kpi.toml", live.data_dir, "--select", 'key:"staged/exclusion_effects"')
    newest = live.runs()[-1]
    assert newest["status"] == "SUCCESS"
    assert {"/".join(asset["path"]) for asset in newest["assetSelection"]} == {
        "raw/quarantine",
        "staged/activity_accounting",
        "staged/binder_sessions",
        "staged/exclusion_effects",
    }


@pytest.fixture(scope="module")
def people() -> set[str]:
    """Every username of the sample, as written in its files and in the register of exclusions."""
    folder = SAMPLE / "hub_activity"
    names: set[str] = set()
    for path in (p for p in folder.rglob("*") if p.is_file()):
        if path.suffix == ".parquet":
            frame = pl.read_parquet(path)
            names |= set(frame["username"].drop_nulls().to_list())
        elif ".csv" in path.suffixes:
            names |= {row.get("username") or "" for row in csv.DictReader(io.StringIO(text_of(path)))}
    config = tomllib.loads((SAMPLE / "kpi.toml").read_text(encoding="utf-8"))
    for rule in config["exclusions"]:
        names |= set(rule["match"].get("username", []))
    # Shorter ones could be part of any word, and "deployment-service-check" is no person.
    found = {name.strip().casefold() for name in names if len(name.strip()) >= 8} - {"deployment-service-check"}
    assert len(found) > 1000
    # JSON writes letters beyond ASCII as escapes.
    return found | {json.dumps(name)[1:-1] for name in found}


def text_of(path: Path) -> str:
    content = path.read_bytes()
    return (gzip.decompress(content) if path.suffix == ".gz" else content).decode(errors="replace")


def assert_nobody_in(content: str, people: set[str], where: object) -> None:
    found = pl.Series([content.casefold()]).str.extract_many(list(people), overlapping=True).explode().drop_nulls()
    assert found.is_empty(), (where, found.unique().to_list()[:5])


def test_the_search_would_find_a_name(people: set[str]) -> None:
    with pytest.raises(AssertionError, match=r"noor\.van\.dijk"):
        assert_nobody_in('{"first_wrong_rows": ["Noor.Van.Dijk"]}', people, "here")
    with pytest.raises(AssertionError, match="reyes"):
        assert_nobody_in(json.dumps("Tomás.Reyes"), people, "here")


def test_nobody_is_named_in_the_logs_of_runs(live: Live, launched: Launched, people: set[str]) -> None:
    runs = live.runs()
    assert {launched.run_id, launched.backfill["runs"][0]["runId"]} < {found["runId"] for found in runs}
    for found in runs:
        events = live.events(found["runId"])
        assert events
        assert_nobody_in(str(events), people, found["runId"])


def test_nobody_is_named_in_the_dagster_home(live: Live, launched: Launched, people: set[str]) -> None:
    files = [path for path in (live.data_dir / "dagster_home").rglob("*") if path.is_file()]
    assert {".db", ".yaml"} <= {path.suffix for path in files}
    for path in files:
        assert_nobody_in(path.read_bytes().decode(errors="replace"), people, path)


def test_nobody_is_named_in_what_is_published(live: Live, launched: Launched, people: set[str]) -> None:
    folder = live.data_dir / "published"
    with duckdb.connect(str(folder / "kpis.duckdb"), read_only=True) as con:
        columns = con.execute(
            "select table_name, column_name, data_type, comment from duckdb_columns() where not internal"
        ).fetchall()
        assert columns
        assert "person_key" not in {name for _, name, _, _ in columns}
        for table, column, kind, comment in columns:
            assert kind != "UUID", (table, column)
            if "VARCHAR" in kind:
                found = con.execute(f'select distinct "{column}"::varchar from "{table}"').fetchall()
                assert_nobody_in(str(found), people, (table, column))
            assert_nobody_in(str(comment), people, (table, column))
    for path in folder.glob("*.parquet"):
        frame = pl.read_parquet(path)
        assert "person_key" not in frame.columns
        assert_nobody_in(frame.write_csv() if not nested(frame) else str(frame.to_dicts()), people, path)


def nested(frame: pl.DataFrame) -> bool:
    return any(kind.is_nested() for kind in frame.dtypes)
