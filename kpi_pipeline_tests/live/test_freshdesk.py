"""Freshdesk in its own ways: how its listings are walked, what vanishes from them, and what a plan doesn't have."""

import gzip
import json
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import date, datetime, timedelta
from decimal import Decimal
from itertools import groupby
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import duckdb
import pytest
from pydantic import SecretStr

from kpi_pipeline import catalog, fetching
from kpi_pipeline.errors import SourceError
from kpi_pipeline.settings import BusinessHours
from kpi_pipeline.settings.base import Live
from kpi_pipeline.sources.connectors import connector
from kpi_pipeline.sources.transport import Budget
from kpi_pipeline.sources.walk import Seen, Tools
from kpi_pipeline.stages import freshdesk, support
from kpi_pipeline.stages.calendar import fill_calendar
from kpi_pipeline.stages.checks import CHECKS, evaluate
from kpi_pipeline.stages.kpi import parameters
from kpi_pipeline.warehouse import run, set_up
from kpi_pipeline_tests.bad_input.organisation import empty_warehouse
from kpi_pipeline_tests.live.fake_freshdesk import CUSTOMER, FIRST, LOGIN, MERGED, ROBOT, SINCE, FakeFreshdesk
from kpi_pipeline_tests.live.fetched import LIMITS, SECRET, TOKEN, Nights, TurnedClock, utc
from kpi_pipeline_tests.live.schemas import faults
from kpi_pipeline_tests.live.server import Connection, Plan, Request, Response, Served, served, too_many

SAMPLE = Path(__file__).parents[2] / "data" / "sample" / "tickets"


@contextmanager
def nights(vendor: FakeFreshdesk, folder: Path, plan: Plan | None = None) -> Iterator[tuple[Nights, Served]]:
    with served(vendor.app, plan) as server:
        yield Nights(folder, vendor, server.url, TurnedClock(vendor.night)), server


def asked(server: Served, path: str) -> list[Request]:
    return [request for request in server.requests if request.path == f"/api/v2/{path}"]


def problem(fetched: Nights) -> str:
    """Why the first fetch ever failed."""
    with pytest.raises(SourceError) as error:
        fetched.fetch()
    return str(error.value)


def query(fetched: Nights, statement: str) -> list[tuple[Any, ...]]:
    """What a night's warehouse holds."""
    path = fetched.folder / "warehouse.duckdb"
    path.write_bytes(empty_warehouse())
    with duckdb.connect(str(path)) as con:
        set_up(con)
        fetched.vendor.load(con, fetched.landing, fetched.configured)
        return con.execute(statement).fetchall()


# -- the schema ----------------------------------------------------------------------------------------

# What Freshdesk's own documentation has beside: a ticket in the trash says so.
BESIDE = {"tickets": ("deleted", "archived"), "conversations": (), "satisfaction_ratings": ()}


def wrong(stream: str, records: list[dict[str, Any]]) -> list[str]:
    """A rating's answers may be a list as well: of objects as the schema has them."""
    flat = []
    for record in records:
        if isinstance(record.get("ratings"), list):
            flat += [{**record, "ratings": one} for one in record["ratings"]]
        else:
            flat.append(record)
    return [fault for record in flat for fault in faults("freshdesk", stream, record, BESIDE[stream])]


def test_every_answer_of_the_fake_is_as_the_schema_has_it(tmp_path: Path) -> None:
    vendor = FakeFreshdesk()
    found: list[tuple[str, int]] = []

    def app(request: Request) -> Response:
        answer = vendor.app(request)
        stream = request.path.split("/")[-1]
        if answer.status == 200 and stream in BESIDE:
            assert wrong(stream, answer.body) == []
            found.append((stream, len(answer.body)))
        elif answer.status == 200 and stream.isdigit():
            assert wrong("tickets", [answer.body]) == []
            found.append(("ticket", 1))
        return answer

    with served(app) as server:
        fetched = Nights(tmp_path, vendor, server.url, TurnedClock(vendor.night))
        fetched.fetch()
        vendor.archived.add(3)
        fetched.clock.turn(days=8)
        fetched.fetch()
    assert {stream for stream, rows in found if rows} == {*BESIDE, "ticket"}


def test_the_pages_of_the_sample_are_as_the_schema_has_them() -> None:
    """But for one of its faults, whose moment is a number on purpose."""
    found = []
    for path in sorted(SAMPLE.rglob("*.json*")):
        content = path.read_bytes()
        records = json.loads(gzip.decompress(content) if path.suffix == ".gz" else content)
        found += wrong(path.relative_to(SAMPLE).parts[0], records)
    assert [fault.split(":")[0] for fault in found] == ["$.created_at"]


# -- walking -------------------------------------------------------------------------------------------


def test_the_key_is_the_user_name(tmp_path: Path) -> None:
    with nights(FakeFreshdesk(), tmp_path) as (fetched, server):
        fetched.fetch()
    assert {request.headers["authorization"] for request in server.requests} == {LOGIN}
    assert TOKEN not in LOGIN


def test_what_is_asked_of_a_listing(tmp_path: Path) -> None:
    with nights(FakeFreshdesk(), tmp_path) as (fetched, server):
        fetched.fetch()
    for request in asked(server, "tickets"):
        plain = {"order_by": "updated_at", "order_type": "asc", "include": "stats", "per_page": "100"}
        assert plain.items() <= request.query.items()
        assert "updated_since" in request.query
    assert {request.query.get("filter") for request in asked(server, "tickets")} == {None, "spam", "deleted"}


def test_a_listing_of_more_than_300_pages_begins_anew_where_it_was(tmp_path: Path) -> None:
    """On pages of two: no page of a high number is ever asked for."""
    vendor = FakeFreshdesk(cap=2)
    for number in range(100, 420):
        vendor.add(number, FIRST + timedelta(minutes=number), spam=True)
    with nights(vendor, tmp_path) as (fetched, server):
        fetched.fetch()
        assert query(fetched, "select count(*) from staged.tickets where exclusion = 'spam'") == [(321,)]
    pages = [int(request.query["page"]) for request in asked(server, "tickets")]
    assert len(pages) > 300
    assert max(pages) == 2


def test_a_page_whose_tickets_all_changed_at_one_moment(tmp_path: Path) -> None:
    """Twenty, on pages of three: they are asked for by their pages, and what comes after them by its moment again."""
    vendor = FakeFreshdesk(cap=3)
    moment = FIRST + timedelta(days=3)
    for number in range(20, 40):
        vendor.add(number, moment)
    vendor.add(40, moment + timedelta(minutes=5))
    vendor.add(41, moment + timedelta(minutes=9))
    with nights(vendor, tmp_path) as (fetched, server):
        fetched.fetch()
        assert fetched.loaded() == vendor.rows()
    plain = [request.query for request in asked(server, "tickets") if "filter" not in request.query]
    highest = {
        since: max(int(q["page"]) for q in group) for since, group in groupby(plain, lambda q: q["updated_since"])
    }
    assert highest["2026-03-05T08:00:00Z"] == 7
    assert highest["2026-03-05T08:05:00Z"] == 1


@pytest.mark.parametrize("after", range(4, 12, 2))
def test_a_ticket_of_one_moment_that_leaves_takes_no_other_with_it(after: int, tmp_path: Path) -> None:
    """Where it was, all after it move up by one, past the end of a page that was read."""
    vendor = FakeFreshdesk(cap=3)
    for number in range(20, 30):
        vendor.add(number, FIRST + timedelta(days=3))
    plan = Plan(
        applies=lambda request: request.path.endswith("/tickets") and "filter" not in request.query,
        after={after: lambda: vendor.change(29, FIRST + timedelta(days=4))},
    )
    with nights(vendor, tmp_path, plan) as (fetched, _):
        fetched.fetch()
        assert fetched.loaded() == vendor.rows()


def test_more_tickets_of_one_moment_than_freshdesk_shows(tmp_path: Path) -> None:
    vendor = FakeFreshdesk(cap=1)
    for number in range(100, 402):
        vendor.add(number, FIRST + timedelta(days=3))
    with nights(vendor, tmp_path) as (fetched, server):
        assert "more than 300 pages of tickets that changed at one moment, 2026-03-05T08:00:00Z" in problem(fetched)
    assert max(int(request.query["page"]) for request in asked(server, "tickets")) == 300


def empty(connection: Connection, _request: Request, _response: Response) -> None:
    connection.send(Response([]))


class Again:
    """Sends the answer before once more."""

    def __init__(self, vendor: FakeFreshdesk) -> None:
        self.vendor, self.before = vendor, Response([])

    def app(self, request: Request) -> Response:
        answer = self.vendor.app(request)
        if request.path.endswith("/tickets"):
            self.last, self.before = self.before, answer
        return answer

    def __call__(self, connection: Connection, _request: Request, _response: Response) -> None:
        connection.send(self.last)
        self.before = self.last


@pytest.mark.parametrize("page", [1, 2])
@pytest.mark.parametrize("times", [1, 3])
def test_an_empty_page_in_mid_walk_is_asked_for_again(page: int, times: int, tmp_path: Path) -> None:
    plan = Plan(dict.fromkeys(range(page, page + times), empty), lambda request: request.path.endswith("/tickets"))
    vendor = FakeFreshdesk()
    with nights(vendor, tmp_path, plan) as (fetched, _):
        fetched.fetch()
        assert fetched.loaded() == vendor.rows()


def test_an_empty_page_that_stays_so_is_a_problem_and_the_next_night_begins_anew(tmp_path: Path) -> None:
    plan = Plan(dict.fromkeys(range(1, 6), empty), lambda request: request.path.endswith("/tickets"))
    vendor = FakeFreshdesk()
    with nights(vendor, tmp_path, plan) as (fetched, server):
        assert "nothing new on a page that the one before it promised" in problem(fetched)
        vendor.delete_for_good(9)
        fetched.fetch()
        assert len([r for r in asked(server, "tickets") if r.query["updated_since"] == "2026-01-01T00:00:00Z"]) == 4
        assert fetched.loaded() == vendor.rows()


def test_a_duplicate_page_is_asked_for_again(tmp_path: Path) -> None:
    vendor = FakeFreshdesk()
    again = Again(vendor)
    plan = Plan({1: again, 2: again}, lambda request: request.path.endswith("/tickets"))
    with served(again.app, plan) as server:
        fetched = Nights(tmp_path, vendor, server.url, TurnedClock(vendor.night))
        fetched.fetch()
        assert fetched.loaded() == vendor.rows()


def test_a_conversation_of_several_pages_that_shrinks_to_one(tmp_path: Path) -> None:
    """Ticket 4 has six messages on two pages; what is deleted is gone, also from the page that there is no more."""
    vendor = FakeFreshdesk()
    with nights(vendor, tmp_path) as (fetched, _):
        fetched.fetch()
        files = "select file, rows from raw.loads where file like 'conversations/4/%' order by 1"
        assert query(fetched, files) == [("conversations/4/0001.json", 4), ("conversations/4/0002.json", 2)]
        del vendor.messages[4][1:]
        vendor.change(4, FIRST + timedelta(days=7, hours=4))
        fetched.clock.turn(days=1)
        fetched.fetch()
        assert fetched.loaded() == vendor.rows()
        assert query(fetched, files) == [("conversations/4/0001.json", 1), ("conversations/4/0002.json", 0)]


def endless(vendor: FakeFreshdesk, request: Request) -> Response:
    """A conversation that has always another message, and another page."""
    if not request.path.endswith("/conversations"):
        return vendor.app(request)
    page = int(request.query["page"])
    url = f"http://{request.headers['host']}{request.path}?page={page + 1}"
    record = {"id": page, "created_at": "2026-03-02T10:00:00Z"}
    return Response([record], 200, {"Link": f'<{url}>; rel="next"'})


def with_link(url: str) -> Callable[[FakeFreshdesk, Request], Response]:
    def app(vendor: FakeFreshdesk, request: Request) -> Response:
        answer = vendor.app(request)
        return Response(answer.body, answer.status, {**answer.headers, "Link": f'<{url}>; rel="next"'})

    return app


def without_since(vendor: FakeFreshdesk, request: Request) -> Response:
    """Gives the first page for ever."""
    query = {**request.query, "updated_since": "2026-01-01T00:00:00Z", "page": "1"}
    return vendor.app(Request(request.method, request.path, query, request.headers))


HOSTILE: dict[str, tuple[Callable[[FakeFreshdesk, Request], Response], str]] = {
    "endless": (endless, "more than 300 pages of tickets/1/conversations"),
    "a next page elsewhere": (with_link("https://zz.example.org/x"), "a next page on another server"),
    "the first page for ever": (without_since, "records from before the moment that was asked for"),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_a_hostile_server_is_stopped(what: str, tmp_path: Path) -> None:
    app, says = HOSTILE[what]
    vendor = FakeFreshdesk()
    with served(lambda request: app(vendor, request)) as server:
        fetched = Nights(tmp_path, vendor, server.url, TurnedClock(vendor.night))
        assert says in problem(fetched)
        assert len(server.requests) < 400


def test_a_proxy_that_drops_the_header_link(tmp_path: Path) -> None:
    """A full page is followed by another question, whether another page was promised or not."""
    vendor = FakeFreshdesk(cap=100)
    for number in range(20, 150):
        vendor.add(number, FIRST + timedelta(hours=number))
    vendor.night = utc(2026, 3, 20, 2, 30)

    def app(request: Request) -> Response:
        answer = vendor.app(request)
        return Response(answer.body, answer.status, {k: v for k, v in answer.headers.items() if k != "Link"})

    with served(app) as server:
        fetched = Nights(tmp_path, vendor, server.url, TurnedClock(vendor.night))
        fetched.fetch()
        assert fetched.loaded() == vendor.rows()


# -- night after night ---------------------------------------------------------------------------------


def test_another_night_reads_what_changed_and_its_conversations(tmp_path: Path) -> None:
    vendor = FakeFreshdesk()
    with nights(vendor, tmp_path) as (fetched, server):
        fetched.fetch()
        first = len(server.requests)
        vendor.update_a_row()
        fetched.clock.turn(days=1)
        fetched.fetch()
        later = server.requests[first:]
        assert fetched.loaded() == vendor.rows()
    # Of the tickets that are listed, 1 to 3 changed last, at four in the morning: an hour before it is read again.
    plain = [r.query for r in later if r.path.endswith("/tickets") and "filter" not in r.query]
    assert [query["updated_since"] for query in plain] == ["2026-03-03T03:00:00Z"]
    assert [r.path for r in later if r.path.endswith("/conversations")] == [
        f"/api/v2/tickets/{number}/conversations" for number in (1, 2, 3, 6)
    ]


def test_the_days_that_are_covered_and_the_cursor(tmp_path: Path) -> None:
    with nights(FakeFreshdesk(), tmp_path) as (fetched, _):
        fetched.fetch()
        manifest = fetched.landing.newest("tickets")
        assert manifest is not None
        state = manifest.parts["account"]
    assert state.covered == ((SINCE, date(2026, 3, 9)),)
    assert state.cursor == {
        "since": "2026-01-01",
        "updated": {
            "tickets": "2026-03-03T03:00:00Z",
            "spam": "2026-03-03T03:01:00Z",
            "deleted": "2026-03-03T03:02:00Z",
        },
        "rated": "2026-02-17T23:00:00Z",
        "known": [[1, 9]],
        "pages": {"4": 2},
        "swept": "2026-03-10",
    }


def test_a_change_that_is_yet_to_come_hides_no_other(tmp_path: Path) -> None:
    vendor = FakeFreshdesk()
    vendor.add(12, utc(2026, 3, 9), updated_at=utc(2099, 1, 1))
    with nights(vendor, tmp_path, Plan(headers=lambda: {"Date": "Tue, 10 Mar 2026 02:30:00 GMT"})) as (fetched, _):
        fetched.fetch()
        vendor.change(5, utc(2026, 3, 10, 11), status=5)
        fetched.clock.turn(days=1)
        fetched.fetch()
        assert fetched.loaded() == vendor.rows()


def test_since_that_is_moved_back_reads_what_is_earlier(tmp_path: Path) -> None:
    vendor = FakeFreshdesk()
    for number in (91, 92):
        vendor.add(number, utc(2025, 12, number - 80, 10))

    def from_day(since: date) -> Callable[[Live], Live]:
        return lambda configured: configured.model_copy(update={"since": since})

    with nights(vendor, tmp_path) as (fetched, server):
        fetched.fetch()
        assert query(fetched, "select count(*) from staged.tickets where created_at < '2026-01-01'") == [(0,)]
        fetched.change = from_day(date(2025, 12, 1))
        fetched.clock.turn(days=1)
        fetched.fetch()
        assert fetched.loaded() == vendor.rows()
        # Moved forward it changes nothing: tickets of before would seem to have vanished.
        fetched.change = from_day(date(2026, 3, 1))
        fetched.clock.turn(days=8)
        fetched.fetch()
        assert fetched.loaded() == vendor.rows()
        assert asked(server, "tickets/91") == []


# -- plans and permissions -----------------------------------------------------------------------------


def test_a_plan_without_ratings(tmp_path: Path) -> None:
    """The rest is fetched, and it is said; as soon as the plan has them, they are there from the beginning on."""
    vendor = FakeFreshdesk()
    vendor.has_ratings = False
    with nights(vendor, tmp_path) as (fetched, _):
        outcome = fetched.fetch()
        note = "Satisfaction ratings were left out: the account's plan doesn't have them (status 403)."
        assert outcome.notes == {"account": (note,)}
        assert any(note in told for told in fetched.told)
        assert fetched.loaded() == [row for row in vendor.rows() if row[0] != "rating"]
        vendor.has_ratings = True
        fetched.clock.turn(days=1)
        assert fetched.fetch().notes == {}
        assert fetched.loaded() == vendor.rows()


def test_a_limit_on_ratings_is_no_refusal_of_ratings(tmp_path: Path) -> None:
    vendor = FakeFreshdesk()
    plan = Plan({0: too_many(status=403)}, lambda request: request.path.endswith("/satisfaction_ratings"))
    with nights(vendor, tmp_path, plan) as (fetched, _):
        assert fetched.fetch().notes == {}
        assert fetched.loaded() == vendor.rows()


def test_conversations_that_may_not_be_read(tmp_path: Path) -> None:
    """One is left out, and it is said; where all are, the fetch fails: the key isn't the right one."""
    vendor = FakeFreshdesk()
    vendor.unreadable = {4}
    with nights(vendor, tmp_path) as (fetched, _):
        assert "1 conversation(s) may not be read" in str(fetched.fetch().notes)
    vendor.unreadable = set(range(1, 12))
    with nights(vendor, tmp_path / "other") as (fetched, _):
        assert "refusals for all of 9 conversation(s)" in problem(fetched)


# -- what vanishes -------------------------------------------------------------------------------------


def exclusions(fetched: Nights) -> dict[int, tuple[str, date | None]]:
    found = "select ticket_id, exclusion, excluded_from from staged.tickets where exclusion is not null"
    return {ticket: (exclusion, day) for ticket, exclusion, day in query(fetched, found)}


ALWAYS_OUT = {10: ("spam", None), 11: ("deleted", None)}


def test_a_ticket_that_is_deleted_for_good_is_noticed_by_a_sweep(tmp_path: Path) -> None:
    vendor = FakeFreshdesk()
    with nights(vendor, tmp_path) as (fetched, server):
        fetched.fetch()
        vendor.delete_for_good(7)
        vendor.delete_for_good(10)
        fetched.clock.turn(days=6)
        fetched.fetch()
        assert exclusions(fetched) == ALWAYS_OUT
        fetched.clock.turn(days=1)
        fetched.fetch()
        assert exclusions(fetched) == {**ALWAYS_OUT, 7: ("deleted", date(2026, 3, 17))}
        # Nobody asks for what was spam, or for what is known to be gone.
        fetched.clock.turn(days=7)
        fetched.fetch()
        assert len(asked(server, "tickets/7")) == len(asked(server, "tickets/archived/7")) == 1
        assert asked(server, "tickets/10") == []
        assert exclusions(fetched) == {**ALWAYS_OUT, 7: ("deleted", date(2026, 3, 17))}
        landed = {name for name, _ in fetched.landed()}
    assert "gone/7.json" in landed


@pytest.mark.parametrize("has_archive", [True, False])
def test_an_archived_ticket_counts_as_before(has_archive: bool, tmp_path: Path) -> None:
    """Freshdesk lists it no more, and says that it isn't there; only its archive has it, if the plan has an archive."""
    vendor = FakeFreshdesk()
    with nights(vendor, tmp_path) as (fetched, server):
        fetched.fetch()
        vendor.archived.add(5)
        vendor.has_archive = has_archive
        for _ in range(2):
            fetched.clock.turn(days=8)
            fetched.fetch()
        assert exclusions(fetched) == (ALWAYS_OUT if has_archive else {**ALWAYS_OUT, 5: ("deleted", date(2026, 3, 18))})
        assert len(asked(server, "tickets/5")) == 1


def test_a_ticket_that_can_not_be_seen_any_more_counts_as_before(tmp_path: Path) -> None:
    vendor = FakeFreshdesk()
    hidden = FakeFreshdesk()
    del hidden.tickets[8]
    hidden.unreadable = {8}
    with served(lambda request: vendor.app(request)) as server:
        fetched = Nights(tmp_path, vendor, server.url, TurnedClock(vendor.night))
        fetched.fetch()
        server.app = hidden.app
        fetched.clock.turn(days=8)
        assert "1 ticket(s) are no longer listed" in str(fetched.fetch().notes)
        assert exclusions(fetched) == ALWAYS_OUT


def test_spam_trash_and_merging_between_nights_and_back(tmp_path: Path) -> None:
    vendor = FakeFreshdesk()
    with nights(vendor, tmp_path) as (fetched, _):
        fetched.fetch()
        vendor.change(4, utc(2026, 3, 10, 10), spam=True)
        vendor.change(5, utc(2026, 3, 10, 11), deleted=True)
        vendor.say(6, hours=(utc(2026, 3, 10, 12) - vendor.tickets[6]["created_at"]) / timedelta(hours=1), private=True)
        vendor.messages[6][-1]["body_text"] = MERGED
        vendor.change(6, utc(2026, 3, 10, 12), status=5)
        fetched.clock.turn(days=1)
        fetched.fetch()
        day = date(2026, 3, 10)
        out = {4: ("spam", day), 5: ("deleted", day), 6: ("merged", day)}
        assert exclusions(fetched) == {**ALWAYS_OUT, **out}
        vendor.change(5, utc(2026, 3, 11, 11), deleted=False)
        fetched.clock.turn(days=1)
        fetched.fetch()
        del out[5]
        assert exclusions(fetched) == {**ALWAYS_OUT, **out}
        # The trash is emptied: it stays out since the day on which it went there.
        vendor.change(5, utc(2026, 3, 12, 11), deleted=True)
        fetched.clock.turn(days=1)
        fetched.fetch()
        vendor.delete_for_good(5)
        fetched.clock.turn(days=8)
        fetched.fetch()
        assert exclusions(fetched) == {**ALWAYS_OUT, **out, 5: ("deleted", date(2026, 3, 12))}


def test_a_ticket_that_is_restored_while_the_listings_are_read_is_asked_for(tmp_path: Path) -> None:
    """It left the trash when the others had been listed: in neither listing, and yet there."""
    vendor = FakeFreshdesk()
    with nights(vendor, tmp_path) as (fetched, server):
        fetched.fetch()
        vendor.change(9, utc(2026, 3, 10, 10), deleted=True)
        fetched.clock.turn(days=1)
        fetched.fetch()
        vendor.change(9, utc(2026, 3, 11, 10), deleted=False)
        fetched.clock.turn(days=1)
        fetched.fetch()
        vendor.change(9, utc(2026, 3, 12, 10), deleted=True)
        pages = {"n": 0}

        def restore(request: Request) -> bool:
            pages["n"] += request.path.endswith("/tickets") and request.query.get("filter") == "spam"
            if pages["n"] == 1:
                vendor.tickets[9] |= {"deleted": False, "updated_at": utc(2026, 3, 18, 3)}
            return False

        server.plan = Plan(applies=restore)
        fetched.clock.turn(days=7)
        fetched.fetch()
        assert len(asked(server, "tickets/9")) == 1
        assert fetched.loaded() == vendor.rows()


# -- versions of one moment ----------------------------------------------------------------------------


def test_of_two_versions_of_one_moment_the_one_fetched_later_counts(tmp_path: Path) -> None:
    """Freshdesk doesn't count every change as one: the priority is another, and the moment the same."""
    vendor = FakeFreshdesk()
    with nights(vendor, tmp_path) as (fetched, _):
        fetched.fetch()
        vendor.tickets[2] |= {"priority": 4, "tags": ["merged"]}
        vendor.messages[5][0]["incoming"] = True
        vendor.change(5)
        vendor.ratings[0]["rating"] = -103
        fetched.clock.turn(days=1)
        fetched.fetch()
        assert query(fetched, "select priority, excluded_from from staged.tickets where ticket_id = 2") == [
            (4, date(2026, 3, 11))
        ]
        assert query(fetched, "select is_incoming from staged.ticket_messages where ticket_id = 5") == [(True,)]
        assert query(fetched, "select rating from facts.ticket_ratings where ticket_id = 5") == [(-103,)]
        assert query(fetched, "select * from raw.quarantine") == []


def test_two_versions_of_one_moment_in_one_fetch_are_both_rejected(tmp_path: Path) -> None:
    """Ticket 2 says something else on each of the pages of its moment that are read: neither counts."""
    vendor = FakeFreshdesk(cap=2)

    def app(request: Request) -> Response:
        vendor.tickets[2]["priority"] = 1 if request.query.get("updated_since", "").startswith("2026-01") else 4
        return vendor.app(request)

    vendor.change(4, FIRST + timedelta(hours=20))
    del vendor.tickets[1], vendor.tickets[3]
    for number in range(5, 10):
        del vendor.tickets[number]
    vendor.add(3, FIRST + timedelta(hours=21))
    vendor.ratings = []
    with served(app) as server:
        fetched = Nights(tmp_path, vendor, server.url, TurnedClock(vendor.night))
        fetched.fetch()
        assert query(fetched, "select reason, count(*) from raw.quarantine group by 1") == [
            ("contradicting_versions", 2)
        ]
        assert query(fetched, "select ticket_id from staged.tickets where exclusion is null order by 1") == [(3,), (4,)]


# -- kpi doctor ----------------------------------------------------------------------------------------


def examined(vendor: FakeFreshdesk, token: str = TOKEN) -> list[Seen]:
    with served(vendor.app) as server:
        clock = TurnedClock(vendor.night)
        tools = Tools(lambda _name, _purpose: SecretStr(token), clock, LIMITS)
        with closing(connector("tickets", vendor.settings(server.url), tools)) as asked_there:
            seen = list(asked_there.examine(fetching.Glance(clock.now(), Budget(clock))))
    assert TOKEN not in str(seen)
    return seen


def test_kpi_doctor_where_all_is_well() -> None:
    states = [(seen.state, seen.words) for seen in examined(FakeFreshdesk())]
    assert {state for state, _ in states} == {"ok"}
    words = [words for _, words in states]
    assert (
        words[0].endswith("answers, and accepts the key; 49 of 50 requests of this minute are left")
        or "key" in words[0]
    )
    assert "tickets: may be read, the newest change is of 2026-03-03 04:00 UTC" in words
    assert "conversations: may be read" in words
    assert "satisfaction ratings: may be read" in words


@pytest.mark.parametrize(
    ("changed", "state", "says"),
    [
        ({"scope": 2}, "problem", "give it global access"),
        ({"scope": None}, "note", "it has to be all of them"),
        ({"has_ratings": False}, "note", "satisfaction ratings are left out: the account's plan doesn't have them"),
        ({"unreadable": {1, 2, 3}}, "problem", "conversations: the role of the key's agent may not see them"),
        ({"tickets": {}}, "note", "no ticket changed since 2026-01-01"),
    ],
)
def test_kpi_doctor_says_what_is_amiss(changed: dict[str, Any], state: str, says: str) -> None:
    vendor = FakeFreshdesk()
    for name, value in changed.items():
        setattr(vendor, name, value)
    seen = examined(vendor)
    assert [one.state for one in seen if says in one.words] == [state]


def test_kpi_doctor_with_a_key_that_is_none() -> None:
    (seen,) = examined(FakeFreshdesk(), "zz-wrong")
    assert seen.state == "problem"
    assert "status 401" in seen.words


# -- from the help desk to the KPI ---------------------------------------------------------------------

KPI = next(kpi for kpi in catalog.load().kpis if kpi.id == "community_guidance.ticket_turnaround_time")


class HelpDesk(FakeFreshdesk):
    """Tickets whose times can be worked out in one's head."""

    night = utc(2026, 3, 1, 2, 30)

    def __init__(self) -> None:
        super().__init__()
        self.tickets, self.messages, self.ratings = {}, {}, []

    def story(self, number: int, created: datetime, hours: float) -> None:
        """A ticket that is answered so many hours after it was created."""
        self.add(number, created)
        self.say(number, hours=hours)
        self.change(number, created + timedelta(hours=hours))


def turnaround(fetched: Nights, as_of: date) -> dict[tuple[str, date, date], tuple[Decimal | None, int]]:
    """The KPI of the organisation, as published on a day: by grain and period."""
    path = fetched.folder / "warehouse.duckdb"
    path.write_bytes(empty_warehouse())
    with duckdb.connect(str(path)) as con:
        set_up(con)
        fill_calendar(con, date(2026, 1, 1), as_of, BusinessHours(), ZoneInfo("UTC"), 1)
        freshdesk.load(con, fetched.landing, SECRET)
        configured = fetched.configured
        assert configured.kind == "freshdesk"
        support.stage_tickets(con, fetched.landing, configured, SECRET)  # type: ignore[arg-type]
        shown = "grain, period_start, period_end, value, n"
        ours = [check for check in CHECKS if "ticket" in check.table]
        assert [check.name for check in ours if not evaluate(con, check, {"as_of": as_of}).passed] == []
        rows = run(
            con,
            f"select {shown} from ({KPI.measure.formula}) where member = 'organisation'",
            parameters(KPI, as_of, {"tickets"}, 5),
        )
    return {(grain, start, end): (value, n) for grain, start, end, value, n in rows}


def test_from_the_help_desk_to_the_kpi(tmp_path: Path) -> None:
    """What was reported of February stays, whatever happens to its tickets in March; March follows."""
    vendor = HelpDesk()
    for number, hours in ((1, 2), (2, 4), (3, 6), (4, 8), (5, 10)):
        vendor.story(number, utc(2026, 2, 1 + number, 10), hours)
    # A machine is no person, and no note is a reply.
    vendor.say(1, hours=0.5, user_id=ROBOT)
    vendor.say(1, hours=0.7, private=True, source=2)
    vendor.say(1, hours=0.8, incoming=True, user_id=CUSTOMER)
    february = ("organisation", date(2026, 2, 1), date(2026, 2, 28))
    with nights(vendor, tmp_path) as (fetched, server):
        fetched.fetch()
        found = turnaround(fetched, date(2026, 2, 28))
        # (2 + 4 + 6 + 8 + 10) / 5; within business hours (9 to 17) 2, 4, 6, 7 and 7 of them.
        assert found[february] == (Decimal(6), 5)
        assert found["organisation:business", *february[1:]] == (Decimal("5.2"), 5)
        # In March: 3 to the trash, 4 is spam. 6 was merged before it was ever seen; 7 and 8 are answered.
        vendor.change(3, utc(2026, 3, 2, 15), deleted=True)
        vendor.change(4, utc(2026, 3, 3, 9), spam=True)
        vendor.story(6, utc(2026, 3, 2, 10), 1)
        vendor.say(6, hours=26, private=True, source=2, body_text=MERGED)
        vendor.change(6, utc(2026, 3, 3, 12), status=5)
        vendor.story(7, utc(2026, 3, 2, 10), 3)
        vendor.story(8, utc(2026, 3, 3, 10), 0.5)
        fetched.clock.turn(days=3)
        fetched.fetch()
        found = turnaround(fetched, date(2026, 3, 3))
        assert found[february] == (Decimal(6), 5)
        assert found["organisation", date(2026, 3, 1), date(2026, 3, 3)] == (Decimal("1.75"), 2)
        # 2 and 8 are deleted for good, and 5 is archived; a sweep finds out on the 9th.
        vendor.delete_for_good(2)
        vendor.delete_for_good(8)
        vendor.archived.add(5)
        fetched.clock.turn(days=5)
        fetched.fetch()
        found = turnaround(fetched, date(2026, 3, 8))
        assert found[february] == (Decimal(6), 5)
        assert found["organisation", date(2026, 3, 1), date(2026, 3, 8)] == (Decimal("1.75"), 2)
        fetched.clock.turn(days=1)
        fetched.fetch()
        found = turnaround(fetched, date(2026, 3, 9))
        assert found[february] == (Decimal(6), 5)
        assert found["organisation", date(2026, 3, 1), date(2026, 3, 9)] == (Decimal(3), 1)
        # The quarter to date ends after all that: 1, 5 and 7 are left, (2 + 10 + 3) / 3.
        assert found["organisation", date(2026, 1, 1), date(2026, 3, 9)] == (Decimal(5), 3)
        fetched.assert_nothing_secret()
    assert len(asked(server, "tickets/2")) == 1
