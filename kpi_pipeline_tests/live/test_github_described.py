"""Our requests, our fake and recorded conversations, held against GitHub's own description of its API."""

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from kpi_pipeline import fetching
from kpi_pipeline.days import Days
from kpi_pipeline.errors import SourceError
from kpi_pipeline.fetching import Glance
from kpi_pipeline.landing import Landing
from kpi_pipeline.sources.connectors import connector
from kpi_pipeline.sources.github_pages import Listing, pages, question
from kpi_pipeline.sources.github_repository import ask_about
from kpi_pipeline.sources.transport import Budget, Transport
from kpi_pipeline.sources.walk import Fetched, Seen, Tools, Walk, named_by_content
from kpi_pipeline_tests.live.fake_github import GitHub
from kpi_pipeline_tests.live.fetched import LIMITS, TOKEN, Nights, TurnedClock, utc
from kpi_pipeline_tests.live.github_described import NPM, description
from kpi_pipeline_tests.live.processes import free_port, program, started
from kpi_pipeline_tests.live.server import Request, Response, served

NOON = utc(2026, 3, 6, 12)


# Against the description


def eventful() -> GitHub:
    """A world in which everything happens that we ask about."""
    world = GitHub(NOON, rows_a_page=3, repositories=["own/*", "someone/*", "up/stream"])
    for name in ("own/app", "own/web", "up/stream"):
        world.create(name)
    world.create("someone/tool", organisation=False)
    for name in ("own/app", "up/stream", "someone/tool"):
        for _ in range(4):
            world.open(name)
        pull = world.open(name, "helper[bot]", is_pull=True)
        world.review(name, pull)
        world.merge(name, pull)
        world.label(name, 1, "bug")
        world.assign(name, 1, "zz-bobby")
        world.comment(name, 1)
        world.close(name, 1, "not_planned")
        world.reopen(name, 1)
        world.release(name)
        for state in ("in_progress", "success"):
            world.report(name, world.deploy(name), state)
        world.run(name, None)
    return world


def test_every_request_and_every_answer_is_as_github_describes_it(tmp_path: Path) -> None:
    world, described = eventful(), description()
    heard: list[tuple[Request, Response]] = []

    def app(request: Request) -> Response:
        answer = world.app(request)
        heard.append((request, answer))
        return answer

    with served(app) as server:
        nights = Nights(tmp_path, world, server.url, TurnedClock(NOON))
        nights.fetch_until_through()
        world.delete("own/app", 2)
        world.transfer("own/app", 3, "own/web")
        world.close("own/app", 4)
        nights.clock.turn(days=8)
        world.now = nights.clock.now().replace(microsecond=0)
        nights.fetch_until_through()
        tools = Tools(lambda _name, _purpose: SecretStr(TOKEN), nights.clock, LIMITS)
        with closing(connector("github", nights.configured, tools)) as asked:
            list(asked.examine(Glance(nights.clock.now(), Budget(nights.clock))))
    statuses = set()
    for request, answer in heard:
        described.check_request(request.method, request.path, request.query)
        # That there is no organisation of that name isn't described; GitHub says so as of everything else.
        if (request.path, answer.status) != ("/orgs/someone/repos", 404):
            assert described.faults(request.method, request.path, answer.status, answer.body) == []
        statuses.add((described.operation(request.method, request.path)[0].rpartition("/")[2], answer.status))
    assert {("{issue_number}", 301), ("{issue_number}", 410), ("repos", 404), ("repos", 200)} <= statuses
    assert {name for name, status in statuses if status == 200} >= {
        "issues", "timeline", "pulls", "reviews", "releases", "deployments", "statuses", "runs", "repos", "rate_limit",
        "{repo}",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("path", "query", "says"),
    [
        ("/repos/own/app/issue", {}, "knows no path"),
        ("/repos/own/app/issues", {"sort": "closed"}, "is none of"),
        ("/repos/own/app/pulls", {"since": "2026-03-01T00:00:00Z"}, "has no parameter"),
        ("/repos/own/app/issues", {"since": "2026-03-01"}, "is no moment"),
        ("/repos/own/app/issues", {"per_page": "1000"}, "per_page"),
    ],
)
def test_a_wrong_request_would_be_noticed(path: str, query: dict[str, str], says: str) -> None:
    with pytest.raises(AssertionError, match=says):
        description().check_request("GET", path, query)


def test_a_wrong_answer_would_be_noticed() -> None:
    world, path = eventful(), "/repos/own/app/issues"
    headers = {"authorization": f"Bearer {TOKEN}", "host": "x"}
    rows = world.app(Request("GET", path, {"state": "all"}, headers)).body
    assert description().faults("GET", path, 200, rows) == []
    for change in ({"number": "1"}, {"title": None}, {"user": {"login": "zz"}}, {"state_reason": "whatever"}):
        assert description().faults("GET", path, 200, [{**rows[0], **change}]) != []
    assert description().faults("GET", path, 200, [{k: v for k, v in rows[0].items() if k != "id"}]) != []
    assert description().faults("GET", path, 200, {"message": "x"}) != []
    assert description().faults("GET", path, 418, []) != []


# Recorded conversations


@pytest.fixture(scope="module")
def recorder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server of recorded conversations: its address."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    log = tmp_path_factory.mktemp("recorder") / "log"
    with started([program("node"), NPM / "fixtures-server.mjs", str(port)], log, f"{url}/ping"):
        yield url


def recorded(recorder: str, scenario: str) -> Transport:
    """Asks the server that answers as it was recorded, in that order."""
    reply = httpx.post(f"{recorder}/fixtures", json={"scenario": scenario})
    return Transport("github", reply.json()["url"], clock=TurnedClock(NOON), limits=LIMITS)


PART = "octokit-fixture-org/paginate-issues"


class OneListing:
    """Lands one listing of issues, three a page."""

    at_once = 1

    def __init__(self, transport: Transport) -> None:
        self.transport = transport

    def parts(self, _: Walk) -> list[str]:
        return [PART]

    def fetch(self, walk: Walk) -> Fetched:
        asked = question(self.transport, f"repos/{PART}/issues", ("per_page", "3"))
        for page in pages(walk, self.transport, Listing(asked, {"number": int})):
            walk.land(named_by_content(f"{PART}/issues", page.reply), page.reply, len(page.rows))
        covered: Days = ()
        return Fetched({}, covered)

    def examine(self, _: Walk) -> Iterator[Seen]:
        yield from ()

    def quota(self) -> int | None:
        return self.transport.remaining

    def close(self) -> None:
        self.transport.close()


def test_a_recorded_listing_is_followed_to_its_end_and_loaded(recorder: str, tmp_path: Path) -> None:
    """Thirteen issues on five pages, the others under the repository's id."""
    clock = TurnedClock(NOON)
    with closing(OneListing(recorded(recorder, "paginate-issues"))) as asked:
        outcome = fetching.fetch(
            Landing(tmp_path / "landing"), "github", "github_api", asked, carries=False, budget=Budget(clock),
            tell=lambda _: None, clock=clock,
        )  # fmt: skip
        assert (outcome.pages, outcome.rows, outcome.requests) == (5, 13, 5)
        assert asked.quota() is not None
    world = GitHub(NOON, own=["octokit-fixture-org/*"])
    world.query = "select number, strftime(opened_at, '%Y'), state from staged.issues"
    nights = Nights(tmp_path, world, "https://api.github.com", clock)
    assert nights.loaded() == [(number, "2017", "open") for number in range(1, 14)]


def test_a_recorded_repository_is_known(recorder: str) -> None:
    with closing(recorded(recorder, "get-repository")) as transport:
        walk = Glance(NOON, Budget(TurnedClock(NOON)))
        reply = ask_about(walk, transport, "octokit-fixture-org/hello-world")
        assert reply.json()["id"] == 1000
        assert reply.server_time is not None
        assert "admin:org" in reply.headers["x-oauth-scopes"]


def test_a_recorded_renaming_is_noticed(recorder: str) -> None:
    part = "octokit-fixture-org/rename-repository"
    with closing(recorded(recorder, "rename-repository")) as transport:
        httpx.patch(transport.url(f"repos/{part}"), json={"name": "rename-repository-newname"}).raise_for_status()
        with pytest.raises(SourceError, match="octokit-fixture-org/rename-repository-newname now"):
            ask_about(Glance(NOON, Budget(TurnedClock(NOON))), transport, part)


def conversation(scenario: str) -> list[dict[str, Any]]:
    folder = NPM / "node_modules/@octokit/fixtures/scenarios/api.github.com"
    found: list[dict[str, Any]] = json.loads((folder / scenario / "normalized-fixture.json").read_bytes())
    return found


def test_what_was_recorded_is_as_described() -> None:
    """So the description says what GitHub answers; since then it has added one field to repositories."""
    for said in conversation("paginate-issues"):
        assert description().faults("GET", f"/repos/{PART}/issues", said["status"], said["response"]) == []
    (said,) = conversation("get-repository")
    (fault,) = description().faults("GET", said["path"], said["status"], said["response"])
    assert "'has_discussions' is a required property" in fault
