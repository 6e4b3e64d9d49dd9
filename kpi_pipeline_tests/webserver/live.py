"""The webserver and daemon as people run them, and what the UI asks of them over GraphQL. No test is here."""

import json
import os
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kpi_pipeline_tests.end_to_end.commands import PROJECT, environment, wait_until

LOCATION = "kpi_pipeline"
BIN = Path(sys.executable).parent
ENDED = {"SUCCESS", "FAILURE", "CANCELED"}
PATIENCE = 120.0

LAUNCH_RUN = """mutation ($params: ExecutionParams!) {
  launchRun(executionParams: $params) {
    __typename
    ... on LaunchRunSuccess { run { runId } }
    ... on InvalidSubsetError { message }
    ... on RunConfigValidationInvalid { errors { message } }
    ... on PythonError { message }
  }
}"""
LAUNCH_BACKFILL = """mutation ($params: LaunchBackfillParams!) {
  launchPartitionBackfill(backfillParams: $params) {
    __typename
    ... on LaunchBackfillSuccess { backfillId }
    ... on InvalidSubsetError { message }
    ... on PythonError { message }
  }
}"""
BACKFILL = """query ($id: String!) {
  partitionBackfillOrError(backfillId: $id) {
    ... on PartitionBackfill { status error { message } runs(limit: 100) { runId status tags { key value } } }
  }
}"""
LOGS = """query ($id: ID!, $cursor: String) {
  logsForRun(runId: $id, afterCursor: $cursor) {
    __typename
    ... on EventConnection {
      cursor hasMore
      events {
        __typename
        ... on MessageEvent { message level stepKey eventType }
        ... on AssetCheckEvaluationEvent { evaluation { checkName success severity description assetKey { path } } }
        ... on ExecutionStepFailureEvent { error { message stack cause { message stack } } }
      }
    }
  }
}"""


@dataclass(frozen=True)
class Live:
    """A webserver on a data folder of its own."""

    url: str
    data_dir: Path

    def ask(self, query: str, **variables: object) -> dict[str, Any]:
        """The answer to a GraphQL query, which must have no error."""
        body = json.dumps({"query": query, "variables": variables}).encode()
        request = urllib.request.Request(f"{self.url}/graphql", body, {"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=60) as response:
                answer = json.load(response)
        except urllib.error.HTTPError as error:
            raise AssertionError(error.read().decode()) from error
        assert not answer.get("errors"), answer["errors"]
        found: dict[str, Any] = answer["data"]
        return found

    def launch_run(self, day: str) -> str:
        """Launches the nightly job for a day as the UI does; the id of the run."""
        selector = {"jobName": "nightly", "repositoryName": "__repository__", "repositoryLocationName": LOCATION}
        tags = [{"key": "dagster/partition", "value": day}]
        launched = self.ask(LAUNCH_RUN, params={"selector": selector, "executionMetadata": {"tags": tags}})["launchRun"]
        assert launched["__typename"] == "LaunchRunSuccess", launched
        return str(launched["run"]["runId"])

    def launch_backfill(self, days: Sequence[str], assets: Sequence[str]) -> str:
        """Launches a backfill as the UI does, with the assets that those named are made together with; its id."""
        keys = asset_keys(assets)
        question = "query ($keys: [AssetKeyInput!]!) { assetNodeAdditionalRequiredKeys(assetKeys: $keys) { path } }"
        together = self.ask(question, keys=keys)["assetNodeAdditionalRequiredKeys"]
        params = {"assetSelection": [*keys, *together], "partitionNames": list(days)}
        launched = self.ask(LAUNCH_BACKFILL, params=params)["launchPartitionBackfill"]
        assert launched["__typename"] == "LaunchBackfillSuccess", launched
        return str(launched["backfillId"])

    def finished_run(self, run_id: str) -> str:
        """The status of a run, once it has ended."""
        question = "query ($id: ID!) { runOrError(runId: $id) { ... on Run { status } } }"

        def status() -> str:
            return str(self.ask(question, id=run_id)["runOrError"]["status"])

        wait_until(lambda: status() in ENDED, PATIENCE)
        return status()

    def finished_backfill(self, backfill_id: str) -> dict[str, Any]:
        """A backfill with its runs, once it has ended."""

        def look() -> dict[str, Any]:
            found: dict[str, Any] = self.ask(BACKFILL, id=backfill_id)["partitionBackfillOrError"]
            return found

        wait_until(lambda: look()["status"] not in {"REQUESTED", "CANCELING", "FAILING"}, PATIENCE)
        return look()

    def runs(self) -> list[dict[str, Any]]:
        """All runs, the oldest first."""
        question = """{
          runsOrError { ... on Runs { results { runId status jobName tags { key value } assetSelection { path } } } }
        }"""
        found: list[dict[str, Any]] = self.ask(question)["runsOrError"]["results"]
        return found[::-1]

    def events(self, run_id: str) -> list[dict[str, Any]]:
        """What the UI shows as the log of a run."""
        found: list[dict[str, Any]] = []
        cursor, more = None, True
        while more:
            page = self.ask(LOGS, id=run_id, cursor=cursor)["logsForRun"]
            assert page["__typename"] == "EventConnection", page
            found += page["events"]
            cursor, more = page["cursor"], page["hasMore"]
        return found


def asset_keys(names: Sequence[str]) -> list[dict[str, list[str]]]:
    """schema/table as GraphQL wants it."""
    return [{"path": name.split("/")} for name in names]


@contextmanager
def served(config: Path, data_dir: Path, logs: Path, *, daemon: bool) -> Iterator[Live]:
    """dagster-webserver, and dagster-daemon where runs are launched, on the instance that `kpi run` made."""
    variables = environment(
        KPI_CONFIG=str(config),
        KPI_DATA_DIR=str(data_dir),
        DAGSTER_HOME=str(data_dir / "dagster_home"),
    )
    workspace = ["-w", str(PROJECT / "workspace.yaml")]
    port = _free_port()
    live = Live(f"http://127.0.0.1:{port}", data_dir)
    with ExitStack() as stack:
        address = ["-h", "127.0.0.1", "-p", str(port)]
        webserver = stack.enter_context(_process("dagster-webserver", [*workspace, *address], variables, logs))
        if daemon:
            stack.enter_context(_process("dagster-daemon", ["run", *workspace], variables, logs))

        def answers() -> bool:
            assert webserver.poll() is None, (logs / "dagster-webserver.log").read_text()
            try:
                found = live.ask("{ workspaceOrError { __typename } }")["workspaceOrError"]
                return bool(found["__typename"] == "Workspace")
            except OSError:
                return False

        wait_until(answers, PATIENCE)
        yield live


@contextmanager
def _process(
    program: str, arguments: Sequence[str], variables: dict[str, str], logs: Path
) -> Iterator[subprocess.Popen[bytes]]:
    """A program in a process group of its own, which is gone at the end, whatever happens in between."""
    with (logs / f"{program}.log").open("wb") as log:
        process = subprocess.Popen(
            [str(BIN / program), *arguments],
            cwd=PROJECT,
            env=variables,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            yield process
        finally:
            _stop(process)


def _stop(process: subprocess.Popen[bytes]) -> None:
    for signal_number, patience in ((signal.SIGTERM, 15), (signal.SIGKILL, 15)):
        try:
            os.killpg(process.pid, signal_number)
        except ProcessLookupError:
            break
        try:
            process.wait(timeout=patience)
        except subprocess.TimeoutExpired:
            continue
    # What the program had started may have outlived it.
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
