"""GitHub's listings, with all that can be wrong with one; each repository by itself; and what is asked for at all."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from kpi_pipeline.fetching import Outcome
from kpi_pipeline.settings.sources import GitHubApi
from kpi_pipeline.sources import github_pages
from kpi_pipeline_tests.live.fake_github import FakeGitHub, GitHub, issue_row, pull_row
from kpi_pipeline_tests.live.fetched import Nights, TurnedClock, utc
from kpi_pipeline_tests.live.server import Connection, Fault, Plan, Request, Response, Served, served

NOON = utc(2026, 3, 6, 12)


@contextmanager
def fetched(world: GitHub, folder: Path, plan: Plan | None = None) -> Iterator[tuple[Nights, Served]]:
    with served(world.app, plan) as server:
        yield Nights(folder, world, server.url, TurnedClock(world.night)), server


def later(nights: Nights, world: GitHub, days: float = 1) -> None:
    """Some nights on; meanwhile time goes on there too."""
    nights.clock.turn(days=days)
    world.now = max(world.now, nights.clock.now() - timedelta(hours=1)).replace(microsecond=0)


def asked(server: Served, path: str, begin: int = 0) -> list[dict[str, str]]:
    """The parameters of all requests for a path."""
    return [dict(request.query) for request in server.requests[begin:] if request.path == path]


def world_with(issues: int, **more: Any) -> GitHub:
    world = GitHub(NOON, **more)
    world.create("own/app")
    for _ in range(issues):
        world.open("own/app")
    return world


# Listings


@pytest.mark.parametrize("is_exclusive", [False, True])
@pytest.mark.parametrize("has_cursors", [False, True])
def test_many_pages(is_exclusive: bool, has_cursors: bool, tmp_path: Path) -> None:
    """Whichever way `since` is meant, and however GitHub names the next page: each issue once."""
    world = world_with(17, rows_a_page=4, is_exclusive=is_exclusive, has_cursors=has_cursors)
    with fetched(world, tmp_path) as (nights, _):
        nights.fetch_until_through()
        assert nights.loaded() == world.rows()
        later(nights, world)
        for number in (3, 9):
            world.label("own/app", number, "bug")
        nights.fetch_until_through()
        assert nights.loaded() == world.rows()


@pytest.mark.parametrize("is_exclusive", [False, True])
def test_what_changed_at_one_moment_is_counted_through(is_exclusive: bool, tmp_path: Path) -> None:
    """A dozen issues that changed within a second, of which one goes on changing while they are read."""
    world = world_with(3, rows_a_page=4, is_exclusive=is_exclusive)
    things = world.repositories["own/app"].things
    for _ in range(12):
        world.open("own/app")
    moment = world.now
    for number in range(4, 16):
        things[number].updated = moment

    def change() -> None:
        world.label("own/app", 5, "bug")

    # Requests 0, 1: up to the moment; then page by page within it.
    plan = Plan(applies=lambda r: "since" in r.query, after={3: change})
    with fetched(world, tmp_path, plan) as (nights, server):
        nights.fetch_until_through()
        assert nights.loaded() == world.rows()
        assert "bug" in things[5].labels
        timelines = {r.path for r in server.requests if r.path.endswith("/timeline")}
        assert len(timelines) == 15


def test_a_row_that_changes_while_its_page_is_made_hides_no_other(tmp_path: Path) -> None:
    """It stands where it was, as the last of its page, with the time of its change: long after the next rows."""
    world = world_with(4, rows_a_page=4)
    for _ in range(4):
        world.now += timedelta(minutes=20)
        world.open("own/app")

    def changed(connection: Connection, _request: Request, response: Response) -> None:
        world.now += timedelta(hours=1)
        world.label("own/app", 4, "bug")
        thing = world.repositories["own/app"].things[4]
        assert response.body[-1]["number"] == 4
        connection.send(replace(response, body=[*response.body[:-1], issue_row("own/app", thing)]))

    plan = Plan({0: changed}, lambda r: r.query.get("sort") == "updated")
    with fetched(world, tmp_path, plan) as (nights, server):
        nights.fetch_until_through()
        assert {r.path for r in server.requests if "timeline" in r.path} == {
            f"/repos/own/app/issues/{number}/timeline" for number in range(1, 9)
        }


@pytest.mark.parametrize("is_pull", [False, True])
def test_a_listing_that_lags_behind_is_caught_up_with(is_pull: bool, tmp_path: Path) -> None:
    """A change from before the newest one that was seen is listed only later."""
    world = GitHub(NOON)
    world.create("own/app")
    for _ in range(3):
        world.open("own/app", is_pull=is_pull)
    with fetched(world, tmp_path) as (nights, _):
        nights.fetch_until_through()
        later(nights, world)
        world.close("own/app", 1)
        late = world.repositories["own/app"].things.pop(1)
        world.now += timedelta(minutes=2)
        world.close("own/app", 2)
        nights.fetch_until_through()
        world.repositories["own/app"].things[1] = late
        later(nights, world)
        nights.fetch_until_through()
        assert nights.loaded() == world.rows()


def test_a_next_night_asks_only_for_what_changed(tmp_path: Path) -> None:
    world = world_with(15, rows_a_page=10)
    for _ in range(15):
        world.now += timedelta(minutes=10)
        world.open("own/app")
    with fetched(world, tmp_path) as (nights, server):
        nights.fetch_until_through()
        later(nights, world)
        world.close("own/app", 7)
        begin = len(server.requests)
        nights.fetch_until_through()
        assert [r.path for r in server.requests[begin:] if "timeline" in r.path] == ["/repos/own/app/issues/7/timeline"]
        assert len(asked(server, "/repos/own/app/issues", begin)) == 1
        quiet = len(server.requests)
        later(nights, world)
        nights.fetch_until_through()
        # What is there, issues, pull requests, releases, deployments, runs, and which repositories there are.
        assert len(server.requests) - quiet == 7
        assert nights.loaded() == world.rows()


def an_empty_page(connection: Connection, _request: Request, response: Response) -> None:
    connection.send(Response([], 200, {"Date": response.headers["Date"]}))


def an_empty_page_with_a_next(connection: Connection, _request: Request, response: Response) -> None:
    connection.send(Response([], 200, response.headers))


def rows_upside_down(connection: Connection, _request: Request, response: Response) -> None:
    connection.send(replace(response, body=response.body[::-1]))


class TheFirstPageAgain:
    """Answers with what was answered at first, as a broken cache would."""

    def __init__(self) -> None:
        self.first: Response | None = None

    def note(self, app: Callable[[Request], Response]) -> Callable[[Request], Response]:
        def noted(request: Request) -> Response:
            answer = app(request)
            if request.query.get("sort") == "created" and self.first is None:
                self.first = answer
            return answer

        return noted

    def __call__(self, connection: Connection, _request: Request, response: Response) -> None:
        assert self.first is not None
        connection.send(replace(self.first, headers={**self.first.headers, "Link": response.headers.get("Link", "")}))


MISFITS: dict[str, Fault] = {
    "an empty page": an_empty_page,
    "an empty page that names a next": an_empty_page_with_a_next,
    "a page that was there before": TheFirstPageAgain(),
    "another order": rows_upside_down,
}


@pytest.mark.parametrize("misfit", MISFITS)
@pytest.mark.parametrize("times", [1, 2, 8])
def test_a_page_that_does_not_fit(misfit: str, times: int, tmp_path: Path) -> None:
    """In the middle of a listing. It is asked for again; if that goes on for a night, the next one begins anew."""
    world = world_with(20, rows_a_page=8)
    by = "updated" if misfit == "another order" else "created"
    fault = TheFirstPageAgain() if misfit == "a page that was there before" else MISFITS[misfit]
    app = fault.note(world.app) if isinstance(fault, TheFirstPageAgain) else world.app
    plan = Plan(dict.fromkeys(range(1, 1 + times), fault), lambda r: r.query.get("sort") == by and "issues" in r.path)
    with served(app, plan) as server:
        nights = Nights(tmp_path, world, server.url, TurnedClock(world.night))
        outcomes = nights.fetch_until_through()
        assert nights.loaded() == world.rows()
        assert len(outcomes) == (2 if times > 6 else 1)


def linked_to(place: Callable[[str], str]) -> Fault:
    """Names another page as the next."""

    def fault(connection: Connection, request: Request, response: Response) -> None:
        link = f'<{place(request.headers["host"])}>; rel="next"'
        connection.send(replace(response, headers={**response.headers, "Link": link}))

    return fault


ISSUES = "/repos/own/app/issues?state=all&sort=created&direction=asc&per_page=100"
HOSTILE: dict[str, tuple[Fault, str]] = {
    "itself": (linked_to(lambda host: f"http://{host}{ISSUES}"), "read already"),
    "another server": (linked_to(lambda _: "http://127.0.0.1:9/repos/own/app/issues?page=2"), "on another server"),
    "another listing": (linked_to(lambda host: f"http://{host}/repos/own/app/pulls?page=2"), "of another listing"),
    "the same page by another address": (linked_to(lambda host: f"http://{host}{ISSUES}&x=1"), "there before"),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_a_next_page_that_leads_astray(what: str, tmp_path: Path) -> None:
    """The repository fails with a clear word; others don't."""
    fault, says = HOSTILE[what]
    world = world_with(3)
    world.create("own/web")
    world.open("own/web")
    plan = Plan(dict.fromkeys(range(40), fault), lambda r: r.query.get("sort") == "created" and "app/issues" in r.path)
    with fetched(world, tmp_path, plan) as (nights, server):
        outcome = nights.fetch()
        assert outcome.finished == ("own/web",)
        assert says in outcome.problems["own/app"]
        assert len(server.requests) < 40


def test_a_listing_without_an_end_is_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(github_pages, "MOST_PAGES", 30)
    world = world_with(1)
    world.create("own/web")
    numbers = iter(range(10_000))

    def endless(request: Request) -> Response:
        answer = world.app(request)
        if not request.path.endswith("own/app/releases"):
            return answer
        number = next(numbers)
        link = f'<http://{request.headers["host"]}{request.path}?page={number}>; rel="next"'
        return Response([{"id": number}], 200, {**answer.headers, "Link": link})

    with served(endless) as server:
        nights = Nights(tmp_path, world, server.url, TurnedClock(world.night))
        outcome = nights.fetch()
        assert "more than 30 pages" in outcome.problems["own/app"]
        assert outcome.finished == ("own/web",)


def test_time_that_never_ends_is_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each page ends later than the one before, and names a next one."""
    monkeypatch.setattr(github_pages, "MOST_PAGES", 30)
    world = world_with(3)

    def endless(request: Request) -> Response:
        answer = world.app(request)
        if request.query.get("sort") != "updated" or "issues" not in request.path:
            return answer
        for _ in range(3):
            world.open("own/app")
        link = f'<http://{request.headers["host"]}{request.path}?page=2>; rel="next"'
        return Response(answer.body, 200, {**answer.headers, "Link": link})

    with served(endless) as server:
        nights = Nights(tmp_path, world, server.url, TurnedClock(world.night))
        with pytest.raises(Exception, match="more than 30 pages"):
            nights.fetch()


# Repositories


def test_an_organisation_is_all_that_it_has_now(tmp_path: Path) -> None:
    world = world_with(1, rows_a_page=2, leave_out=["own/*-fork"], archived=False, repositories=["Own/*", "own/app"])
    for name in ("own/web", "own/docs", "own/a-fork", "other/x"):
        world.create(name)
    world.create("own/old", archived=True)
    with fetched(world, tmp_path) as (nights, _):
        assert nights.fetch().parts == ("own/app", "own/docs", "own/web")


def test_a_user_has_repositories_too(tmp_path: Path) -> None:
    world = GitHub(NOON)
    world.create("own/app", organisation=False)
    world.open("own/app")
    with fetched(world, tmp_path) as (nights, _):
        assert nights.fetch().finished == ("own/app",)
        assert nights.loaded() == world.rows()


def test_each_repository_fails_by_itself(tmp_path: Path) -> None:
    """One has another name now, one isn't there (or not for us), one has no issues, one nothing at all."""
    world = world_with(2, repositories=["own/*", "own/former", "own/secret"])
    world.create("own/former")
    world.open("own/former")
    world.rename("own/former", "own/present")
    world.create("own/fork", has_issues=False)
    world.create("own/empty")
    with fetched(world, tmp_path) as (nights, server):
        outcome = nights.fetch()
        assert outcome.finished == ("own/app", "own/empty", "own/fork", "own/present")
        assert set(outcome.problems) == {"own/former", "own/secret"}
        assert "called own/present now" in outcome.problems["own/former"]
        assert "status 404" in outcome.problems["own/secret"]
        assert asked(server, "/repos/own/fork/issues") == []
        assert nights.loaded() == world.rows()


def test_issues_that_are_refused_are_a_problem_of_that_repository(tmp_path: Path) -> None:
    """As if the tab had been taken away between two questions."""
    world = world_with(2)
    world.create("own/web")

    def app(request: Request) -> Response:
        gone = Response({"message": "Issues has been disabled in this repository."}, 410)
        return gone if request.path == "/repos/own/app/issues" else world.app(request)

    with served(app) as server:
        outcome = Nights(tmp_path, world, server.url, TurnedClock(world.night)).fetch()
        assert outcome.finished == ("own/web",)
        assert "status 410" in outcome.problems["own/app"]


def test_a_renamed_repository_is_the_same_one(tmp_path: Path) -> None:
    """An organisation's listing has the new name: what was landed under the old one counts there, and once."""
    world = world_with(3)
    world.close("own/app", 1)
    with fetched(world, tmp_path) as (nights, _):
        nights.fetch_until_through()
        world.rename("own/app", "own/application")
        later(nights, world)
        world.close("own/application", 2)
        nights.fetch_until_through()
        assert nights.loaded() == world.rows()
        world.query = "select distinct repository from facts.issue_flows"
        assert nights.loaded() == [("own/application",)]
        # And back again: the next sweep says so.
        world.renamed.clear()
        world.rename("own/application", "own/app")
        later(nights, world, days=8)
        nights.fetch_until_through()
        assert nights.loaded() == [("own/app",)]


def test_a_repository_that_vanishes_is_a_problem_and_one_that_is_archived_is_none(tmp_path: Path) -> None:
    world = world_with(1, archived=False)
    for name in ("own/gone", "own/moved", "own/old", "own/unwanted"):
        world.create(name)
        world.open(name)
    with fetched(world, tmp_path) as (nights, _):
        nights.fetch_until_through()
        del world.repositories["own/gone"]
        world.rename("own/moved", "elsewhere/moved")
        world.repositories["own/old"].archived = True
        world.configured["leave_out"] = ["own/unwanted"]
        later(nights, world)
        outcome = nights.fetch()
        assert outcome.parts == ("own/app", "own/gone", "own/moved")
        assert set(outcome.problems) == {"own/gone", "own/moved"}
        assert "doesn't list it any more" in outcome.problems["own/gone"]


def test_another_repository_under_the_same_name_is_told_apart(tmp_path: Path) -> None:
    world = world_with(2)
    with fetched(world, tmp_path) as (nights, _):
        nights.fetch_until_through()
        world.rename("own/app", "own/old")
        world.renamed.clear()
        world.create("own/app")
        world.open("own/app")
        later(nights, world)
        outcome = nights.fetch()
        assert "another repository than the one that was fetched" in outcome.problems["own/app"]
        assert outcome.finished == ("own/old",)
        world.query = "select distinct repository from staged.issues"
        assert nights.loaded() == [("own/old",)]


def test_no_day_is_covered_before_it_is_over_by_both_clocks(tmp_path: Path) -> None:
    world = world_with(1, since="2026-03-02")
    with fetched(world, tmp_path) as (nights, _):
        nights.clock.turn(hours=30)
        nights.fetch()
        state = nights.landing.newest("github").parts["own/app"]  # type: ignore[union-attr]
        # Ours says that it is the 7th, GitHub's that it is the 6th.
        assert [tuple(map(str, days)) for days in state.covered] == [("2026-03-02", "2026-03-05")]


def test_earlier_days_are_fetched_when_they_are_asked_for(tmp_path: Path) -> None:
    world = GitHub(utc(2026, 2, 10), since="2026-03-01", streams=["issues", "timeline", "pulls"])
    world.create("own/app")
    for is_pull in (False, True):
        world.close("own/app", world.open("own/app", is_pull=is_pull))
    world.now = NOON
    world.close("own/app", world.open("own/app"))
    world.night = world.now
    with fetched(world, tmp_path) as (nights, _):
        nights.fetch_until_through()
        world.query = "select count(*) from raw.github where stream in ('timeline', 'pulls')"
        assert nights.loaded() == [(1,)]
        world.configured["since"] = "2026-02-01"
        later(nights, world)
        nights.fetch_until_through()
        assert nights.loaded() == [(3,)]
        state = nights.landing.newest("github").parts["own/app"]  # type: ignore[union-attr]
        assert [tuple(map(str, days)) for days in state.covered] == [("2026-02-01", "2026-03-06")]


def test_a_stream_that_is_asked_for_later_is_fetched_from_the_beginning(tmp_path: Path) -> None:
    world = world_with(3, streams=["issues"])
    world.close("own/app", 2)
    with fetched(world, tmp_path) as (nights, server):
        nights.fetch_until_through()
        world.configured["streams"] = ["issues", "timeline"]
        later(nights, world)
        nights.fetch_until_through()
        assert nights.loaded() == world.rows()
        begin = len(server.requests)
        later(nights, world)
        nights.fetch_until_through()
        assert not [request.path for request in server.requests[begin:] if "timeline" in request.path]


def test_a_number_that_no_issue_has_is_not_counted_up_to(tmp_path: Path) -> None:
    world = world_with(2)
    things = world.repositories["own/app"].things
    things[2].number = 10**15
    world.create("own/web")
    with fetched(world, tmp_path) as (nights, _):
        outcome = nights.fetch()
        assert "an issue with the number 1,000,000,000,000,000" in outcome.problems["own/app"]
        assert outcome.finished == ("own/web",)


# Streams


def test_pull_requests_that_move_to_the_front_meanwhile_are_found_the_next_night(tmp_path: Path) -> None:
    world = GitHub(NOON, rows_a_page=3)
    world.create("own/app")
    for _ in range(9):
        world.open("own/app", is_pull=True)

    def change() -> None:
        world.merge("own/app", 1)

    def long_after(connection: Connection, _request: Request, response: Response) -> None:
        """Another one changes while its page is made, and says so where it stood before."""
        world.now += timedelta(hours=1)
        number = response.body[-1]["number"]
        world.label("own/app", number, "bug")
        row = pull_row(world.repositories["own/app"].things[number])
        connection.send(replace(response, body=[*response.body[:-1], row]))

    plan = Plan({2: long_after}, applies=lambda r: r.path.endswith("/pulls"), after={1: change})
    with fetched(world, tmp_path, plan) as (nights, _):
        nights.fetch_until_through()
        later(nights, world)
        nights.fetch_until_through()
        assert nights.loaded() == world.rows()


def test_upstream_reviews_and_comments_of_pull_requests_are_fetched(tmp_path: Path) -> None:
    """Also of a project that has its issues elsewhere."""
    world = GitHub(NOON, repositories=["up/stream", "up/tracked"])
    for name, has_issues in (("up/stream", False), ("up/tracked", True)):
        world.create(name, has_issues=has_issues)
        number = world.open(name, is_pull=True)
        world.comment(name, number)
        world.review(name, number)
    with fetched(world, tmp_path) as (nights, _):
        nights.fetch_until_through()
        world.query = "select stream, repository, count(*) from staged.github_objects group by all"
        kept = {("up/stream", "comments"), ("up/stream", "pulls"), ("up/stream", "reviews"), ("up/tracked", "comments"),
                ("up/tracked", "pulls"), ("up/tracked", "reviews"), ("up/tracked", "issues")}  # fmt: skip
        assert nights.loaded() == sorted((stream, name, 1) for name, stream in kept)


def test_a_listing_that_shrinks_leaves_nothing_behind(tmp_path: Path) -> None:
    """Comments that are deleted, and releases: pages that there are no more become empty ones."""
    world = GitHub(NOON, rows_a_page=2, repositories=["up/stream"], upstream_streams=["issues", "timeline", "releases"])
    world.create("up/stream")
    world.open("up/stream")
    for _ in range(5):
        world.comment("up/stream", 1)
        world.release("up/stream")
    with fetched(world, tmp_path) as (nights, _):
        nights.fetch_until_through()
        assert nights.loaded() == world.rows()
        later(nights, world)
        del world.repositories["up/stream"].things[1].events[1:]
        del world.repositories["up/stream"].releases[3:]
        world.comment("up/stream", 1)
        nights.fetch_until_through()
        assert nights.loaded() == world.rows()


def test_statuses_are_asked_for_until_the_deployment_ends(tmp_path: Path) -> None:
    world = GitHub(NOON, rows_a_page=2, streams=["deployments", "statuses"])
    world.create("own/app")
    ended, slow, never = (world.deploy("own/app") for _ in range(3))
    world.report("own/app", ended, "in_progress")
    world.report("own/app", ended, "success")
    world.report("own/app", slow, "in_progress")

    def of(deployment: int) -> str:
        return f"/repos/own/app/deployments/{deployment}/statuses"

    with fetched(world, tmp_path) as (nights, server):
        nights.fetch_until_through()
        later(nights, world)
        world.report("own/app", slow, "failure")
        begin = len(server.requests)
        nights.fetch_until_through()
        assert [len(asked(server, of(each), begin)) for each in (ended, slow, never)] == [0, 1, 1]
        assert nights.loaded() == world.rows()
        begin = len(server.requests)
        for _ in range(2):
            later(nights, world, days=16)
            nights.fetch_until_through()
        # After a month nobody waits for it any more.
        assert [len(asked(server, of(each), begin)) for each in (slow, never)] == [0, 2]
        begin = len(server.requests)
        later(nights, world)
        nights.fetch_until_through()
        assert [len(asked(server, of(each), begin)) for each in (slow, never)] == [0, 0]


def test_a_deployment_that_is_deleted_stops_nothing(tmp_path: Path) -> None:
    world = GitHub(NOON, streams=["deployments", "statuses"])
    world.create("own/app")
    world.deploy("own/app")
    with fetched(world, tmp_path) as (nights, _):
        nights.fetch_until_through()
        later(nights, world)
        world.repositories["own/app"].deployments.clear()
        nights.fetch_until_through()


def test_no_window_of_runs_has_more_than_github_gives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of any filtered listing the fake gives ten rows, as GitHub gives a thousand."""
    monkeypatch.setattr("kpi_pipeline.sources.github_repository.MOST_RUNS", 10)
    world = GitHub(utc(2026, 2, 20), rows_a_page=4, most_runs=10, since="2026-02-01", streams=["runs"])
    world.create("own/app")
    for n in range(60):
        # Twenty within a minute, the others hours apart.
        world.now += timedelta(hours=0 if 20 <= n < 40 else 8)
        world.run("own/app")
    world.night = world.now + timedelta(hours=1)
    with fetched(world, tmp_path) as (nights, server):
        nights.fetch_until_through()
        assert len(world.repositories["own/app"].runs) == 60
        assert nights.loaded() == world.rows()
        later(nights, world, days=0.1)
        # A run ends, of the last days; what is older is not looked at again.
        world.repositories["own/app"].runs[1] |= {"conclusion": "failure", "updated_at": "2026-03-11T00:00:00Z"}
        world.run("own/app", None)
        begin = len(server.requests)
        nights.fetch_until_through()
        assert nights.loaded() == world.rows()
        days = {query["created"][:10] for query in asked(server, "/repos/own/app/actions/runs", begin)}
        assert min(days) >= (world.now - timedelta(days=4)).date().isoformat()


def test_a_quiet_repository_is_asked_once_for_its_runs(tmp_path: Path) -> None:
    world = GitHub(NOON, streams=["runs"])
    world.create("own/app")
    with fetched(world, tmp_path) as (nights, server):
        nights.fetch_until_through()
        begin = len(server.requests)
        later(nights, world)
        nights.fetch_until_through()
        assert len(asked(server, "/repos/own/app/actions/runs", begin)) == 1


def test_what_is_not_one_yet_is_left_aside(tmp_path: Path) -> None:
    """A draft of a release, and a review that its author hasn't submitted: those who may write see them."""
    world = GitHub(NOON, repositories=["up/stream"])
    world.create("up/stream")
    world.release("up/stream")
    world.repositories["up/stream"].releases[0] |= {"draft": True, "published_at": None}
    world.review("up/stream", world.open("up/stream", is_pull=True))
    pending = world.repositories["up/stream"].things[1].reviews[0]
    pending["state"] = "PENDING"
    del pending["submitted_at"]
    with fetched(world, tmp_path) as (nights, _):
        nights.fetch_until_through()
        world.query = "select stream from staged.github_objects where stream in ('releases', 'reviews')"
        assert nights.loaded() == []


def test_a_comment_may_have_the_id_of_an_event(tmp_path: Path) -> None:
    world = GitHub(NOON)
    world.create("own/app")
    world.open("own/app")
    world.comment("own/app", 1)
    world.close("own/app", 1)
    for event in world.repositories["own/app"].things[1].events:
        event["id"] = 4711
    with fetched(world, tmp_path) as (nights, _):
        nights.fetch_until_through()
        assert nights.loaded() == world.rows()


def test_streams_need_what_they_rest_on() -> None:
    for streams in (["timeline"], ["issues", "reviews"], ["statuses"], []):
        with pytest.raises(ValueError, match=r"needs|at least 1"):
            GitHub(NOON, streams=streams).settings("https://api.github.com")
    assert GitHub(NOON, streams=["pulls", "timeline"]).settings("https://api.github.com").streams == (
        "pulls",
        "timeline",
    )


def test_requests_are_paced(tmp_path: Path) -> None:
    """No more a minute than GitHub bears, however quick it answers."""
    world = world_with(40)
    with fetched(world, tmp_path) as (nights, server):
        began = nights.clock.monotonic()
        nights.fetch()
        assert nights.clock.monotonic() - began >= 60 * (len(server.requests) - 1) / 840
        assert {request.headers["x-github-api-version"] for request in server.requests} == {"2022-11-28"}


def test_nobody_is_named_in_what_is_told(tmp_path: Path) -> None:
    world = FakeGitHub()
    with fetched(world, tmp_path) as (nights, _):
        outcome = nights.fetch()
        nights.fetch()
        assert isinstance(outcome, Outcome)
        told = " ".join(nights.told) + json.dumps(nights.landing.newest("github").model_dump(mode="json"))  # type: ignore[union-attr]
        assert "zz-" not in told
        assert isinstance(nights.configured, GitHubApi)
