"""What people do on GitHub between two nights, and between two pages: in the end the facts are what happened.

What is expected is kept by the fake, change by change, as it happens; none of it is worked out by the code under test.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import duckdb
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kpi_pipeline.contracts import WAREHOUSE
from kpi_pipeline.stages.checks.github import CHECKS
from kpi_pipeline.stages.checks.model import evaluate
from kpi_pipeline.warehouse import create_tables, set_up
from kpi_pipeline_tests.live.fake_github import GitHub, objects, stamp
from kpi_pipeline_tests.live.fetched import Nights, TurnedClock, utc
from kpi_pipeline_tests.live.server import Plan, Request, Response, Served, served

NOON = utc(2026, 3, 6, 12)
REPOSITORIES = ("own/app", "own/web")


class Watched(GitHub):
    """A GitHub of which is known which issues it ever listed; facts of it can be asked for."""

    def __init__(self, now: Any = NOON, **more: Any) -> None:
        super().__init__(now, **more)
        self.listed: set[tuple[str, int]] = set()
        for name in REPOSITORIES:
            self.create(name)

    def app(self, request: Request) -> Response:
        answer = super().app(request)
        if request.path.endswith("/issues") and answer.status == 200:
            name = request.path.removeprefix("/repos/").removesuffix("/issues")
            self.listed |= {(name, row["number"]) for row in answer.body}
        return answer

    def loaded(self, con: duckdb.DuckDBPyConnection) -> list[tuple[Any, ...]]:
        assert [c.name for c in CHECKS if c.severity == "ERROR" and not evaluate(con, c, {}).passed] == []
        return super().loaded(con)

    @property
    def is_open(self) -> set[tuple[str, int]]:
        """The issues that are open now."""
        return {
            (name, thing.number)
            for name, repository in self.repositories.items()
            for thing in repository.things.values()
            if thing.state == "open" and not thing.is_pull
        }


@contextmanager
def fetched(world: GitHub, folder: Path, plan: Plan | None = None) -> Iterator[tuple[Nights, Served]]:
    with served(world.app, plan) as server:
        yield Nights(folder, world, server.url, TurnedClock(world.night)), server


def later(nights: Nights, world: GitHub, days: float = 1) -> None:
    nights.clock.turn(days=days)
    world.now = max(world.now, nights.clock.now() - timedelta(hours=1)).replace(microsecond=0)


def facts(nights: Nights, world: GitHub, query: str) -> list[tuple[Any, ...]]:
    world.query = query
    return nights.loaded()


def flows(nights: Nights, world: GitHub) -> dict[tuple[str, int], list[tuple[str, str]]]:
    """What changed the number of open issues, by issue."""
    query = "select repository, number, flow, strftime(happened_at, '%Y-%m-%dT%H:%M:%SZ') from facts.issue_flows"
    found: dict[tuple[str, int], list[tuple[str, str]]] = {}
    for name, number, flow, at in sorted(facts(nights, world, query), key=lambda row: row[3]):
        found.setdefault((name, number), []).append((flow, at))
    return found


OPEN = "select repository, number from facts.issue_open where to_at is null"


# Issues that go


def test_a_deleted_issue_keeps_its_history_and_leaves_when_that_is_noticed(tmp_path: Path) -> None:
    world = Watched()
    for _ in range(3):
        world.open("own/app")
    with fetched(world, tmp_path) as (nights, _):
        nights.fetch_until_through()
        opened = flows(nights, world)["own/app", 2]
        later(nights, world)
        world.delete("own/app", 2)
        world.delete("own/app", 3)
        nights.fetch_until_through()
        assert facts(nights, world, OPEN) == [("own/app", 1), ("own/app", 2), ("own/app", 3)]
        later(nights, world, days=6)
        nights.fetch_until_through()
        now = flows(nights, world)
        noticed = nights.clock.now().strftime("%Y-%m-%d")
        # Also the one with the highest number, which no other one shows to be missing.
        for number in (2, 3):
            (first, (how, at)) = now["own/app", number]
            assert (first, how, at[:10]) == (now["own/app", number][0], "deleted", noticed)
        assert now["own/app", 2][:1] == opened
        assert facts(nights, world, OPEN) == [("own/app", 1)]


def test_gaps_are_asked_about_once(tmp_path: Path) -> None:
    """Those that were there at first not at all: discussions have numbers too. Later ones once."""
    world = Watched(rows_a_page=3)
    for n in range(10):
        world.discuss("own/app") if n % 3 else world.open("own/app")

    def asked_for(begin: int) -> list[int]:
        one = [r.path.rpartition("/issues/")[2] for r in server.requests[begin:]]
        return [int(number) for number in one if number.isdigit()]

    with fetched(world, tmp_path) as (nights, server):
        nights.fetch_until_through()
        assert asked_for(0) == []
        for expected in ([11, 13], []):
            later(nights, world, days=8)
            if expected:
                world.discuss("own/app")
                world.open("own/app")
                world.delete("own/app", world.open("own/app"))
                world.open("own/app")
            begin = len(server.requests)
            nights.fetch_until_through()
            assert asked_for(begin) == expected
        assert nights.loaded() == world.rows()


def test_an_issue_that_goes_where_nobody_looks(tmp_path: Path) -> None:
    world = Watched()
    world.create("elsewhere/x")
    world.open("own/app")
    world.open("own/app")
    with fetched(world, tmp_path) as (nights, _):
        nights.fetch_until_through()
        later(nights, world, days=8)
        world.transfer("own/app", 1, "elsewhere/x")
        nights.fetch_until_through()
        assert [flow for flow, _ in flows(nights, world)["own/app", 1]] == ["opened", "transferred_out"]


def test_a_departure_that_an_arrival_explains_counts_once(tmp_path: Path) -> None:
    """It is known by the arrival from the next night on, and the sweep adds nothing to it."""
    world = Watched()
    world.open("own/app")
    with fetched(world, tmp_path) as (nights, _):
        nights.fetch_until_through()
        later(nights, world)
        arrived = world.transfer("own/app", 1, "own/web")
        at = stamp(world.now)
        expected = {
            ("own/app", 1): [("opened", stamp(NOON + timedelta(seconds=1))), ("transferred_out", at)],
            ("own/web", arrived): [("transferred_in", at)],
        }
        nights.fetch_until_through()
        assert flows(nights, world) == expected
        later(nights, world, days=8)
        nights.fetch_until_through()
        assert [file.name for file in nights.landing.files("github", "log") if "/gone/" in file.name] == [
            "own/app/gone/1.json"
        ]
        assert flows(nights, world) == expected


def test_of_two_issues_of_one_moment_and_author_the_one_that_stays_stays(tmp_path: Path) -> None:
    """As a script opens them: the copy in the other repository could be of either."""
    world = Watched()
    for number in (world.open("own/app"), world.open("own/app")):
        world.repositories["own/app"].things[number].created = NOON
    with fetched(world, tmp_path) as (nights, _):
        nights.fetch_until_through()
        later(nights, world)
        world.transfer("own/app", 1, "own/web")
        world.comment("own/app", 2)
        nights.fetch_until_through()
        assert facts(nights, world, OPEN) == [("own/app", 2), ("own/web", 1)]


def test_an_issue_that_was_said_to_be_gone_and_is_back(tmp_path: Path) -> None:
    """GitHub answers 404 for a while, and lists it again later: it never went."""
    world = Watched()
    for _ in range(3):
        world.open("own/app")
    with fetched(world, tmp_path) as (nights, _):
        nights.fetch_until_through()
        later(nights, world, days=8)
        hidden = world.repositories["own/app"].things.pop(2)
        nights.fetch_until_through()
        assert facts(nights, world, OPEN) == [("own/app", 1), ("own/app", 3)]
        world.repositories["own/app"].things[2] = hidden
        later(nights, world, days=8)
        nights.fetch_until_through()
        assert facts(nights, world, OPEN) == [("own/app", 1), ("own/app", 2), ("own/app", 3)]
        # And goes for good, which the same answer says at another time; the warehouse is one that was there before.
        with duckdb.connect() as con:
            set_up(con)
            create_tables(con, WAREHOUSE)
            world.load(con, nights.landing, nights.configured)
            del world.repositories["own/app"].things[2]
            later(nights, world, days=8)
            nights.fetch_until_through()
            world.load(con, nights.landing, nights.configured)
            assert con.execute(OPEN).fetchall() == [("own/app", 1), ("own/app", 3)]


def test_issues_that_slip_between_pages_of_a_sweep_are_not_gone(tmp_path: Path) -> None:
    """Two are deleted while all are listed, so that two others move to a page that was read already."""
    world = Watched(rows_a_page=3)
    for _ in range(10):
        world.open("own/app")
    is_sweep = {"on": False}

    def delete() -> None:
        for number in (1, 2):
            world.delete("own/app", number)

    plan = Plan(applies=lambda r: is_sweep["on"] and r.query.get("sort") == "created" and "app" in r.path)
    with fetched(world, tmp_path, plan) as (nights, server):
        nights.fetch_until_through()
        later(nights, world, days=8)
        is_sweep["on"], plan.after[1] = True, delete
        nights.fetch_until_through()
        assert {name for name, _ in nights.landed() if "/gone/" in name} == {
            "own/app/gone/1.json",
            "own/app/gone/2.json",
        }
        assert nights.loaded() == world.rows()
        # Two were found to be there, and all were listed once more.
        assert sum(r.query.get("sort") == "created" and "own/app" in r.path for r in server.requests[30:]) > 5


def test_an_arrival_that_no_listing_by_time_shows_is_found_by_the_next_sweep(tmp_path: Path) -> None:
    """Should a transfer leave the time of the last change as it was."""
    world = Watched()
    world.open("own/app")
    world.open("own/web")
    with fetched(world, tmp_path) as (nights, _):
        nights.fetch_until_through()
        later(nights, world)
        before = world.repositories["own/app"].things[1].updated
        moved = world.transfer("own/app", 1, "own/web")
        at = stamp(world.now)
        world.repositories["own/web"].things[moved].updated = before - timedelta(hours=1)
        nights.fetch_until_through()
        later(nights, world, days=7)
        nights.fetch_until_through()
        assert flows(nights, world)["own/web", moved] == [("transferred_in", at)]


# Versions


def test_what_was_fetched_later_counts_where_nothing_says_that_it_changed(tmp_path: Path) -> None:
    """An account gets another name: everything that it opened says so, and was changed no later for that."""
    world = Watched()
    for _ in range(2):
        world.open("own/app", "zz-before")
    with fetched(world, tmp_path) as (nights, _):
        nights.fetch_until_through()
        query = "select distinct actor_key from staged.github_objects where stream = 'issues'"
        (before,) = facts(nights, world, query)
        for thing in world.repositories["own/app"].things.values():
            thing.author = "zz-after"
        later(nights, world, days=8)
        nights.fetch_until_through()
        (after,) = facts(nights, world, query)
        assert after != before
        # Back again: the old page is there under its old name, and was fetched last all the same.
        for thing in world.repositories["own/app"].things.values():
            thing.author = "zz-before"
        later(nights, world, days=8)
        nights.fetch_until_through()
        assert facts(nights, world, query) == [before]


# All of it


STEPS = st.tuples(
    st.sampled_from(("open", "open", "close", "reopen", "label", "comment", "delete", "transfer", "discuss")),
    st.integers(0, 30),
)
NIGHTS = st.lists(
    st.tuples(st.lists(STEPS, max_size=8), st.dictionaries(st.integers(0, 25), STEPS, max_size=4)),
    min_size=1,
    max_size=3,
)


def take(world: GitHub, step: tuple[str, int]) -> None:
    """One thing that somebody does, to one of the issues that there are."""
    kind, which = step
    there = sorted((name, number) for name in REPOSITORIES for number in world.repositories[name].things)
    if kind == "open" or not there:
        world.open(REPOSITORIES[which % 2], is_pull=which % 7 == 0)
        return
    name, number = there[which % len(there)]
    thing = world.repositories[name].things[number]
    if kind == "discuss":
        world.discuss(name)
    elif kind == "close" and thing.state == "open":
        world.close(name, number, ("completed", "not_planned", "duplicate")[which % 3])
    elif kind == "reopen" and thing.state == "closed":
        world.reopen(name, number)
    elif kind in ("delete", "transfer") and not thing.is_pull:
        world.delete(name, number) if kind == "delete" else world.transfer(name, number, other(name))
    else:
        world.comment(name, number) if kind == "comment" else world.label(name, number, "bug")


def other(name: str) -> str:
    return REPOSITORIES[1 - REPOSITORIES.index(name)]


@given(NIGHTS, st.booleans(), st.booleans())
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_whatever_happens_between_pages_and_nights(
    nights: list[tuple[list[tuple[str, int]], dict[int, tuple[str, int]]]], is_exclusive: bool, has_cursors: bool
) -> None:
    world = Watched(rows_a_page=3, is_exclusive=is_exclusive, has_cursors=has_cursors, streams=["issues", "timeline"])
    for n in range(5):
        world.open(REPOSITORIES[n % 2])
    with TemporaryDirectory() as folder, served(world.app) as server:
        fetching = Nights(Path(folder), world, server.url, TurnedClock(NOON))
        for before, meanwhile in nights:
            for step in before:
                take(world, step)
            asked = len(server.requests)
            # Requests are counted from the first one on.
            changes = {asked + n: partial(take, world, step) for n, step in meanwhile.items()}
            server.plan = Plan(after=changes)
            fetching.fetch_until_through()
            assert len(server.requests) > asked
            later(fetching, world)
        server.plan = Plan()
        later(fetching, world, days=8)
        fetching.fetch_until_through()
        landed = fetching.loaded()
        assert landed == sorted(row for row in objects(world) if row[0] in ("issues", "events", "comments"))
        assert {tuple(row) for row in facts(fetching, world, OPEN)} == world.is_open
        found = flows(fetching, world)
    there = {
        (name, thing.number): thing
        for name in REPOSITORIES
        for thing in world.repositories[name].things.values()
        if not thing.is_pull
    }
    for place, thing in there.items():
        assert found.pop(place, []) == thing.flows
    # The others left, once each; those that no listing ever had were never there.
    for place, steps in found.items():
        assert place in world.listed
        kinds = [flow for flow, _ in steps]
        assert sum(1 if flow in ("opened", "reopened", "transferred_in") else -1 for flow in kinds) == 0
        assert sum(flow in ("deleted", "transferred_out") for flow in kinds) <= 1
