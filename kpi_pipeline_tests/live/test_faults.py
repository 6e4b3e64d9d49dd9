"""Whatever goes wrong between us and a vendor, in the end the warehouse has what the server holds, once each."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from kpi_pipeline.errors import SourceError
from kpi_pipeline_tests.live.fake_cost_explorer import FakeCostExplorer
from kpi_pipeline_tests.live.fake_freshdesk import FakeFreshdesk
from kpi_pipeline_tests.live.fake_github import FakeGitHub
from kpi_pipeline_tests.live.fake_hubspot import FakeHubSpot
from kpi_pipeline_tests.live.fake_jupyterhub import FakeJupyterHub
from kpi_pipeline_tests.live.fake_prometheus import FakePrometheus
from kpi_pipeline_tests.live.fake_s3 import FakeS3
from kpi_pipeline_tests.live.fetched import LIMITS, Killed, Nights, TurnedClock, Vendor, killed_after
from kpi_pipeline_tests.live.server import (
    Fault,
    Plan,
    Served,
    an_error_object,
    cut_off,
    http_date,
    served,
    short_length,
    slow,
    status,
    too_many,
    torn,
)

VENDORS: dict[str, Callable[[], Vendor]] = {
    "cost_explorer": FakeCostExplorer,
    "focus_s3": FakeS3,
    "freshdesk": FakeFreshdesk,
    "github": FakeGitHub,
    "hubspot": FakeHubSpot,
    "jupyterhub": FakeJupyterHub,
    "prometheus": FakePrometheus,
}
FAULTS: dict[str, Fault] = {
    "429, wait some seconds": too_many(retry_after="7"),
    "429, wait until a date": too_many(retry_after=http_date(20)),
    "429, no word how long": too_many(),
    "403, secondary limit": too_many(status=403),
    "500": status(500),
    "502": status(502),
    "torn in mid-body": torn,
    "short Content-Length": short_length,
    "cut off JSON": cut_off,
    "an object where a list belongs": an_error_object,
    "slow bytes": slow,
}


@pytest.fixture(params=sorted(VENDORS))
def vendor(request: pytest.FixtureRequest) -> Vendor:
    made: Vendor = VENDORS[request.param]()
    return made


@contextmanager
def nights(vendor: Vendor, folder: Path, plan: Plan | None = None) -> Iterator[tuple[Nights, Served]]:
    with served(vendor.app, plan) as server:
        yield Nights(folder, vendor, server.url, TurnedClock(vendor.night)), server


def test_undisturbed(vendor: Vendor, tmp_path: Path) -> None:
    with nights(vendor, tmp_path) as (fetched, server):
        (outcome,) = fetched.fetch_until_through()
        assert fetched.loaded() == vendor.rows()
        assert vendor.rows()
        assert outcome.requests == len(server.requests)
        assert outcome.pages > 0
        fetched.assert_nothing_secret()


def test_the_next_night_reads_little_and_adds_what_is_new(vendor: Vendor, tmp_path: Path) -> None:
    with nights(vendor, tmp_path) as (fetched, server):
        fetched.fetch_until_through()
        first, before = len(server.requests), vendor.rows()
        fetched.fetch_until_through()
        assert fetched.loaded() == before
        assert len(server.requests) - first <= first
        vendor.update_a_row()
        fetched.fetch_until_through()
        assert fetched.loaded() == vendor.rows()


def test_all_over_again(vendor: Vendor, tmp_path: Path) -> None:
    """`kpi refetch`: what has come is asked for again, stays until it is there, and counts as missing so long."""
    with nights(vendor, tmp_path) as (fetched, server):
        fetched.fetch_until_through()
        first, before = len(server.requests), vendor.rows()
        assert fetched.refetch() == len(fetched.states())
        assert all((state.cursor, state.covered) == ({}, ()) for state in fetched.states().values())
        assert fetched.loaded() == before
        fetched.clock.turn(hours=1)
        fetched.fetch_until_through()
        assert len(server.requests) == 2 * first
        assert fetched.loaded() == vendor.rows()
        with pytest.raises(SourceError, match="the part 'nothing'"):
            fetched.refetch("nothing")


TIMES = {"once": 1, "twice": 2, "all night": 40}
# A slow answer takes its time; one says it all.
CASES = [(fault, how) for fault in FAULTS for how in TIMES if fault != "slow bytes" or how == "once"]


@pytest.mark.parametrize(("fault", "how"), CASES)
def test_a_fault(vendor: Vendor, fault: str, how: str, tmp_path: Path) -> None:
    """At the second page: once, twice in a row, or for a whole night, after which the next one gets it."""
    times = TIMES[how]
    plan = Plan(dict.fromkeys(range(1, 1 + times), FAULTS[fault]), vendor.is_page)
    with nights(vendor, tmp_path, plan) as (fetched, _):
        if fault == "slow bytes":
            fetched.limits = type(LIMITS)(connect_seconds=5, read_seconds=5, answer_seconds=0.3)
        outcomes = fetched.fetch_until_through()
        assert fetched.loaded() == vendor.rows()
        assert len(outcomes) == 1 or times > 2
        fetched.assert_nothing_secret()


@pytest.mark.parametrize("hours", [-2, 2])
def test_a_clock_two_hours_off(vendor: Vendor, hours: int, tmp_path: Path) -> None:
    """The server's clock goes wrong, and so does ours: limits are waited for by the server's, and no day ends early."""
    skew = timedelta(hours=hours)
    limit = too_many(retry_after=http_date(30, skew), Date=http_date(0, skew))
    plan = Plan({1: limit}, vendor.is_page, headers=lambda: {"Date": http_date(0, skew)})
    with nights(vendor, tmp_path, plan) as (fetched, _):
        fetched.clock.turn(hours=-hours)
        fetched.fetch_until_through()
        assert max(fetched.clock.slept) < 100
        fetched.clock.turn(hours=24)
        fetched.fetch_until_through()
        assert fetched.loaded() == vendor.rows()


@pytest.mark.parametrize("page", [0, 1, 2])
@pytest.mark.parametrize("change", ["update_a_row", "delete_a_row"])
def test_rows_that_change_between_pages(vendor: Vendor, page: int, change: str, tmp_path: Path) -> None:
    plan = Plan(applies=vendor.is_page, after={page: getattr(vendor, change)})
    with nights(vendor, tmp_path, plan) as (fetched, _):
        fetched.fetch_until_through()
        fetched.clock.turn(days=8)
        fetched.fetch_until_through()
        assert fetched.loaded() == vendor.rows()


def test_killed_between_any_two_writes(vendor: Vendor, tmp_path: Path) -> None:
    """The next run goes on: nothing is asked twice but what was under way, and nothing is missing or doubled."""
    with nights(vendor, tmp_path / "undisturbed") as (fetched, server):
        with killed_after(-1) as writes:
            fetched.fetch_until_through()
        undisturbed, landed = len(server.requests), [fetched.landed_by_part()]
        fetched.fetch_until_through()
        # A part that goes on is asked once round again, for what is new since it was begun.
        another = len(server.requests) - undisturbed
        landed.append(fetched.landed_by_part())
    assert writes[0] > 10
    for number in range(writes[0]):
        with nights(vendor, tmp_path / str(number)) as (fetched, server):
            with killed_after(number), pytest.raises(Killed):
                fetched.fetch()
            fetched.fetch_until_through()
            # Of each part what one night lands, or, where it went on and then round once more, what two do.
            found = fetched.landed_by_part()
            assert set(found) == set(landed[0])
            assert all(any(files == night[part] for night in landed) for part, files in found.items())
            # Loading takes its time; the same files are loaded as the same rows.
            assert number % 9 or fetched.loaded() == vendor.rows()
            assert len(server.requests) <= undisturbed + another + ASKED_AGAIN


# The page that was under way, and what comes before the parts, which is asked by every run.
ASKED_AGAIN = 3


@pytest.mark.parametrize("requests", [1, 4, 7])
def test_a_budget_that_is_too_small_for_a_night(vendor: Vendor, requests: int, tmp_path: Path) -> None:
    with nights(vendor, tmp_path) as (fetched, server):
        fetched.requests = requests
        for _ in range(60):
            outcome = fetched.fetch()
            assert outcome.requests <= requests
            if not outcome.unfinished and not outcome.problems:
                break
        assert fetched.loaded() == vendor.rows()
        assert len(server.requests) > requests
