"""Cost Explorer with the bill of two accounts: worked out here, answered by moto. Held to botocore's description of
the service: what it is asked, and what it answers."""

import hashlib
import json
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import duckdb
from moto.ce.models import ce_backends

from kpi_pipeline.landing import Landing
from kpi_pipeline.settings.base import Live
from kpi_pipeline.settings.sources import CloudCostsExplorer
from kpi_pipeline.stages import costs
from kpi_pipeline_tests.live.fetched import utc
from kpi_pipeline_tests.live.moto_server import ACCOUNT, hold_to, passed_on
from kpi_pipeline_tests.live.server import Request, Response

TAG = "2i2c:hub-name"
FIRST = date(2026, 2, 21)
REEF, ATOLL = "111111111111", "222222222222"
FEED = "/moto-api/static/ce/cost-and-usage-results"
# Day, account, value of the tag.
Costs = dict[tuple[date, str, str], Decimal]


class UnknownTokenError(Exception):
    """A token that no page had, or one of another question."""


class FakeCostExplorer:
    """Costs of some days in two months, a page of which holds so many groups."""

    source = "cloud_costs"
    night = utc(2026, 3, 5, 2, 30)

    def __init__(self, page: int = 4) -> None:
        self.page = page
        days = [FIRST + timedelta(days=n) for n in range((self.night.date() - FIRST).days)]
        self.costs: Costs = {
            (day, account, hub): Decimal(day.toordinal() * 7 + number * 131) / Decimal("1e7")
            for day in days
            for number, (account, hub) in enumerate(((REEF, "coral"), (REEF, ""), (ATOLL, "lagoon")))
            if (day.toordinal() + number) % 4
        }
        # A credit.
        self.costs[days[-2], REEF, ""] = Decimal("-12.3456789012")
        self.estimated_from = date(2026, 3, 1)
        self.unit, self.tag = "USD", TAG

    def settings(self, url: str) -> CloudCostsExplorer:
        return CloudCostsExplorer.model_validate(
            {"kind": "aws_cost_explorer", "hub_tag": TAG, "since": FIRST, "months_open": 1, "endpoint": url}
        )

    def is_page(self, request: Request) -> bool:
        return request.headers.get("x-amz-target", "").endswith(".GetCostAndUsage")

    def app(self, request: Request) -> Response:
        if self.is_page(request):
            try:
                feed(request.body, self.answer(request.body))
            except UnknownTokenError:
                return Response({"__type": "InvalidNextTokenException", "Message": "Try again without it"}, 400)
        return passed_on(request)

    def answer(self, body: bytes) -> dict[str, Any]:
        """A page, as Cost Explorer would give it."""
        asked = json.loads(body)
        hold_to("ce", "GetCostAndUsage", "input_shape", asked)
        metric, token = asked["Metrics"][0], asked.pop("NextPageToken", None)
        question = hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()[:16]
        begin = _place(token, question) if token else 0
        start, end = (date.fromisoformat(asked["TimePeriod"][key]) for key in ("Start", "End"))
        place, periods = 0, []
        for day in (start + timedelta(days=n) for n in range((end - start).days)):
            groups = []
            for account, hub in sorted((a, h) for d, a, h in self.costs if d == day):
                if begin <= place < begin + self.page:
                    amount = {"Amount": str(self.costs[day, account, hub]), "Unit": self.unit}
                    groups.append({"Keys": [account, f"{self.tag}${hub}"], "Metrics": {metric: amount}})
                place += 1
            # A day without costs is on the page of the day before.
            if groups or begin <= max(place - 1, 0) < begin + self.page:
                periods.append(self._period(day, groups))
        answer = {
            "GroupDefinitions": asked["GroupBy"],
            "ResultsByTime": periods,
            "DimensionValueAttributes": [{"Value": REEF, "Attributes": {"description": "Reef"}}],
        }
        if begin + self.page < place:
            answer["NextPageToken"] = f"{question}-{begin + self.page}"
        hold_to("ce", "GetCostAndUsage", "output_shape", answer)
        return answer

    def _period(self, day: date, groups: list[dict[str, Any]]) -> dict[str, Any]:
        return {
            "TimePeriod": {"Start": day.isoformat(), "End": (day + timedelta(days=1)).isoformat()},
            "Total": {},
            "Groups": groups,
            "Estimated": day >= self.estimated_from,
        }

    def rows(self) -> list[tuple[Any, ...]]:
        return sorted((day, account, hub, amount, 1) for (day, account, hub), amount in self.costs.items())

    def load(self, con: duckdb.DuckDBPyConnection, landing: Landing, configured: Live) -> None:
        load(con, landing, configured)

    def loaded(self, con: duckdb.DuckDBPyConnection) -> list[tuple[Any, ...]]:
        return loaded(con)

    def update_a_row(self) -> None:
        """A day of the running month costs more after all, and another hub has costs."""
        day = self.night.date() - timedelta(days=3)
        self.costs[day, REEF, "coral"] = Decimal("77.7000000001")
        self.costs[day, ATOLL, "atoll"] = Decimal("1E-10")

    def delete_a_row(self) -> None:
        """Costs of the running month are moved to another account: the later groups move up."""
        for key in [key for key in self.costs if key[0] >= date(2026, 3, 1) and key[1] == REEF][:2]:
            del self.costs[key]


def _place(token: str, question: str) -> int:
    asked, _, place = token.partition("-")
    if asked != question or not place.isdigit():
        raise UnknownTokenError
    return int(place)


def feed(question: bytes, answer: dict[str, Any]) -> None:
    """Has moto give this answer to a question. What it was told once it gives for good, so that is taken back first."""
    told = ce_backends[ACCOUNT]["aws"].cost_usage_results
    if told.get(question.decode()) != answer:
        told.pop(question.decode(), None)
        assert passed_on(Request("POST", FEED, {}, {}, json.dumps({"results": [answer]}).encode())).status == 201


def load(con: duckdb.DuckDBPyConnection, landing: Landing, configured: Live) -> None:
    """Loads and stages a bill; which lines count is known in staged only."""
    assert isinstance(configured, costs.CloudCosts)
    costs.load(con, landing, configured)
    costs.stage_cloud_costs(con, landing, configured, "USD", date(2026, 12, 31))


def loaded(con: duckdb.DuckDBPyConnection) -> list[tuple[Any, ...]]:
    """Day, account, hub, amount and lines of what counts."""
    return con.execute(
        "select date, sub_account_id, coalesce(hub_tag, ''), billed, lines from staged.cloud_costs order by all"
    ).fetchall()
