"""HubSpot in its own ways: cursors, a listing that is the whole truth, limits by name, and properties as text."""

import csv
import json
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest
from pydantic import SecretStr

from kpi_pipeline import fetching
from kpi_pipeline.errors import SourceError
from kpi_pipeline.landing import Landing
from kpi_pipeline.settings import Categories
from kpi_pipeline.settings.sources import Deals
from kpi_pipeline.sources import hubspot as source
from kpi_pipeline.sources.connectors import connector
from kpi_pipeline.sources.files import list_files
from kpi_pipeline.sources.transport import Budget
from kpi_pipeline.sources.walk import Seen, Tools
from kpi_pipeline.stages import hubspot
from kpi_pipeline.stages.money import recognise, stage_money
from kpi_pipeline.warehouse import Connection, run, set_up
from kpi_pipeline_tests.bad_input.organisation import empty_warehouse
from kpi_pipeline_tests.live.fake_hubspot import COLUMNS, MADE, FakeHubSpot, limited
from kpi_pipeline_tests.live.fetched import LIMITS, TOKEN, Nights, TurnedClock, utc
from kpi_pipeline_tests.live.schemas import faults
from kpi_pipeline_tests.live.server import Connection as Asker
from kpi_pipeline_tests.live.server import Plan, Request, Response, Served, served


@contextmanager
def nights(
    vendor: FakeHubSpot, folder: Path, plan: Plan | None = None, app: Callable[[Request], Response] | None = None
) -> Iterator[tuple[Nights, Served]]:
    with served(app or vendor.app, plan) as server:
        yield Nights(folder, vendor, server.url, TurnedClock(vendor.night)), server


@contextmanager
def warehouse(folder: Path) -> Iterator[Connection]:
    path = folder / "warehouse.duckdb"
    path.write_bytes(empty_warehouse())
    with duckdb.connect(str(path)) as con:
        set_up(con)
        yield con


def of(outcome: fetching.Outcome) -> str:
    """What is wrong with the one part that there is."""
    assert list(outcome.problems) == ["deals"]
    return outcome.problems["deals"]


# -- the schema ----------------------------------------------------------------------------------------

PAGE = "CollectionResponseSimplePublicObjectWithAssociationsForwardPaging"
ANSWERS = {
    "/crm/v3/objects/deals": PAGE,
    "/crm/v3/properties/deals": "CollectionResponsePropertyNoPaging",
    "/crm/v3/pipelines/deals": "CollectionResponsePipelineNoPaging",
}


@pytest.mark.parametrize("lacks", [(), ("crm.schemas.deals.read",), ("crm.objects.deals.read",)])
def test_every_answer_of_the_fake_is_as_the_schema_has_it(lacks: tuple[str, ...], tmp_path: Path) -> None:
    vendor = FakeHubSpot()
    vendor.link, vendor.lacks_scopes = "http://{host}/crm/v3/objects/deals?after={after}", lacks
    found = set()

    def app(request: Request) -> Response:
        answer = vendor.app(request)
        name = ANSWERS[request.path] if answer.status == 200 else "Error"
        beside = ("status",) if name == "Error" else ()
        assert faults("hubspot", name, json.loads(answer.content), beside) == []
        found.add(name)
        return answer

    examined(vendor, app=app)
    if not lacks:
        with nights(vendor, tmp_path, app=app) as (fetched, _):
            fetched.fetch()
    assert found == {*ANSWERS.values()} if not lacks else "Error" in found


# -- walking -------------------------------------------------------------------------------------------


def test_what_is_asked(tmp_path: Path) -> None:
    with nights(FakeHubSpot(), tmp_path) as (fetched, server):
        fetched.fetch()
        assert [name for name, _ in fetched.landed()] == [f"deals/{number:04}.json" for number in range(1, 9)]
    first, *others = [request.query for request in server.requests]
    assert first == {"limit": "100", "archived": "false", "properties": ",".join(COLUMNS)}
    assert [query["after"] for query in others] == [str(9002 + 2 * n) for n in range(7)]
    assert {request.headers["authorization"] for request in server.requests} == {f"Bearer {TOKEN}"}


def test_links_are_looked_at_and_never_followed(tmp_path: Path) -> None:
    vendor = FakeHubSpot()
    vendor.link = "http://{host}/crm/v3/objects/deals?after=1&archived=true"
    with nights(vendor, tmp_path) as (fetched, _):
        fetched.fetch()
        assert fetched.loaded() == vendor.rows()
    vendor.link = "https://zz.example.org/crm/v3/objects/deals?after={after}"
    with nights(vendor, tmp_path / "other") as (fetched, _), pytest.raises(SourceError, match="page on another server"):
        fetched.fetch()


@pytest.mark.parametrize(
    ("url", "link", "is_fine"),
    [
        ("https://api.hubapi.com", "https://api-eu1.hubapi.com/crm", True),
        ("https://api.hubapi.com", "http://api.hubapi.com/crm", False),
        ("https://api.hubapi.com", "https://api.hubapi.com.example.org/crm", False),
        ("https://proxy.example.org", "https://api.hubapi.com/crm", False),
    ],
)
def test_links_between_data_centres(url: str, link: str, is_fine: bool) -> None:
    configured = FakeHubSpot().settings(url)
    deals = source.Deals("deals", configured, Tools(lambda _name, _purpose: SecretStr(TOKEN)))
    body = json.dumps({"results": [], "paging": {"next": {"after": "7", "link": link}}}).encode()
    reply = source.Reply(url, 200, {}, body, utc(2026, 3, 1))
    if is_fine:
        assert deals._after(reply) == "7"
    else:
        with pytest.raises(SourceError):
            deals._after(reply)
    deals.close()


def in_a_circle(vendor: FakeHubSpot, request: Request) -> Response:
    answer = vendor.app(request)
    if request.query.get("after") == "9004":
        answer.body["paging"]["next"]["after"] = "9002"
    return answer


def the_first_for_ever(vendor: FakeHubSpot, request: Request) -> Response:
    query = {name: value for name, value in request.query.items() if name != "after"}
    return vendor.app(Request(request.method, request.path, query, request.headers))


def endless(vendor: FakeHubSpot, request: Request) -> Response:
    number = int(request.query.get("after", 9000)) + 1
    vendor.add(number, 0)
    deal = vendor._shown(number, COLUMNS)
    return Response({"results": [deal], "paging": {"next": {"after": str(number)}}})


def emptied(vendor: FakeHubSpot, request: Request) -> Response:
    return Response({"results": []}) if "after" in request.query else vendor.app(request)


def without_cursor(vendor: FakeHubSpot, request: Request) -> Response:
    answer = vendor.app(request)
    answer.body.get("paging", {}).get("next", {}).pop("after", None)
    return answer


HOSTILE: dict[str, tuple[Callable[[FakeHubSpot, Request], Response], str]] = {
    "cursors in a circle": (in_a_circle, "cursors that go in a circle"),
    "the first page for ever": (the_first_for_ever, "nothing new on a page that the one before it promised"),
    "endless": (endless, "more than 30 pages"),
    "an empty page in mid-walk, for ever": (emptied, "nothing new on a page that the one before it promised"),
    "no cursor": (without_cursor, "a next page without a cursor"),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_a_hostile_server_is_stopped_and_the_last_listing_kept(
    what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app, says = HOSTILE[what]
    monkeypatch.setattr(source, "MAX_PAGES", 30)
    vendor = FakeHubSpot()
    before = vendor.rows()
    with nights(vendor, tmp_path) as (fetched, server):
        fetched.fetch()
        server.app = lambda request: app(vendor, request)
        fetched.clock.turn(days=1)
        assert says in of(fetched.fetch())
        assert fetched.loaded() == before
        assert len(server.requests) < 60
        # And the next night gets it.
        server.app = vendor.app
        fetched.clock.turn(days=1)
        fetched.fetch_until_through()
        assert fetched.loaded() == vendor.rows()


def empty(connection: Asker, _request: Request, _response: Response) -> None:
    connection.send(Response({"results": []}))


@pytest.mark.parametrize("times", [1, 3])
def test_an_empty_page_in_mid_walk_is_asked_for_again(times: int, tmp_path: Path) -> None:
    vendor = FakeHubSpot()
    with nights(vendor, tmp_path, Plan(dict.fromkeys(range(2, 2 + times), empty))) as (fetched, _):
        fetched.fetch()
        assert fetched.loaded() == vendor.rows()


def test_a_duplicate_page_is_asked_for_again(tmp_path: Path) -> None:
    vendor = FakeHubSpot()
    before: list[Response] = []

    def app(request: Request) -> Response:
        before.append(vendor.app(request))
        return before[-1]

    def again(connection: Asker, _request: Request, _response: Response) -> None:
        connection.send(before[-2])

    with nights(vendor, tmp_path, Plan({3: again}), app) as (fetched, _):
        fetched.fetch()
        assert fetched.loaded() == vendor.rows()


# -- night after night ---------------------------------------------------------------------------------


def test_archived_deals_are_gone_the_next_night_and_days_are_covered(tmp_path: Path) -> None:
    vendor = FakeHubSpot()
    with nights(vendor, tmp_path) as (fetched, _):
        fetched.fetch()
        vendor.delete_a_row()
        vendor.add(9100, 1)
        fetched.clock.turn(days=3)
        fetched.fetch()
        assert fetched.loaded() == vendor.rows()
        assert len(vendor.rows()) == 16
        manifest = fetched.landing.newest("deals")
        assert manifest is not None
        # The days between are made up for: a listing holds all that there is.
        assert manifest.parts["deals"].covered == ((date(2026, 3, 9), date(2026, 3, 12)),)


def test_no_deal_at_all_is_refused_where_there_were_some(tmp_path: Path) -> None:
    """A token that has lost its scope, or a wrong account, would empty the pipeline."""
    vendor = FakeHubSpot()
    with nights(vendor, tmp_path) as (fetched, _):
        fetched.fetch()
        before = vendor.rows()
        vendor.archived = set(vendor.deals)
        fetched.clock.turn(days=1)
        assert "got not one deal; expected some of the 16 of the last time" in of(fetched.fetch())
        assert fetched.loaded() == before


def test_an_account_without_deals(tmp_path: Path) -> None:
    vendor = FakeHubSpot()
    vendor.deals = {}
    with nights(vendor, tmp_path) as (fetched, _):
        assert fetched.fetch().problems == {}
        assert fetched.loaded() == []


# -- limits --------------------------------------------------------------------------------------------


def by_policy(policy: str) -> Callable[[Asker, Request, Response], None]:
    return lambda connection, _request, _response: connection.send(limited(policy))


def test_a_limit_of_ten_seconds_is_waited_for(tmp_path: Path) -> None:
    vendor = FakeHubSpot()
    with nights(vendor, tmp_path, Plan({2: by_policy("TEN_SECONDLY_ROLLING")})) as (fetched, _):
        fetched.fetch()
        assert fetched.clock.slept == [60]
        assert fetched.loaded() == vendor.rows()


def test_a_limit_of_the_day_ends_the_run_and_the_next_one_goes_on(tmp_path: Path) -> None:
    """Nobody waits for midnight: it is like a budget that is used up, and no problem."""
    vendor = FakeHubSpot()
    with nights(vendor, tmp_path, Plan({4: by_policy("DAILY")})) as (fetched, server):
        outcome = fetched.fetch()
        assert (outcome.unfinished, outcome.problems, fetched.clock.slept) == (("deals",), {}, [])
        fetched.clock.turn(days=1)
        fetched.fetch()
        assert fetched.loaded() == vendor.rows()
        # And once round again, for what is new since.
        assert len(server.requests) == 9 + 8


def test_the_requests_that_are_left_are_told(tmp_path: Path) -> None:
    with nights(FakeHubSpot(), tmp_path) as (fetched, _):
        fetched.fetch()
        assert "624,000 requests left" in fetched.told[-1]


# -- pages to rows -------------------------------------------------------------------------------------


def loaded(folder: Path, kind: str, names: dict[str, bytes]) -> tuple[list[Any], list[Any]]:
    """Rows of raw.deals, and what went to quarantine, of dropped files."""
    for name, content in names.items():
        path = folder / "drop" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    landing = Landing(folder / "landing")
    landing.land("deals", kind, list_files("deals", folder / "drop"), utc(2026, 3, 10))
    with warehouse(folder) as con:
        hubspot.load(con, landing, connected=True)
        rows = run(con, f"select {', '.join(COLUMNS)} from raw.deals order by hs_object_id")
        return rows, run(con, "select file, row, reason from raw.quarantine order by all")


def as_csv(vendor: FakeHubSpot) -> bytes:
    """The same deals as HubSpot exports them: days and moments as people read them."""
    lines = []
    for number, deal in sorted(vendor.deals.items()):
        closed = deal["closedate"].strftime("%Y-%m-%d %H:%M:%S.%f")
        cells = {**{name: deal.get(name) for name in COLUMNS}, "hs_object_id": number, "closedate": closed}
        lines.append({name: "" if value is None else value for name, value in cells.items()})
    path = Path("deals.csv")
    with path.open("w", newline="") as out:
        writer = csv.DictWriter(out, COLUMNS)
        writer.writeheader()
        writer.writerows(lines)
    return path.read_bytes()


def test_pages_and_a_csv_export_of_the_same_deals_give_the_same_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    vendor = FakeHubSpot()
    with nights(vendor, tmp_path / "live") as (fetched, server):
        fetched.fetch()
        live = fetched.loaded()
        pages = {f"{n}.json": vendor.app(request).content for n, request in enumerate(server.requests)}
    exported, rejected = loaded(tmp_path / "csv", "hubspot_csv", {"deals.csv": as_csv(vendor)})
    assert rejected == []
    assert live == exported == vendor.rows()
    assert loaded(tmp_path / "pages", "hubspot_pages", pages) == (exported, [])


PLAIN: dict[str, Any] = {
    "hs_object_id": "7",
    "dealname": "zz-deal",
    "amount": "120.50",
    "closedate": "2026-01-15T10:22:30.500Z",
    "dealstage": "closedwon",
}


def page(*deals: dict[str, Any]) -> bytes:
    """A page of plain deals, each with what is said of it; their ids are their places."""
    shown = [
        {
            "id": str(place),
            "properties": {**PLAIN, "hs_object_id": str(place), **properties},
            "createdAt": MADE,
            "updatedAt": MADE,
            "archived": False,
        }
        for place, properties in enumerate(deals or ({},), 1)
    ]
    return json.dumps({"results": shown}).encode()


MIDNIGHT = 1_767_225_600_000  # 2026-01-01T00:00:00Z
DAYS: list[tuple[str | None, date | None]] = [
    ("2026-01-01", date(2026, 1, 1)),
    ("2026-01-01T00:00:00Z", date(2026, 1, 1)),
    ("2026-01-01T00:00:00.000Z", date(2026, 1, 1)),
    ("2026-01-01T00:00:00+00:00", date(2026, 1, 1)),
    (str(MIDNIGHT), date(2026, 1, 1)),
    ("-86400000", date(1969, 12, 31)),
    ("", None),
    ("  ", None),
    (None, None),
]
MOMENTS = [
    ("2026-01-15T10:22:30.500Z", datetime(2026, 1, 15, 10, 22, 30, 500_000)),
    ("2026-01-15T12:22:30+02:00", datetime(2026, 1, 15, 10, 22, 30)),
    ("2026-01-15", datetime(2026, 1, 15)),
    (str(MIDNIGHT + 1), datetime(2026, 1, 1, 0, 0, 0, 1000)),
]


def test_dates_and_moments_in_each_form(tmp_path: Path) -> None:
    days = page(*({"target_start_date": given, "target_end_date": given} for given, _ in DAYS))
    moments = page(*({"closedate": given} for given, _ in MOMENTS))
    rows, rejected = loaded(tmp_path / "days", "hubspot_pages", {"1.json": days})
    assert (rejected, [row[COLUMNS.index("target_start_date")] for row in rows]) == ([], [day for _, day in DAYS])
    rows, rejected = loaded(tmp_path / "moments", "hubspot_pages", {"1.json": moments})
    assert (rejected, [row[COLUMNS.index("closedate")] for row in rows]) == ([], [at for _, at in MOMENTS])


WRONG: list[tuple[dict[str, Any], str]] = [
    # As in a CSV export: what isn't worth anything yet can't be counted.
    ({"amount": None}, "missing:amount"),
    ({"amount": ""}, "missing:amount"),
    ({"amount": "1,200"}, "invalid:amount"),
    ({"amount": 120.5}, "wrong_type:amount"),
    ({"closedate": None}, "missing:closedate"),
    ({"closedate": "soon"}, "invalid:closedate"),
    ({"target_start_date": "2026-01-01T08:00:00Z"}, "invalid:target_start_date"),
    ({"target_start_date": str(MIDNIGHT + 1)}, "invalid:target_start_date"),
    ({"target_start_date": "2026-01-01"}, "incomplete_service_period"),
    ({"hs_forecast_probability": "1.5"}, "out_of_range:hs_forecast_probability"),
    ({"dealstage": ["closedwon"]}, "wrong_type:dealstage"),
    ({"hs_object_id": ""}, "missing:hs_object_id"),
]


def test_a_deal_that_is_wrong_is_rejected_alone(tmp_path: Path) -> None:
    rows, rejected = loaded(tmp_path, "hubspot_pages", {"1.json": page(*(given for given, _ in WRONG), {})})
    assert rejected == [("1.json", row, reason) for row, (_, reason) in enumerate(WRONG, 1)]
    assert [row[0] for row in rows] == [str(len(WRONG) + 1)]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (page()[:-30], "not_json"),
        (b"", "empty_file"),
        (b"\xff{}", "not_utf8"),
        (b'{"status": "error", "message": "zz-words"}', "not_a_list"),
        (b"[]", "not_a_list"),
    ],
)
def test_a_page_that_is_wrong_is_rejected_whole(content: bytes, reason: str, tmp_path: Path) -> None:
    rows, rejected = loaded(tmp_path, "hubspot_pages", {"1.json": content, "2.json": page()})
    assert rejected == [("1.json", None, reason)]
    assert len(rows) == 1


def test_something_among_the_deals_that_is_none_and_a_file_of_another_kind(tmp_path: Path) -> None:
    content = json.dumps({"results": [5, {"id": "7", "properties": PLAIN}]}).encode()
    rows, rejected = loaded(tmp_path, "hubspot_pages", {"1.json": content, "1.csv": b"hs_object_id\n1\n"})
    assert rejected == [("1.csv", None, "unsupported_format"), ("1.json", 1, "not_an_object")]
    assert len(rows) == 1


def test_from_hubspot_to_recognised_revenue(tmp_path: Path) -> None:
    """365,000 over the days of 2026 are 1,000 a day; of an open deal 40 % of 500 are in the pipeline; lost is lost."""
    vendor = FakeHubSpot()
    vendor.deals = {}
    year = {"contract_start_date": date(2026, 1, 1), "contract_end_date": date(2026, 12, 31)}
    vendor.add(1, 0, amount=Decimal("365000"), deal_currency_code="USD", **year)
    probable = {"hs_forecast_probability": Decimal("0.4"), "deal_currency_code": "USD"}
    vendor.add(2, 1, amount=Decimal(500), **probable)
    vendor.add(3, 2, amount=Decimal(900), deal_currency_code="USD")
    with nights(vendor, tmp_path) as (fetched, _):
        fetched.fetch()
        assert isinstance(fetched.configured, Deals)
        with warehouse(tmp_path) as con:
            hubspot.load(con, fetched.landing, connected=True)
            stage_money(con, "USD", Categories(), fetched.configured, date(2026, 3, 9))
            recognise(con, date(2026, 3, 9))
            months = run(
                con, "select month, amount, amount_to_date from facts.recognised where month < '2026-05-01' order by 1"
            )
            pipeline = run(con, "select deal_id, amount, weighted_amount from facts.pipeline")
    assert months == [
        (date(2026, 1, 1), Decimal(31000), Decimal(31000)),
        (date(2026, 2, 1), Decimal(28000), Decimal(28000)),
        (date(2026, 3, 1), Decimal(31000), Decimal(9000)),
        (date(2026, 4, 1), Decimal(30000), Decimal(0)),
    ]
    assert pipeline == [("2", Decimal(500), Decimal(200))]


# -- kpi doctor ----------------------------------------------------------------------------------------


def examined(
    vendor: FakeHubSpot, token: str = TOKEN, app: Callable[[Request], Response] | None = None
) -> list[tuple[str, str]]:
    with served(app or vendor.app) as server:
        clock = TurnedClock(vendor.night)
        tools = Tools(lambda _name, _purpose: SecretStr(token), clock, LIMITS)
        with closing(connector("deals", vendor.settings(server.url), tools)) as asked:
            seen: list[Seen] = list(asked.examine(fetching.Glance(clock.now(), Budget(clock))))
    assert TOKEN not in str(seen)
    return [(one.state, one.words.replace(server.url, "HubSpot")) for one in seen]


def test_kpi_doctor_where_all_is_well() -> None:
    vendor = FakeHubSpot(cap=100)
    vendor.update_a_row()
    assert examined(vendor) == [
        ("ok", "HubSpot: 16 deals, the newest change is of 2026-03-09 12:01 UTC; 624000 requests of today are left"),
        ("ok", "deals have all properties that are read"),
    ]


def test_kpi_doctor_says_what_is_amiss() -> None:
    vendor = FakeHubSpot(cap=100)
    vendor.properties = [name for name in vendor.properties if name not in ("contract_start_date", "amount")]
    vendor.stages = {"closedwon": ("Closed Won", 1.0), "202": ("Signed", 1.0), "203": ("Gone", 0.0)}
    found = examined(vendor)
    assert found[1:] == [
        ("problem", "deals have no property amount, without which none can be counted"),
        ("note", "deals have no property contract_start_date: create it, or it stays empty"),
        ("note", "stage 'Signed' is won in HubSpot: name its id '202' in `won`"),
        ("note", "stage 'Gone' is lost in HubSpot: name its id '203' in `lost`"),
    ]


def test_kpi_doctor_without_deals_or_scopes_or_a_token() -> None:
    vendor = FakeHubSpot(cap=100)
    vendor.lacks_scopes = ("crm.schemas.deals.read",)
    assert [state for state, _ in examined(vendor)] == ["ok", "note", "note"]
    vendor.deals = {}
    assert examined(vendor)[0][0] == "note"
    vendor.lacks_scopes = ("crm.objects.deals.read",)
    ((state, words),) = examined(vendor)
    assert state == "problem"
    assert "status 403" in words
    assert words.endswith("A private app needs the scope crm.objects.deals.read.")
    ((state, words),) = examined(vendor, "zz-wrong")
    assert state == "problem"
    assert "status 401" in words
