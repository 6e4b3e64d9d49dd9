"""A night that goes wrong: the last snapshot stays, byte for byte, and the UI says which check failed on what."""

import gzip
import hashlib
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from kpi_pipeline_tests.end_to_end.commands import kpi, run
from kpi_pipeline_tests.webserver.live import Live, served

BROKEN = "2026-09-29.csv.gz"


@dataclass(frozen=True)
class Night:
    """A run on a broken file after a good one."""

    live: Live
    done: subprocess.CompletedProcess[str]
    published_before: dict[str, str]


def hashes(folder: Path) -> dict[str, str]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Night]:
    folder = tmp_path_factory.mktemp("failure")
    sample, data = folder / "sample", folder / "data"
    made = kpi("sample", sample, "--hubs", 4, "--users", 40, "--days", 60)
    assert made.returncode == 0, made.stdout + made.stderr
    run(sample / "kpi.toml", data)
    before = hashes(data / "published")
    lines = "\n".join(f"2026-09-29,aurora,astro,somebody{n}" for n in range(500))
    whole = gzip.compress(f"date,cluster,hub,username\n{lines}\n".encode())
    (sample / "hub_activity" / BROKEN).write_bytes(whole[: len(whole) // 2])
    done = kpi("run", "--config", sample / "kpi.toml", "--data-dir", data)
    with served(sample / "kpi.toml", data, folder, daemon=False) as live:
        yield Night(live, done, before)


def test_the_command_fails_and_names_check_and_file(night: Night) -> None:
    assert night.done.returncode == 1, night.done.stdout + night.done.stderr
    output = " ".join(night.done.stdout.split())
    assert "raw/quarantine: check files_are_readable" in output
    assert BROKEN in output
    assert "Not published: the last snapshot stays." in output
    assert "Traceback" not in night.done.stdout + night.done.stderr


def test_what_was_published_stays_byte_for_byte(night: Night) -> None:
    assert "kpis.duckdb" in night.published_before
    assert hashes(night.live.data_dir / "published") == night.published_before


def test_the_ui_shows_the_run_and_the_check_as_failed(night: Night) -> None:
    good, bad = night.live.runs()
    assert (good["status"], bad["status"]) == ("SUCCESS", "FAILURE")
    failed = [e["evaluation"] for e in evaluations(night.live, bad["runId"]) if not e["evaluation"]["success"]]
    assert [(e["checkName"], e["assetKey"]["path"]) for e in failed if e["severity"] == "ERROR"] == [
        ("files_are_readable", ["raw", "quarantine"])
    ]


def test_the_ui_shows_the_broken_file(night: Night) -> None:
    question = """query ($key: AssetKeyInput!) {
      assetNodeOrError(assetKey: $key) {
        ... on AssetNode {
          assetChecksOrError {
            ... on AssetChecks {
              checks {
                name
                executionForLatestMaterialization {
                  status
                  evaluation { severity metadataEntries { label ... on JsonMetadataEntry { jsonString } } }
                }
              }
            }
          }
        }
      }
    }"""
    node = night.live.ask(question, key={"path": ["raw", "quarantine"]})["assetNodeOrError"]
    check = next(c for c in node["assetChecksOrError"]["checks"] if c["name"] == "files_are_readable")
    execution = check["executionForLatestMaterialization"]
    assert (execution["status"], execution["evaluation"]["severity"]) == ("FAILED", "ERROR")
    shown = {e["label"]: e.get("jsonString") for e in execution["evaluation"]["metadataEntries"]}
    assert BROKEN in shown["first_wrong_rows"]


def evaluations(live: Live, run_id: str) -> list[dict[str, Any]]:
    return [event for event in live.events(run_id) if event["__typename"] == "AssetCheckEvaluationEvent"]


def test_nothing_was_published_by_the_failed_run(night: Night) -> None:
    bad = night.live.runs()[1]
    made = {e.get("stepKey") for e in night.live.events(bad["runId"]) if e.get("eventType") == "STEP_SUCCESS"}
    assert "land_hub_activity" in made
    assert "publish" not in made
