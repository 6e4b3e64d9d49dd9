"""JupyterHub as a source: which users are read when, and what is done if a hub goes wrong in its own ways."""

import json
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from kpi_pipeline import fetching
from kpi_pipeline.days import Days
from kpi_pipeline.errors import ConfigError, SourceError
from kpi_pipeline.landing import content_of
from kpi_pipeline.settings.base import Live
from kpi_pipeline.settings.sources import HubActivityJupyterHub
from kpi_pipeline.sources.connectors import connector
from kpi_pipeline.sources.transport import Budget
from kpi_pipeline.sources.walk import Tools
from kpi_pipeline_tests.live.counted import counted
from kpi_pipeline_tests.live.fake_jupyterhub import ELSEWHERE, FakeJupyterHub, User
from kpi_pipeline_tests.live.fetched import LIMITS, TOKEN, Nights, TurnedClock, utc
from kpi_pipeline_tests.live.server import App, Connection, Plan, Request, Response, Served, served

PROD, LAB = "coral/prod", "coral/lab"
NIGHT = FakeJupyterHub.night


@pytest.fixture
def hub() -> FakeJupyterHub:
    return FakeJupyterHub()


@contextmanager
def nights(
    hub: FakeJupyterHub, folder: Path, plan: Plan | None = None, app: App | None = None, at: datetime = NIGHT
) -> Iterator[tuple[Nights, Served]]:
    """Nights of which the hubs' clocks are those of the nights."""
    with served(app or hub.app, plan) as server:
        fetched = Nights(folder, hub, server.url, TurnedClock(at))
        hub.now = fetched.clock.now
        yield fetched, server


def many(count: int) -> list[User]:
    """People who were all active in the night before, in the order of their names."""
    return [User(f"zz-{n:02}", NIGHT - timedelta(minutes=5 * n + 5)) for n in range(count)]


def only_prod(configured: Live) -> Live:
    assert isinstance(configured, HubActivityJupyterHub)
    return configured.model_copy(update={"hubs": configured.hubs[:1]})


def pages_asked(server: Served, since: int = 0) -> list[tuple[str, str, int]]:
    """Hub, order and offset of the pages that were asked for."""
    return [
        (request.path.split("/")[1], request.query["sort"], int(request.query["offset"]))
        for request in server.requests[since:]
        if request.path.endswith("/users")
    ]


def users_landed(fetched: Nights, part: str = PROD) -> set[tuple[str, str | None]]:
    """Names and last activity on the pages of the newest fetch."""
    newest = fetched.landing.newest("hub_activity")
    assert newest is not None
    pages = [
        json.loads(content_of(fetched.landing.path("hub_activity", file), compressed=True))
        for file in newest.files
        if file.part == part
    ]
    return {(user["name"], user["last_activity"]) for page in pages for user in page["items"]}


def users_of(hub: FakeJupyterHub, name: str = "prod") -> set[tuple[str, str | None]]:
    return {(model["name"], model["last_activity"]) for model in (user.model() for user in hub.users[name])}


def covered(fetched: Nights, part: str = PROD) -> Days:
    newest = fetched.landing.newest("hub_activity")
    assert newest is not None
    return newest.parts[part].covered


def day(number: int) -> tuple[date, date]:
    """A single day of March 2026."""
    return date(2026, 3, number), date(2026, 3, number)


# --- Which users are read


def test_all_users_at_first_and_then_those_active_since(hub: FakeJupyterHub, tmp_path: Path) -> None:
    """Pages overlap by a user, and are of the size that the hub gives; the next night one page is enough."""
    with nights(hub, tmp_path) as (fetched, server):
        fetched.fetch_until_through()
        assert pages_asked(server) == [
            ("lab", "id", 0), ("lab", "id", 3), ("prod", "id", 0), ("prod", "id", 3), ("prod", "id", 6),
        ]  # fmt: skip
        assert users_landed(fetched) == users_of(hub)
        first = len(server.requests)
        fetched.clock.turn(days=1)
        fetched.fetch_until_through()
        assert pages_asked(server, first) == [("lab", "-last_activity", 0), ("prod", "-last_activity", 0)]
        # The newest was active at 19:29, so whoever was later than that of the day before is read again.
        assert {name for name, _ in users_landed(fetched)} == {"zz-prod-1", "zz-prod-2", "zz-prod-4", "zz-prod-5"}
        assert fetched.loaded() == hub.rows()


def test_names_of_pages_say_which_hub_they_are_of(hub: FakeJupyterHub, tmp_path: Path) -> None:
    def oddly_named(configured: Live) -> Live:
        assert isinstance(configured, HubActivityJupyterHub)
        odd = configured.hubs[0].model_copy(update={"cluster": "co/ral", "hub": "prod 1"})
        return configured.model_copy(update={"hubs": (odd,)})

    with nights(hub, tmp_path) as (fetched, _):
        fetched.change = oddly_named
        fetched.fetch_until_through()
        assert {name.rpartition("/")[0] for name, _ in fetched.landed()} == {"co%2Fral/prod%201"}
        assert {row[1:3] for row in fetched.loaded()} == {("co/ral", "prod 1")}


def test_all_users_again_after_so_many_days(hub: FakeJupyterHub, tmp_path: Path) -> None:
    """Activity that was reported more than a day late is found then; less than a day late, the next night."""
    hub.users["prod"] = many(9)
    late, later = User("zz-late"), User("zz-later")
    idle = [User(f"zz-idle-{n}", NIGHT - timedelta(hours=30)) for n in range(6)]
    hub.users["prod"] += [late, *idle, later]
    with nights(hub, tmp_path) as (fetched, server):
        fetched.change = only_prod
        fetched.fetch_until_through()
        late.last_activity, later.last_activity = NIGHT - timedelta(hours=24), NIGHT - timedelta(hours=40)
        for number in range(1, 8):
            asked = len(server.requests)
            fetched.clock.turn(days=1)
            # Who is active every night fills the first pages.
            for user in hub.users["prod"][:5]:
                user.last_activity = NIGHT + timedelta(days=number, minutes=-10)
            fetched.fetch_until_through()
            orders = {order for _, order, _ in pages_asked(server, asked)}
            assert orders == ({"id"} if number == 7 else {"-last_activity"}), number
            assert (("zz-late", late.model()["last_activity"]) in users_landed(fetched)) == (number in (1, 7))
            assert (("zz-later", later.model()["last_activity"]) in users_landed(fetched)) == (number == 7)


def test_activity_in_the_future_hides_nobody(hub: FakeJupyterHub, tmp_path: Path) -> None:
    """Somebody's clock was days ahead: those who are active from now on are read all the same."""
    hub.users["prod"] = many(14)
    for user in hub.users["prod"][:6]:
        user.last_activity = NIGHT + timedelta(days=3)
    with nights(hub, tmp_path) as (fetched, _):
        fetched.change = only_prod
        fetched.fetch_until_through()
        fetched.clock.turn(days=1)
        for user in hub.users["prod"][6:11]:
            user.last_activity = NIGHT + timedelta(hours=10)
        hub.users["prod"][13].last_activity = NIGHT + timedelta(hours=9)
        fetched.fetch_until_through()
        assert ("zz-13", "2026-03-06T11:30:00Z") in users_landed(fetched)


def test_a_hub_that_nobody_has_used_yet(hub: FakeJupyterHub, tmp_path: Path) -> None:
    hub.users = {"prod": [], "lab": [User("zz-new")]}
    with nights(hub, tmp_path) as (fetched, _):
        fetched.fetch_until_through()
        fetched.clock.turn(days=1)
        fetched.fetch_until_through()
        assert fetched.loaded() == []
        assert covered(fetched) == covered(fetched, LAB) == ((date(2026, 3, 5), date(2026, 3, 6)),)


# --- Hubs that can't sort


def test_an_old_hub_is_read_whole_every_night(hub: FakeJupyterHub, tmp_path: Path) -> None:
    """Also where its users seem to be newest first: the only one who ever was active is the first on his page."""
    hub.version = "4.1.6"
    hub.users["prod"] = [User("zz-00", NIGHT - timedelta(hours=4)), *(User(f"zz-{n:02}") for n in range(1, 9))]
    with nights(hub, tmp_path) as (fetched, server):
        fetched.fetch_until_through()
        hub.users["prod"][8].last_activity = NIGHT + timedelta(hours=5)
        fetched.clock.turn(days=1)
        fetched.fetch_until_through()
        assert {order for _, order, _ in pages_asked(server)} == {"id"}
        assert fetched.loaded() == hub.rows()


def test_a_hub_that_sorts_otherwise_than_it_is_asked_to(hub: FakeJupyterHub, tmp_path: Path) -> None:
    def unsorted(request: Request) -> Response:
        query = {key: value for key, value in request.query.items() if key != "sort"}
        return hub.app(Request(request.method, request.path, query, request.headers))

    with nights(hub, tmp_path, app=unsorted) as (fetched, server):
        fetched.change = only_prod
        fetched.fetch_until_through()
        hub.users["prod"][6].last_activity = NIGHT + timedelta(hours=5)
        fetched.clock.turn(days=1)
        asked = len(server.requests)
        fetched.fetch_until_through()
        assert [order for _, order, _ in pages_asked(server, asked)] == ["-last_activity", "id", "id", "id"]
        assert users_landed(fetched) == users_of(hub)


# --- Lists that move


def once(number: int, action: Callable[[], object]) -> Callable[[Request], None]:
    """Does something after so many pages."""
    seen: list[Request] = []

    def after(request: Request) -> None:
        seen.append(request)
        if len(seen) == number:
            action()

    return after


def with_hook(hub: FakeJupyterHub, after: Callable[[Request], object]) -> App:
    def app(request: Request) -> Response:
        response = hub.app(request)
        if hub.is_page(request):
            after(request)
        return response

    return app


@pytest.mark.parametrize("page", [1, 2, 3])
@pytest.mark.parametrize("gone", [0, 2, 3, 5, 8, 10])
def test_somebody_is_deleted_while_all_users_are_read(
    hub: FakeJupyterHub, page: int, gone: int, tmp_path: Path
) -> None:
    """Whoever it is, and after whichever page: what is landed is what the hub holds then."""
    hub.users["prod"] = many(11)
    app = with_hook(hub, once(page, lambda: hub.users["prod"].pop(gone)))
    with nights(hub, tmp_path, app=app) as (fetched, server):
        fetched.change = only_prod
        fetched.fetch_until_through()
        assert users_landed(fetched) == users_of(hub)
        # Of those to come nobody is missed: nothing is read again for them.
        was_seen = gone <= 3 * page
        assert len(pages_asked(server)) == (
            page + 1 + len(pages_of(10)) if was_seen else max(page + 1, len(pages_of(10)))
        )


@pytest.mark.parametrize("gone", [0, 3, 4, 5, 8])
@pytest.mark.parametrize("idle", [0, 5])
def test_somebody_is_deleted_while_the_newest_are_read(
    hub: FakeJupyterHub, gone: int, idle: int, tmp_path: Path
) -> None:
    """If others moved up for it, all users are read by id; whether the list ends there or goes on to older ones."""
    hub.users["prod"] = many(11) + [User(f"zz-idle-{n}", NIGHT - timedelta(days=9)) for n in range(idle)]
    app = with_hook(hub, once(len(pages_of(11 + idle)) + 2, lambda: hub.users["prod"].pop(gone)))
    with nights(hub, tmp_path, app=app) as (fetched, server):
        fetched.change = only_prod
        fetched.fetch_until_through()
        fetched.clock.turn(days=1)
        asked = len(server.requests)
        fetched.fetch_until_through()
        was_seen = gone < 7
        landed, held = users_landed(fetched), users_of(hub)
        assert landed <= held
        assert {user for user in held if "idle" not in user[0]} <= landed
        assert landed == held or not was_seen
        orders = [order for _, order, _ in pages_asked(server, asked)]
        by_id = ["id"] * len(pages_of(10 + idle)) if was_seen else []
        assert orders == ["-last_activity"] * (3 if was_seen or not idle else 4) + by_id


def pages_of(users: int) -> list[int]:
    """Where pages of 4 begin that overlap by one."""
    return [0] if users <= 4 else list(range(0, users - 1, 3))


def test_somebody_becomes_active_while_the_newest_are_read(hub: FakeJupyterHub, tmp_path: Path) -> None:
    """They move to the front, and all others down: those are seen, and nothing is read again for it."""
    hub.users["prod"] = many(14)

    def active() -> None:
        for n, user in enumerate(hub.users["prod"][8:10]):
            user.last_activity = NIGHT + timedelta(hours=24, seconds=n)

    hook = once(len(pages_of(14)) + 1, active)
    with nights(hub, tmp_path, app=with_hook(hub, hook)) as (fetched, server):
        fetched.change = only_prod
        fetched.fetch_until_through()
        hub.users["prod"].append(User("zz-old", NIGHT - timedelta(days=9)))
        fetched.clock.turn(days=1)
        asked = len(server.requests)
        fetched.fetch_until_through()
        assert {order for _, order, _ in pages_asked(server, asked)} == {"-last_activity"}
        # Who moved was seen before, when all were read, and will be again.
        assert users_of(hub) - users_landed(fetched) == {
            user for user in users_of(hub) if user[0] in ("zz-08", "zz-09")
        }
        fetched.clock.turn(days=1)
        fetched.fetch_until_through()
        assert {user for user in users_of(hub) if user[0] in ("zz-08", "zz-09")} <= users_landed(fetched)


def test_somebody_is_missed_at_the_end_of_a_list_of_the_newest(hub: FakeJupyterHub, tmp_path: Path) -> None:
    """Everybody was active lately, and one yet to come moved to the front: fewer were seen than there are."""
    hub.users["prod"] = many(11)

    def active() -> None:
        hub.users["prod"][9].last_activity = NIGHT + timedelta(hours=24)

    hook = once(len(pages_of(11)) + 1, active)
    with nights(hub, tmp_path, app=with_hook(hub, hook)) as (fetched, server):
        fetched.change = only_prod
        fetched.fetch_until_through()
        fetched.clock.turn(days=1)
        fetched.fetch_until_through()
        assert users_landed(fetched) == users_of(hub)
        assert pages_asked(server)[-1][1] == "id"


def test_somebody_becomes_active_or_is_new_while_all_users_are_read(hub: FakeJupyterHub, tmp_path: Path) -> None:
    """By id nobody moves, and who is new is on the last page."""
    hub.users["prod"] = many(11)

    def change() -> None:
        hub.users["prod"][9].last_activity = NIGHT
        hub.users["prod"].append(User("zz-new", NIGHT))

    with nights(hub, tmp_path, app=with_hook(hub, once(1, change))) as (fetched, server):
        fetched.change = only_prod
        fetched.fetch_until_through()
        assert users_landed(fetched) == users_of(hub)
        assert [offset for _, _, offset in pages_asked(server)] == pages_of(12)


def test_a_list_that_never_holds_still(hub: FakeJupyterHub, tmp_path: Path) -> None:
    """A user less at every page: the hub fails, after some readings; the other hub is landed."""
    hub.users["prod"] = many(60)

    def delete(request: Request) -> None:
        if "/prod/" in request.path:
            hub.users["prod"].pop(0)

    with nights(hub, tmp_path, app=with_hook(hub, delete)) as (fetched, server):
        outcome = fetched.fetch()
        assert outcome.finished == (LAB,)
        assert "some moved or were missing, each of the 5 times" in outcome.problems[PROD]
        assert len(pages_asked(server)) == len(pages_of(5)) + 5 * 2


def test_as_many_users_as_it_says_but_one_of_them_twice(hub: FakeJupyterHub, tmp_path: Path) -> None:
    hub.users["prod"] = many(9)
    hub.users["prod"][7] = hub.users["prod"][1]
    with nights(hub, tmp_path) as (fetched, server):
        outcome = fetched.fetch()
        assert "some moved or were missing" in outcome.problems[PROD]
        assert len(pages_asked(server)) == len(pages_of(5)) + 5 * len(pages_of(9))
        assert "zz-" not in outcome.problems[PROD]


# --- Answers that go wrong


def placed(change: Callable[[dict[str, Any]], None], page: int | None = 1) -> Callable[[Response, int], Response]:
    """Changes an answer, at one page or (None) at all."""

    def changed(response: Response, number: int) -> Response:
        if page is not None and number != page:
            return response
        body = json.loads(response.content)
        change(body)
        return Response(body, response.status, response.headers)

    return changed


def wrong(hub: FakeJupyterHub, change: Callable[[Response, int], Response]) -> App:
    """An app whose pages of `prod` are changed; they are counted from 0."""
    count = [-1]

    def app(request: Request) -> Response:
        response = hub.app(request)
        if not hub.is_page(request) or "/prod/" not in request.path:
            return response
        count[0] += 1
        return change(response, count[0])

    return app


def empty(body: dict[str, Any]) -> None:
    body["items"] = []


def short(body: dict[str, Any]) -> None:
    body["items"].pop()


def as_one_more(body: dict[str, Any]) -> None:
    body["_pagination"]["total"] += 1


def unplaced(body: dict[str, Any]) -> None:
    del body["_pagination"]


def elsewhere_placed(body: dict[str, Any]) -> None:
    body["_pagination"]["offset"] = 0


def of_numbers(body: dict[str, Any]) -> None:
    body["items"][0] = 3


def nameless(body: dict[str, Any]) -> None:
    del body["items"][0]["name"]


def without_activity(body: dict[str, Any]) -> None:
    del body["items"][-1]["last_activity"]


def on_no_day(body: dict[str, Any]) -> None:
    body["items"][-1]["last_activity"] = "yesterday"


def too_early(body: dict[str, Any]) -> None:
    body["items"][-1]["last_activity"] = "0001-01-01T00:00:00+14:00"


FAULTS = {
    "an empty page in mid-walk": (empty, "another number of users"),
    "a page with a user less than it says": (short, "another number of users"),
    "a total that doesn't fit": (as_one_more, "another number of users"),
    "no _pagination": (unplaced, "no _pagination"),
    "another page than was asked for": (elsewhere_placed, "another page"),
    "numbers for users": (of_numbers, "somebody without a name"),
    "a user without a name": (nameless, "somebody without a name"),
    "a user of whom it doesn't say when": (without_activity, "when last active"),
    "a user who was active on no day": (on_no_day, "when last active"),
    "a user who was active before there was time": (too_early, "when last active"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_wrong_page_is_asked_for_again(hub: FakeJupyterHub, fault: str, tmp_path: Path) -> None:
    change, _ = FAULTS[fault]
    page = 2 if change is as_one_more else 1
    with nights(hub, tmp_path, app=wrong(hub, placed(change, page))) as (fetched, server):
        assert len(fetched.fetch_until_through()) == 1
        assert fetched.loaded() == hub.rows()
        assert len(pages_asked(server)) == len(pages_of(5)) + len(pages_of(9)) + 1


@pytest.mark.parametrize("fault", FAULTS)
def test_pages_that_are_always_wrong(hub: FakeJupyterHub, fault: str, tmp_path: Path) -> None:
    """The hub fails in words that name nobody; the other one is landed."""
    change, words = FAULTS[fault]
    with nights(hub, tmp_path, app=wrong(hub, placed(change, None))) as (fetched, _):
        if change is elsewhere_placed:
            hub.users["prod"] = many(11)
        outcome = fetched.fetch()
        assert outcome.finished == (LAB,)
        assert words in outcome.problems[PROD]
        assert "zz-" not in outcome.problems[PROD]


def test_a_page_twice(hub: FakeJupyterHub, tmp_path: Path) -> None:
    """Users of the page before under the next one's number: all is read again."""
    hub.users["prod"] = many(11)
    before: list[Any] = []

    def repeated(body: dict[str, Any]) -> None:
        before.append(body["items"])
        if len(before) == 2:
            body["items"] = before[0]

    with nights(hub, tmp_path, app=wrong(hub, placed(repeated, None))) as (fetched, server):
        fetched.change = only_prod
        fetched.fetch_until_through()
        assert users_landed(fetched) == users_of(hub)
        assert [offset for _, _, offset in pages_asked(server)] == [0, 3, *pages_of(11)]


@pytest.mark.parametrize("ahead", [20, 10**12])
def test_a_list_without_end(hub: FakeJupyterHub, ahead: int, tmp_path: Path) -> None:
    """There is always more to come, and all of it is new."""

    def endless(request: Request) -> Response:
        if not hub.is_page(request) or "/prod/" not in request.path:
            return hub.app(request)
        offset = int(request.query["offset"])
        items = [User(f"zz-{n}", NIGHT).model() for n in range(offset, offset + 4)]
        place = {"offset": offset, "limit": 4, "total": offset + ahead, "next": {"url": request.path}}
        return Response({"items": items, "_pagination": place})

    with nights(hub, tmp_path, app=endless) as (fetched, server):
        outcome = fetched.fetch()
        assert outcome.finished == (LAB,)
        assert "expected one that ends" in outcome.problems[PROD]
        assert len(pages_asked(server)) < 40


def test_one_user_at_a_time_can_not_overlap(hub: FakeJupyterHub, tmp_path: Path) -> None:
    hub.max_limit = 1
    with nights(hub, tmp_path) as (fetched, server), pytest.raises(SourceError, match="api_page_max_limit"):
        fetched.fetch()
    assert len(pages_asked(server)) == 2


def test_pages_are_asked_for_where_the_hub_is_and_not_where_it_believes_to_be(
    hub: FakeJupyterHub, tmp_path: Path
) -> None:
    with nights(hub, tmp_path) as (fetched, _):
        (outcome,) = fetched.fetch_until_through()
        files = fetched.landing.files("hub_activity", "log")
        texts = [content_of(fetched.landing.path("hub_activity", file), compressed=True) for file in files]
        assert any(ELSEWHERE.encode() in text for text in texts)
        assert outcome.problems == {}


# --- Days that are covered


def test_a_day_is_covered_by_the_night_after_it_and_by_no_other(hub: FakeJupyterHub, tmp_path: Path) -> None:
    """The first fetch covers the day before it. A night that is left out is lost: a hub tells the last day only."""
    with nights(hub, tmp_path) as (fetched, _):
        fetched.fetch_until_through()
        assert covered(fetched) == (day(5),)
        fetched.clock.turn(days=1)
        fetched.fetch_until_through()
        assert covered(fetched) == ((date(2026, 3, 5), date(2026, 3, 6)),)
        fetched.clock.turn(days=2)
        fetched.fetch_until_through()
        assert covered(fetched) == ((date(2026, 3, 5), date(2026, 3, 6)), day(8))


@pytest.mark.parametrize(
    ("at", "hubs_clock", "expected"),
    [
        (utc(2026, 3, 6, 0, 5), 0, ()),
        (utc(2026, 3, 6, 0, 11), 0, (day(5),)),
        (utc(2026, 3, 6, 23, 50), 0, (day(5),)),
        # By the clock that is behind the day hasn't ended, or by the one that is ahead the next one has.
        (utc(2026, 3, 6, 1), -2, ()),
        (utc(2026, 3, 6, 3), -2, (day(5),)),
        (utc(2026, 3, 6, 1), 2, (day(5),)),
        (utc(2026, 3, 5, 23), 2, ()),
        (utc(2026, 3, 6, 23), 2, ()),
    ],
)
def test_which_day_it_is_by_both_clocks(
    hub: FakeJupyterHub, at: datetime, hubs_clock: int, expected: Days, tmp_path: Path
) -> None:
    hub.users = {"prod": many(1), "lab": []}
    hub.users["prod"][0].last_activity = utc(2026, 3, 4)
    with nights(hub, tmp_path, at=at) as (fetched, _):
        hub.now = lambda: fetched.clock.now() + timedelta(hours=hubs_clock)
        fetched.fetch_until_through()
        assert covered(fetched) == expected


def test_a_reading_that_was_interrupted_a_night_ago_is_begun_anew(hub: FakeJupyterHub, tmp_path: Path) -> None:
    """Its first pages show the night before, and then no day would be covered at all."""
    with nights(hub, tmp_path) as (fetched, server):
        fetched.change = only_prod
        fetched.requests = 3
        assert fetched.fetch().unfinished == (PROD,)
        fetched.requests = None
        fetched.clock.turn(days=1)
        asked = len(server.requests)
        hub.users["prod"][0].last_activity = NIGHT + timedelta(hours=6)
        fetched.fetch()
        # And once round again, for what is new since: one page says that nothing is.
        assert [offset for _, _, offset in pages_asked(server, asked)] == [3, 6, 0, 3, 6, 0]
        assert covered(fetched) == (day(6),)
        assert ("zz-prod-0", f"{NIGHT + timedelta(hours=6):%Y-%m-%dT%H:%M:%SZ}") in users_landed(fetched)


def test_an_interruption_of_minutes_is_none(hub: FakeJupyterHub, tmp_path: Path) -> None:
    with nights(hub, tmp_path) as (fetched, server):
        fetched.change = only_prod
        fetched.requests = 3
        assert fetched.fetch().unfinished == (PROD,)
        fetched.requests = None
        fetched.clock.turn(hours=1)
        fetched.fetch()
        assert [offset for _, _, offset in pages_asked(server)] == [0, 3, 6]
        assert covered(fetched) == (day(5),)


def test_before_the_first_fetch_no_day_is_whole(hub: FakeJupyterHub, tmp_path: Path) -> None:
    """A hub says of days long ago who wasn't active again since: these days have people, and are not whole."""
    hub.users["prod"] = [User(f"zz-{n:02}", NIGHT - timedelta(days=n + 1)) for n in range(60)]
    with nights(hub, tmp_path) as (fetched, _):
        fetched.fetch_until_through()
        fetched.clock.turn(days=1)
        fetched.fetch_until_through()
        with counted(tmp_path, fetched.landing, fetched.configured, [PROD, LAB], date(2026, 3, 6)) as con:
            days = con.execute(
                "select date, has_data, is_whole from facts.coverage where date > '2026-02-01' order by date"
            ).fetchall()
            incomplete = con.execute(
                "select min(date), max(date) from facts.missing_activity where grain = 'organisation'"
            ).fetchall()
        whole = {date(2026, 3, 5), date(2026, 3, 6)}
        assert {found for found, _, is_whole in days if is_whole} == whole
        assert all(has_data for _, has_data, _ in days)
        # The first of these days has somebody who was active 60 days before.
        assert incomplete == [((NIGHT - timedelta(days=60)).date(), date(2026, 3, 6))]


# --- Tokens


def test_a_token_that_the_hub_does_not_know(hub: FakeJupyterHub, tmp_path: Path) -> None:
    hub.tokens = {"zz-another": ("list:users", "read:users:activity")}
    with (
        nights(hub, tmp_path) as (fetched, server),
        pytest.raises(SourceError, match="doesn't know the token") as error,
    ):
        fetched.fetch()
    assert "TOKEN_LAB" in str(error.value)
    assert TOKEN not in str(error.value)
    assert pages_asked(server) == []


@pytest.mark.parametrize(
    ("scopes", "words"),
    [
        (("read:users:activity",), "a token without list:users;"),
        (("list:users",), "a token without read:users:activity;"),
        (("list:users!user=zz-lab-1", "read:users:activity"), "a token without list:users for all users"),
        (("list:users", "read:users:activity!user=zz-lab-1"), "a token without read:users:activity for all users"),
        ((), "a token without list:users and read:users:activity;"),
    ],
)
def test_a_token_that_sees_too_little(hub: FakeJupyterHub, scopes: tuple[str, ...], words: str, tmp_path: Path) -> None:
    """A list that is limited to some users looks whole: its total is that of those users."""
    hub.tokens = {TOKEN: scopes}
    with nights(hub, tmp_path) as (fetched, _), pytest.raises(SourceError) as error:
        fetched.fetch()
    assert words in str(error.value)
    assert "zz-" not in str(error.value)


def test_hubs_fail_one_by_one(hub: FakeJupyterHub, tmp_path: Path) -> None:
    """Without its token, or down: the others are landed all the same."""
    clock = TurnedClock(NIGHT)

    def secret(variable: str, purpose: str) -> SecretStr:
        if variable == "TOKEN_LAB":
            raise ConfigError(f"environment variable {variable}", got="nothing", expected=purpose, fix="Export it.")
        return SecretStr(TOKEN)

    with served(hub.app) as server:
        configured = hub.settings(server.url)
        down = configured.hubs[0].model_copy(update={"hub": "down", "url": "http://127.0.0.1:9"})
        configured = configured.model_copy(update={"hubs": (*configured.hubs, down), "at_once": 3})
        fetched = Nights(tmp_path, hub, server.url, clock)
        with closing(connector("hub_activity", configured, Tools(secret, clock, LIMITS))) as asked:
            outcome = fetching.fetch(
                fetched.landing,
                "hub_activity",
                "jupyterhub",
                asked,
                carries=False,
                budget=Budget(clock),
                tell=fetched.told.append,
                clock=clock,
            )
    assert outcome.finished == (PROD,)
    assert "TOKEN_LAB" in outcome.problems[LAB]
    assert "no whole answer" in outcome.problems["coral/down"]


# --- What kpi doctor says


def examined(hub: FakeJupyterHub, at: datetime = NIGHT, skew: timedelta = timedelta()) -> list[tuple[str, str]]:
    clock = TurnedClock(at)
    hub.now = lambda: clock.now() + skew
    with served(hub.app) as server:
        tools = Tools(lambda _name, _purpose: SecretStr(TOKEN), clock, LIMITS)
        with closing(connector("hub_activity", only_prod(hub.settings(server.url)), tools)) as asked:
            return [(seen.state, seen.words) for seen in asked.examine(fetching.Glance(clock.now(), Budget(clock)))]


GOOD = "the token is valid and its scopes suffice; 9 user(s)"


def test_a_hub_that_is_well(hub: FakeJupyterHub) -> None:
    words = f"coral/prod: JupyterHub 6.1.1; {GOOD}, the newest activity on 2026-03-05 19:29 UTC"
    assert examined(hub) == [("ok", words)]


def test_a_hub_that_nobody_has_used(hub: FakeJupyterHub) -> None:
    hub.users["prod"] = [User("zz-new")]
    ((_, words),) = examined(hub)
    assert words.endswith("1 user(s), none was ever active")


def test_an_old_hub(hub: FakeJupyterHub) -> None:
    hub.version = "4.1.6"
    assert examined(hub) == [
        ("ok", f"coral/prod: JupyterHub 4.1.6; {GOOD}"),
        ("note", "coral/prod: all users are read each time: only JupyterHub 5 and later tell the newest first"),
    ]


def test_a_token_that_may_do_more(hub: FakeJupyterHub) -> None:
    hub.tokens = {TOKEN: ("list:users", "read:users:activity", "admin:users", "read:hub")}
    _, (state, words) = examined(hub)
    assert (state, words) == (
        "note",
        "coral/prod: the token may do more than it needs (admin:users): list:users and read:users:activity suffice",
    )


def test_a_clock_that_is_wrong(hub: FakeJupyterHub) -> None:
    _, (state, words) = examined(hub, skew=timedelta(hours=-2))
    assert state == "note"
    assert "its clock says 2026-03-06 00:30 UTC, and ours 2026-03-06 02:30" in words


def test_no_hub_at_all(hub: FakeJupyterHub) -> None:
    hub.tokens = {}
    ((state, words),) = examined(hub)
    assert state == "problem"
    assert "the hub doesn't know the token" in words


def unnamed(connection: Connection, _request: Request, _response: Response) -> None:
    connection.send(Response(b"<html>Welcome</html>", 200, {"Content-Type": "text/html"}))


def test_something_else_than_a_hub(hub: FakeJupyterHub, tmp_path: Path) -> None:
    plan = Plan(dict.fromkeys(range(99), unnamed))
    with nights(hub, tmp_path, plan) as (fetched, _), pytest.raises(SourceError, match="no JSON"):
        fetched.fetch()
