"""Cost Explorer: which months are asked for, whether an answer is whole, and what becomes of it."""

import json
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest

from kpi_pipeline.errors import SourceError
from kpi_pipeline.fetching import Glance
from kpi_pipeline.landing import LandedFile, Landing, content_of
from kpi_pipeline.sources.cost_explorer import CostExplorer
from kpi_pipeline.sources.transport import Budget
from kpi_pipeline.sources.walk import Tools
from kpi_pipeline.stages import parts
from kpi_pipeline.warehouse import set_up
from kpi_pipeline_tests.bad_input.organisation import empty_warehouse
from kpi_pipeline_tests.live.fake_cost_explorer import ATOLL, FIRST, REEF, TAG, FakeCostExplorer
from kpi_pipeline_tests.live.fetched import LIMITS, Nights, TurnedClock, utc
from kpi_pipeline_tests.live.moto_server import ACCOUNT, hold_to
from kpi_pipeline_tests.live.server import Connection, Fault, Plan, Request, Response, Served, served
from kpi_pipeline_tests.live.test_aws import refusal

PART = "cost explorer"


@contextmanager
def nights(vendor: FakeCostExplorer, folder: Path, plan: Plan | None = None) -> Iterator[tuple[Nights, Served]]:
    """Faults count pages of costs; the first is page 0."""
    with served(vendor.app, plan or Plan()) as server:
        server.plan.applies = vendor.is_page
        yield Nights(folder, vendor, server.url, TurnedClock(vendor.night)), server


def test_the_fake_is_held_to_the_description_of_the_service() -> None:
    """By every question and answer; and one that is wrong is noticed."""
    vendor = FakeCostExplorer()
    good: dict[str, Any] = {
        "TimePeriod": {"Start": "2026-03-01", "End": "2026-03-03"},
        "Granularity": "DAILY",
        "Metrics": ["UnblendedCost"],
        "GroupBy": [{"Type": "DIMENSION", "Key": "LINKED_ACCOUNT"}, {"Type": "TAG", "Key": TAG}],
    }
    answer = vendor.answer(json.dumps(good).encode())
    for wrong in ({"Metrics": "UnblendedCost"}, {"Page": "2"}, {"TimePeriod": {"Start": "2026-03-01"}}):
        with pytest.raises(AssertionError):
            vendor.answer(json.dumps({**good, **wrong}).encode())
    for wrong in ({"NextPageToken": 2}, {"Periods": []}, {"ResultsByTime": {}}):
        with pytest.raises(AssertionError):
            hold_to("ce", "GetCostAndUsage", "output_shape", {**answer, **wrong})


def periods(server: Served) -> list[tuple[str, str]]:
    """Start and end of what was asked for, in order, each page."""
    asked = [json.loads(r.body)["TimePeriod"] for r in server.requests if "x-amz-target" in r.headers]
    return [(period["Start"], period["End"]) for period in asked]


def changed(fetched: Nights, **keys: Any) -> None:
    fetched.change = lambda configured: configured.model_copy(update=keys)


def content(fetched: Nights, file: LandedFile) -> bytes:
    return content_of(fetched.landing.path("cloud_costs", file), file.is_packed)


def covered(fetched: Nights) -> Any:
    newest = fetched.landing.newest("cloud_costs")
    assert newest is not None
    return newest.parts[PART].covered


def altered(change: Any) -> Fault:
    """200, with another answer."""

    def fault(connection: Connection, _request: Request, response: Response) -> None:
        answer = json.loads(response.content)
        change(answer)
        connection.send(Response(answer))

    return fault


def test_what_is_landed_is_what_was_said_by_account_and_month(tmp_path: Path) -> None:
    said: list[bytes] = []
    vendor = FakeCostExplorer(page=6)

    def app(request: Request) -> Response:
        answer = vendor.app(request)
        # Spaces and an order of keys that no parser keeps.
        padded = Response(b" " + answer.content + b"\n", answer.status, answer.headers)
        said.extend([padded.content] if vendor.is_page(request) else [])
        return padded if vendor.is_page(request) else answer

    with served(app) as server:
        fetched = Nights(tmp_path, vendor, server.url, TurnedClock(vendor.night))
        fetched.fetch_until_through()
        files = fetched.landing.files("cloud_costs", "log")
        names = [f"{ACCOUNT}/{month}/part-0000{n}.json" for month in ("2026-02", "2026-03") for n in (1, 2, 3)]
        assert [file.name for file in files] == names[: len(files)] == names[:5]
        assert [content(fetched, file) for file in files] == said
        assert {file.url for file in files} == {server.url}
        assert {file.status for file in files} == {200}


def test_a_year_at_first_then_what_may_change(tmp_path: Path) -> None:
    vendor = FakeCostExplorer(page=100)
    with nights(vendor, tmp_path) as (fetched, server):
        changed(fetched, since=None, months_open=2)
        (outcome,) = fetched.fetch_until_through()
        assert periods(server) == [
            *((f"2025-{month:02}-01", f"2025-{month + 1:02}-01") for month in range(3, 12)),
            ("2025-12-01", "2026-01-01"),
            ("2026-01-01", "2026-02-01"),
            ("2026-02-01", "2026-03-01"),
            ("2026-03-01", "2026-03-05"),
        ]
        # Who we are, and a page a month.
        assert outcome.requests == 14
        # The end of 3 March was a day before.
        assert covered(fetched) == ((date(2025, 3, 1), date(2026, 3, 3)),)
        fetched.clock.turn(days=1)
        fetched.fetch()
        assert periods(server)[13:] == [("2026-02-01", "2026-03-01"), ("2026-03-01", "2026-03-06")]
        # In April, March is open, and February is read for the last time. The first day of a month has nothing yet.
        vendor.estimated_from = date(2026, 4, 1)
        fetched.clock.turn(days=26)
        fetched.fetch()
        assert periods(server)[15:] == [("2026-02-01", "2026-03-01"), ("2026-03-01", "2026-04-01")]
        assert covered(fetched) == ((date(2025, 3, 1), date(2026, 3, 30)),)
        fetched.clock.turn(days=1)
        fetched.fetch()
        assert periods(server)[17:] == [("2026-03-01", "2026-04-01"), ("2026-04-01", "2026-04-02")]


def test_an_estimate_keeps_a_month_open(tmp_path: Path) -> None:
    vendor = FakeCostExplorer(page=100)
    vendor.estimated_from = date(2026, 2, 28)
    with nights(vendor, tmp_path) as (fetched, server):
        fetched.fetch()
        fetched.fetch()
        assert len(periods(server)) == 4
        vendor.estimated_from = date(2026, 3, 1)
        fetched.fetch()
        fetched.fetch()
        assert periods(server)[4:] == [
            ("2026-02-01", "2026-03-01"),
            ("2026-03-01", "2026-03-05"),
            ("2026-03-01", "2026-03-05"),
        ]


@pytest.mark.parametrize("keys", [{"hub_tag": "hub"}, {"metric": "NetUnblendedCost"}, {"months_open": 2}])
def test_another_question_is_asked_for_all_months(keys: dict[str, Any], tmp_path: Path) -> None:
    vendor = FakeCostExplorer(page=100)
    with nights(vendor, tmp_path) as (fetched, server):
        fetched.fetch()
        changed(fetched, **keys)
        vendor.tag = keys.get("hub_tag", TAG)
        fetched.fetch_until_through()
        assert len(periods(server)) == 4
        assert fetched.loaded() == vendor.rows()
        asked = json.loads(server.requests[-1].body)
        assert asked["GroupBy"] == [
            {"Type": "DIMENSION", "Key": "LINKED_ACCOUNT"},
            {"Type": "TAG", "Key": vendor.tag},
        ]
        assert asked["Metrics"] == [keys.get("metric", "UnblendedCost")]
        assert asked["Granularity"] == "DAILY"


def test_earlier_months_are_read_when_since_moves(tmp_path: Path) -> None:
    vendor = FakeCostExplorer(page=100)
    with nights(vendor, tmp_path) as (fetched, server):
        fetched.fetch()
        changed(fetched, since=date(2025, 12, 24))
        fetched.fetch()
        assert [start for start, _ in periods(server)[2:]] == ["2025-12-01", "2026-01-01", "2026-03-01"]
        assert covered(fetched) == ((date(2025, 12, 1), date(2026, 3, 3)),)


def test_amounts_are_exact_and_credits_stay_below_zero(tmp_path: Path) -> None:
    vendor = FakeCostExplorer()
    day = date(2026, 3, 2)
    amounts = {
        "a": "-0.0000000001",
        "b": "123456789.1234567891",
        "c": "1.5E-9",
        "d": "0",
        "e": "-17",
        "f": "0.1000000000000000055511151231",
    }
    vendor.costs = {(day, REEF, hub): Decimal(amount) for hub, amount in amounts.items()}
    del vendor.costs[day, REEF, "f"]
    with nights(vendor, tmp_path) as (fetched, _):
        fetched.fetch_until_through()
        assert fetched.loaded() == [(day, REEF, hub, Decimal(text), 1) for hub, text in amounts.items() if hub != "f"]


def test_rows_are_lines_of_focus(tmp_path: Path) -> None:
    vendor = FakeCostExplorer()
    vendor.unit = "EUR"
    vendor.costs = {(date(2026, 2, 28), ATOLL, "lagoon"): Decimal("3.5"), (date(2026, 3, 1), REEF, ""): Decimal(2)}
    with nights(vendor, tmp_path) as (fetched, _):
        fetched.fetch_until_through()
        path = tmp_path / "warehouse.duckdb"
        path.write_bytes(empty_warehouse())
        with duckdb.connect(str(path)) as con:
            set_up(con)
            vendor.load(con, fetched.landing, fetched.configured)
            rows = con.execute(
                "select BilledCost::varchar, BillingAccountId, SubAccountId, Tags, BillingCurrency, ChargeCategory, "
                "BillingPeriodStart::varchar, BillingPeriodEnd::varchar, ChargePeriodStart::varchar, "
                "ChargePeriodEnd::varchar, ProviderName, _row from raw.cloud_costs order by ChargePeriodStart"
            ).fetchall()
            # Without a rate it is no part of the bill.
            assert con.execute("select distinct reason from raw.quarantine").fetchall() == [("no_rate:EUR",)]
    midnight = " 00:00:00"
    assert rows == [
        (
            *("3.500000000000000000000000", ACCOUNT, ATOLL, "lagoon", "EUR", "usage"),
            *(f"{day}{midnight}" for day in ("2026-02-01", "2026-03-01", "2026-02-28", "2026-03-01")),
            *("AWS", 1),
        ),
        (
            *("2.000000000000000000000000", ACCOUNT, REEF, "", "EUR", "usage"),
            *(f"{day}{midnight}" for day in ("2026-03-01", "2026-04-01", "2026-03-01", "2026-03-02")),
            *("AWS", 1),
        ),
    ]


def day_with(*groups: Any, start: str = "2026-02-01") -> bytes:
    period = {"TimePeriod": {"Start": start, "End": "2026-03-01"}, "Groups": groups}
    return json.dumps({"ResultsByTime": [period]}).encode()


def group(**cost: str) -> dict[str, Any]:
    return {"Keys": [REEF, f"{TAG}$coral"], "Metrics": {"UnblendedCost": cost}}


BROKEN = {
    "no JSON": (b"<html>", None, "not_json"),
    "an object where a list belongs": (b'{"ResultsByTime": {}}', None, "not_json"),
    "a text where a group belongs": (day_with("zz"), None, "not_json"),
    "no day": (day_with(group(Amount="1", Unit="USD"), start="2026-02-30"), 1, "missing:BillingPeriodStart"),
    "no amount": (day_with(group(Unit="USD")), 1, "missing:BilledCost"),
    "no number": (day_with(group(Amount="1,5", Unit="USD")), 1, "invalid:BilledCost"),
    "no currency": (day_with(group(Amount="1")), 1, "missing:BillingCurrency"),
}


@pytest.mark.parametrize("what", BROKEN)
def test_an_answer_that_was_landed_and_is_none(what: str, tmp_path: Path) -> None:
    """No fetch lands such a one. One that is there for whatever reason is quarantined."""
    answer, *expected = BROKEN[what]
    vendor, landing = FakeCostExplorer(), Landing(tmp_path / "landing")
    (tmp_path / "page.json").write_bytes(answer)
    name = f"{ACCOUNT}/2026-02/part-00001.json"
    landing.land("cloud_costs", "aws_cost_explorer", [(name, tmp_path / "page.json")], vendor.night)
    path = tmp_path / "warehouse.duckdb"
    path.write_bytes(empty_warehouse())
    with duckdb.connect(str(path)) as con:
        set_up(con)
        vendor.load(con, landing, vendor.settings("https://ce.example.org"))
        found = con.execute("select file, row, reason from raw.quarantine").fetchall()
    assert found == [(name, *expected)]


def test_a_month_that_has_fewer_pages_than_before(tmp_path: Path) -> None:
    """The last page stays in the landing zone, and no longer counts."""
    vendor = FakeCostExplorer(page=5)
    with nights(vendor, tmp_path) as (fetched, _):
        fetched.fetch()
        before = fetched.landed()
        vendor.delete_a_row()
        vendor.delete_a_row()
        fetched.fetch()
        after = [file.name for file in fetched.landing.newest("cloud_costs").files]  # type: ignore[union-attr]
        assert after == [f"{ACCOUNT}/2026-03/part-00001.json"]
        assert [name for name, _ in fetched.landed()] == [name for name, _ in before]
        assert fetched.loaded() == vendor.rows()


def empty(answer: dict[str, Any]) -> None:
    for period in answer["ResultsByTime"]:
        period["Groups"] = []
    answer.pop("NextPageToken", None)


def no_periods(answer: dict[str, Any]) -> None:
    answer["ResultsByTime"] = []


def other_metric(answer: dict[str, Any]) -> None:
    for period in answer["ResultsByTime"]:
        for group in period["Groups"]:
            group["Metrics"] = {"BlendedCost": group["Metrics"]["UnblendedCost"]}


def other_tag(answer: dict[str, Any]) -> None:
    answer["ResultsByTime"][0]["Groups"][0]["Keys"][1] = "team$coral"


def no_number(answer: dict[str, Any]) -> None:
    answer["ResultsByTime"][0]["Groups"][0]["Metrics"]["UnblendedCost"]["Amount"] = "1,5"


WRONG = {f.__name__: f for f in (empty, no_periods, other_metric, other_tag, no_number)}


@pytest.mark.parametrize(("wrong", "times"), [*((wrong, 1) for wrong in WRONG), ("empty", 12)])
def test_a_page_that_can_not_be_one(wrong: str, times: int, tmp_path: Path) -> None:
    """In mid-walk: once, and a whole night."""
    vendor = FakeCostExplorer()
    with nights(vendor, tmp_path, Plan(dict.fromkeys(range(1, 1 + times), altered(WRONG[wrong])))) as (fetched, _):
        outcomes = fetched.fetch_until_through()
        assert isinstance(outcomes[0], SourceError) == (times > 1)
        assert fetched.loaded() == vendor.rows()


def test_the_same_page_again(tmp_path: Path) -> None:
    """The second page has the groups of the first: the month is begun anew."""
    vendor, first = FakeCostExplorer(), []

    def first_again(connection: Connection, request: Request, response: Response) -> None:
        asked = json.loads(request.body)
        asked.pop("NextPageToken")
        first.append(asked)
        connection.send(Response({**vendor.answer(json.dumps(asked).encode()), "NextPageToken": "zz-further"}))

    with nights(vendor, tmp_path, Plan({1: first_again})) as (fetched, server):
        (outcome,) = fetched.fetch_until_through()
        assert not outcome.problems  # type: ignore[union-attr]
        assert fetched.loaded() == vendor.rows()
        assert len(first) == 1
        # Two pages in vain.
        assert len(periods(server)) == 2 + pages(vendor)


def pages(vendor: FakeCostExplorer) -> int:
    months = [[key for key in vendor.costs if key[0].month == month] for month in (2, 3)]
    return sum(-(-len(month) // vendor.page) for month in months)


def test_a_token_that_leads_back(tmp_path: Path) -> None:
    """Pages that go round in a circle, each with groups of its own: there is an end, and nothing is taken."""
    vendor, number = FakeCostExplorer(), iter(range(1000))

    def round_and_round(answer: dict[str, Any]) -> None:
        for period in answer["ResultsByTime"]:
            for group in period["Groups"]:
                group["Keys"][1] += str(next(number))
        answer["NextPageToken"] = "zz-circle"

    def circle(connection: Connection, request: Request, _response: Response) -> None:
        asked = json.loads(request.body)
        asked.pop("NextPageToken", None)
        answer = vendor.answer(json.dumps(asked).encode())
        round_and_round(answer)
        connection.send(Response(answer))

    with nights(vendor, tmp_path, Plan(dict.fromkeys(range(500), circle))) as (fetched, server):
        with pytest.raises(SourceError, match="round in a circle, at the last of 3 attempts"):
            fetched.fetch()
        assert len(periods(server)) == 6
        server.plan.faults.clear()
        fetched.fetch_until_through()
        assert fetched.loaded() == vendor.rows()


@pytest.mark.parametrize("code", ["InvalidNextTokenException", "RequestChangedException"])
def test_a_page_that_is_gone(code: str, tmp_path: Path) -> None:
    """As after a night: the token is too old, and the month is begun anew."""
    vendor = FakeCostExplorer()
    with nights(vendor, tmp_path, Plan({2: refusal(400, code)})) as (fetched, server):
        fetched.fetch_until_through()
        assert fetched.loaded() == vendor.rows()
        assert len(periods(server)) == 3 + pages(vendor)


def test_a_day_that_is_missing(tmp_path: Path) -> None:
    def a_day_less(answer: dict[str, Any]) -> None:
        del answer["ResultsByTime"][0]

    vendor = FakeCostExplorer(page=100)
    with nights(vendor, tmp_path, Plan({0: altered(a_day_less)})) as (fetched, server):
        fetched.fetch_until_through()
        assert fetched.loaded() == vendor.rows()
        assert len(periods(server)) == 3


def test_pages_without_end(tmp_path: Path) -> None:
    number = iter(range(10**6))

    def answer(request: Request) -> Response:
        if not FakeCostExplorer().is_page(request):
            return vendor.app(request)
        day = str(FIRST)
        group = {"Keys": [REEF, f"{TAG}${next(number)}"], "Metrics": {"UnblendedCost": {"Amount": "1", "Unit": "USD"}}}
        period = {"TimePeriod": {"Start": day, "End": day}, "Groups": [group], "Estimated": False}
        return Response({"ResultsByTime": [period], "NextPageToken": f"zz-{next(number)}"})

    vendor = FakeCostExplorer()
    with served(answer) as server:
        fetched = Nights(tmp_path, vendor, server.url, TurnedClock(vendor.night))
        with pytest.raises(SourceError, match="more than 500 pages"):
            fetched.fetch()
        assert len(server.requests) == 501


def examined(vendor: FakeCostExplorer, plan: Plan | None = None, **keys: Any) -> tuple[list[tuple[str, str]], Served]:
    with served(vendor.app, plan) as server:
        clock = TurnedClock(vendor.night)
        configured = vendor.settings(server.url).model_copy(update=keys)
        with closing(CostExplorer("cloud_costs", configured, Tools(clock=clock, limits=LIMITS))) as connector:
            walk = Glance(clock.now(), Budget(clock))
            return [(seen.state, seen.words) for seen in connector.examine(walk)], server


def test_doctor(tmp_path: Path) -> None:
    found, server = examined(FakeCostExplorer(page=100))
    assert found == [
        ("ok", f"AWS accepts the credentials, of account {ACCOUNT}"),
        ("ok", "Cost Explorer answers; the newest costs are of 2026-03-04"),
    ]
    assert len(periods(server)) == 1


def test_doctor_without_costs_that_bear_the_tag() -> None:
    vendor = FakeCostExplorer(page=100)
    vendor.costs = {(day, account, ""): amount for (day, account, _), amount in vendor.costs.items()}
    found, _ = examined(vendor)
    assert found[2][0] == "note"
    assert "activated as a cost allocation tag" in found[2][1]
    vendor.costs = {}
    assert examined(vendor)[0][1:] == [("note", "Cost Explorer answers, but knows of no cost within the last 7 days")]


def test_doctor_without_permission() -> None:
    found, _ = examined(FakeCostExplorer(), Plan({1: refusal(400, "AccessDeniedException", "User: zz-alice")}))
    assert [state for state, _ in found] == ["ok", "problem"]
    assert "Allow ce:GetCostAndUsage" in found[1][1]
    assert "alice" not in found[1][1]


def test_doctor_with_credentials_that_are_wrong() -> None:
    wrong = b"<ErrorResponse><Error><Code>InvalidClientTokenId</Code><Message>zz</Message></Error></ErrorResponse>"

    def refuse(connection: Connection, _request: Request, _response: Response) -> None:
        connection.send(Response(wrong, 403, {"Content-Type": "text/xml"}))

    found, _ = examined(FakeCostExplorer(), Plan({0: refuse}))
    assert [state for state, _ in found] == ["problem"]
    assert "the credentials are not accepted" in found[0][1]


def test_the_days_of_which_all_is_there_are_known_in_the_warehouse(tmp_path: Path) -> None:
    vendor = FakeCostExplorer()
    with nights(vendor, tmp_path) as (fetched, _):
        fetched.fetch()
        path = tmp_path / "warehouse.duckdb"
        path.write_bytes(empty_warehouse())
        with duckdb.connect(str(path)) as con:
            parts.load(con, fetched.landing, "cloud_costs", "aws_cost_explorer")
            assert con.execute("select * from raw.covered_days").fetchall() == [
                ("cloud_costs", PART, date(2026, 2, 1), date(2026, 3, 3))
            ]


def test_who_asks_is_not_kept(tmp_path: Path) -> None:
    """Of GetCallerIdentity the account only: an ARN may name a person."""
    vendor = FakeCostExplorer()
    with nights(vendor, tmp_path) as (fetched, _):
        fetched.requests = 1
        fetched.fetch()
        kept = [path for path in (tmp_path / "landing").rglob("*") if path.is_file() and path.suffix == ".gz"]
        assert [content_of(path, compressed=True) for path in kept] == [f'{{"Account": "{ACCOUNT}"}}'.encode()]


def test_another_account_is_another_bill(tmp_path: Path) -> None:
    """Other credentials: nothing of what is landed says anything of the new account's months."""
    vendor, other = FakeCostExplorer(page=100), "999999999999"

    def app(request: Request) -> Response:
        answer = vendor.app(request)
        is_other = fetched.clock.now() > vendor.night + timedelta(hours=12)
        return Response(answer.content.replace(ACCOUNT.encode(), other.encode() if is_other else ACCOUNT.encode()))

    with served(app) as server:
        fetched = Nights(tmp_path, vendor, server.url, TurnedClock(vendor.night))
        fetched.fetch()
        fetched.clock.turn(days=1)
        fetched.fetch()
        assert [start for start, _ in periods(server)] == ["2026-02-01", "2026-03-01"] * 2
        assert {name.split("/")[0] for name, _ in fetched.landed()} == {ACCOUNT, other}


def test_the_moment_is_utc(tmp_path: Path) -> None:
    vendor = FakeCostExplorer(page=100)
    vendor.night = utc(2026, 3, 1, 0, 5)
    with nights(vendor, tmp_path) as (fetched, server):
        fetched.fetch()
        assert periods(server) == [("2026-02-01", "2026-03-01")]
        assert covered(fetched) == ((date(2026, 2, 1), date(2026, 2, 27)),)
