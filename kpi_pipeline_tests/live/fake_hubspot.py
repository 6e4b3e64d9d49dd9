"""HubSpot's CRM API v3 as far as it is asked for: an account with some deals. Held to a schema in test_hubspot."""

from collections.abc import Iterable
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import duckdb

from kpi_pipeline.landing import Landing
from kpi_pipeline.settings.base import Live
from kpi_pipeline.settings.sources import DealsHubSpot
from kpi_pipeline.stages import hubspot
from kpi_pipeline_tests.live.fetched import TOKEN, utc
from kpi_pipeline_tests.live.server import Request, Response

COLUMNS = (
    *("hs_object_id", "dealname", "amount", "deal_currency_code", "closedate", "dealstage", "dealtype"),
    *("contract_start_date", "contract_end_date", "target_start_date", "target_end_date", "hs_forecast_probability"),
)
DATES = ("contract_start_date", "contract_end_date", "target_start_date", "target_end_date")
# What HubSpot returns whether it is asked for or not.
ALWAYS = ("createdate", "hs_lastmodifieddate", "hs_object_id")
MADE = "2026-01-05T09:00:00.123Z"
Deal = dict[str, Any]


class FakeHubSpot:
    """Sixteen deals, whose dates are in all the forms that HubSpot has.

    Args:
        cap: how many records a page has at most; HubSpot's own limit is 100.
    """

    source = "deals"
    night = utc(2026, 3, 10, 2, 30)

    def __init__(self, cap: int = 2) -> None:
        self.cap = cap
        self.deals: dict[int, Deal] = {}
        self.archived: set[int] = set()
        self.properties = [*COLUMNS, "createdate", CHANGED, "hubspot_owner_id"]
        self.stages = {"closedwon": ("Closed Won", 1.0), "closedlost": ("Closed Lost", 0.0), "101": ("Talking", 0.4)}
        # The port is another in each test: pages that are compared between tests have no link.
        self.link = ""
        self.lacks_scopes: tuple[str, ...] = ()
        self.changes = 0
        for number in range(16):
            self.add(9001 + number, number)

    def add(self, number: int, form: int, **other: Any) -> None:
        """A deal; `form` says in which way its moments are written."""
        contract = (date(2026, 1, 1), date(2026, 12, 31)) if form % 3 == 0 else (None, None)
        target = (date(2026, 4, 1), date(2027, 3, 31)) if form % 3 == 1 else (None, None)
        self.deals[number] = {
            "dealname": f"zz-deal {number}",
            "amount": Decimal(1200 * number) / 100,
            "deal_currency_code": "EUR" if form % 2 else None,
            "closedate": datetime(2026, 1, 15 + form % 9, 10, 22, 30, 500_000 * (form % 2), tzinfo=UTC),
            "dealstage": ("closedwon", "101", "closedlost")[form % 3],
            "dealtype": "grant" if form % 2 else "",
            **dict(zip(DATES, (*contract, *target), strict=True)),
            "hs_forecast_probability": Decimal("0.4") if form % 3 == 1 else None,
            "form": form,
            CHANGED: MADE,
            **other,
        }

    def settings(self, url: str) -> DealsHubSpot:
        return DealsHubSpot.model_validate({"kind": "hubspot", "token_env": "TOKEN", "url": url, "currency": "USD"})

    def update_a_row(self) -> None:
        self.changes += 1
        self.deals[9002] |= {"amount": Decimal("77.50"), CHANGED: f"2026-03-09T12:{self.changes:02}:00.000Z"}

    def delete_a_row(self) -> None:
        self.archived.add(9004)

    # -- what it answers ---------------------------------------------------------------------------

    def is_page(self, request: Request) -> bool:
        return request.path == "/crm/v3/objects/deals"

    def app(self, request: Request) -> Response:
        if request.headers.get("authorization") != f"Bearer {TOKEN}":
            return _error(401, "INVALID_AUTHENTICATION", "Authentication credentials not found.")
        needed = "crm.objects.deals.read" if "objects" in request.path else "crm.schemas.deals.read"
        if needed in self.lacks_scopes:
            return _error(403, "MISSING_SCOPES", "This app hasn't been granted all required scopes to make this call.")
        match request.path:
            case "/crm/v3/objects/deals":
                return self._page(request)
            case "/crm/v3/properties/deals":
                return Response({"results": [_property(name) for name in self.properties]})
            case "/crm/v3/pipelines/deals":
                return Response({"results": [self._pipeline()]})
        return _error(404, "OBJECT_NOT_FOUND", "Unable to infer object type.")

    def _page(self, request: Request) -> Response:
        asked = request.query
        limit, after = int(asked.get("limit", 10)), int(asked.get("after", 0))
        if limit > 100:
            return _error(400, "VALIDATION_ERROR", "Invalid limit")
        shows_archived = asked.get("archived", "false") == "true"
        found = [n for n in sorted(self.deals) if n > after and (n in self.archived) == shows_archived]
        size = min(limit, self.cap)
        names = [name for name in asked.get("properties", "").split(",") if name in self.properties]
        answer: dict[str, Any] = {"results": [self._shown(n, [*ALWAYS, *names]) for n in found[:size]]}
        if len(found) > size:
            last = str(found[size - 1])
            link = self.link.format(host=request.headers["host"], after=last)
            answer["paging"] = {"next": {"after": last, **({"link": link} if link else {})}}
        left = {"X-HubSpot-RateLimit-Daily": "625000", "X-HubSpot-RateLimit-Daily-Remaining": "624000"}
        short = {
            "X-HubSpot-RateLimit-Max": "190",
            "X-HubSpot-RateLimit-Remaining": "189",
            "X-HubSpot-RateLimit-Interval-Milliseconds": "10000",
        }
        return Response(answer, 200, {**left, **short})

    def _shown(self, number: int, names: Iterable[str]) -> Deal:
        deal = self.deals[number]
        properties = {"createdate": MADE, "hs_object_id": str(number), CHANGED: deal[CHANGED], **_texts(deal)}
        return {
            "id": str(number),
            "properties": {name: properties.get(name) for name in names},
            "createdAt": MADE,
            "updatedAt": deal[CHANGED],
            "archived": number in self.archived,
        }

    def _pipeline(self) -> dict[str, Any]:
        stages = [
            {
                "id": key,
                "label": label,
                "displayOrder": place,
                "metadata": {"isClosed": str(probability in (0, 1)).lower(), "probability": str(probability)},
                "createdAt": MADE,
                "updatedAt": MADE,
                "archived": False,
                "writePermissions": "CRM_PERMISSIONS_ENFORCEMENT",
            }
            for place, (key, (label, probability)) in enumerate(self.stages.items())
        ]
        return {
            "id": "default",
            "label": "Sales Pipeline",
            "displayOrder": 0,
            "stages": stages,
            "createdAt": MADE,
            "updatedAt": MADE,
            "archived": False,
        }

    # -- what the warehouse should have of it ------------------------------------------------------

    def rows(self) -> list[tuple[Any, ...]]:
        found = []
        for number, deal in sorted(self.deals.items()):
            if number not in self.archived:
                values = {name: deal.get(name) or None for name in COLUMNS}
                closed = deal["closedate"].replace(tzinfo=None)
                found.append(tuple({**values, "hs_object_id": str(number), "closedate": closed}.values()))
        return found

    def load(self, con: duckdb.DuckDBPyConnection, landing: Landing, configured: Live) -> None:
        hubspot.load(con, landing, isinstance(configured, DealsHubSpot))

    def loaded(self, con: duckdb.DuckDBPyConnection) -> list[tuple[Any, ...]]:
        return con.execute(f"select distinct {', '.join(COLUMNS)} from raw.deals order by hs_object_id").fetchall()


CHANGED = "hs_lastmodifieddate"


def _texts(deal: Deal) -> dict[str, str | None]:
    """The properties as HubSpot writes them: text, whatever they are."""
    form = deal["form"]
    texts = {name: None if deal[name] is None else str(deal[name]) for name in COLUMNS if name in deal}
    texts["closedate"] = _moment(deal["closedate"], form)
    for name in DATES:
        if deal[name] is None:
            # Emptied by hand, or never filled.
            texts[name] = "" if form % 2 else None
        else:
            midnight = datetime.combine(deal[name], datetime.min.time(), UTC)
            texts[name] = deal[name].isoformat() if form % 4 == 0 else _moment(midnight, form)
    return texts


def _moment(at: datetime, form: int) -> str:
    if form % 2:
        return str(round(at.timestamp() * 1000))
    return f"{at:%Y-%m-%dT%H:%M:%S}{'Z' if form % 4 else '.' + format(at.microsecond // 1000, '03') + 'Z'}"


def _property(name: str) -> dict[str, Any]:
    return {
        "name": name,
        "label": name.replace("_", " ").title(),
        "type": "string",
        "fieldType": "text",
        "description": "",
        "groupName": "dealinformation",
        "options": [],
        "displayOrder": -1,
        "hasUniqueValue": False,
        "hidden": False,
        "hubspotDefined": True,
        "formField": False,
    }


def _error(status: int, category: str, message: str) -> Response:
    correlation = "aeb5f871-7f07-4993-9211-075dc63e7cbf"
    return Response({"status": "error", "message": message, "correlationId": correlation, "category": category}, status)


def limited(policy: str) -> Response:
    """Too many requests: of a day (DAILY), or of ten seconds (TEN_SECONDLY_ROLLING). No word how long to wait."""
    word = policy.lower()
    body = {"status": "error", "message": f"You have reached your {word} limit.", "errorType": "RATE_LIMIT"}
    more = {"correlationId": "c033cdaa-2c40-4a64-ae48-b4cec88dad24", "policyName": policy, "requestId": "3d3e35b7"}
    return Response({**body, **more}, 429)
