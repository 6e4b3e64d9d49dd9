"""Freshdesk's API v2 as far as it is asked for: a help desk with some tickets. Held to a schema in test_freshdesk."""

from base64 import b64encode
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import duckdb

from kpi_pipeline.landing import Landing
from kpi_pipeline.settings.base import Live
from kpi_pipeline.settings.sources import TicketsFreshdesk
from kpi_pipeline.stages import freshdesk, support
from kpi_pipeline_tests.live.fetched import SECRET, TOKEN, utc
from kpi_pipeline_tests.live.server import Request, Response

SINCE = date(2026, 1, 1)
FIRST = utc(2026, 3, 2, 8)
AGENT, ROBOT, CUSTOMER = 50, 500, 60
STATS = (
    *("agent_responded_at", "requester_responded_at", "first_responded_at", "status_updated_at", "reopened_at"),
    *("resolved_at", "closed_at", "pending_since"),
)
LOGIN = "Basic " + b64encode(f"{TOKEN}:X".encode()).decode()
MERGED = "This ticket is closed and merged into ticket 1"
NOT_ALLOWED = {"code": "access_denied", "message": "You are not authorized to perform this action."}
Record = dict[str, Any]


class FakeFreshdesk:
    """Tickets 1 to 9, the first three of which changed at one moment; 10 is spam, and 11 in the trash.

    Args:
        cap: how many records a page has at most; Freshdesk's own limit is 100.
    """

    source = "tickets"
    night = utc(2026, 3, 10, 2, 30)

    def __init__(self, cap: int = 4) -> None:
        self.cap = cap
        self.tickets: dict[int, Record] = {}
        self.messages: dict[int, list[Record]] = {}
        self.ratings: list[Record] = []
        self.archived: set[int] = set()
        # What the plan has, and what the agent may.
        self.has_ratings = self.has_archive = True
        self.unreadable: set[int] = set()
        self.scope = 1
        self.latest = FIRST
        for number in range(1, 12):
            self.add(number)
        for number in (1, 2, 3):
            self.change(number, FIRST + timedelta(hours=20))
        self.say(4, hours=2, count=6)
        self.say(5)
        self.rate(5, 103)
        self.rate(6, -101)
        self.rate(7, 100)
        self.rate(8, 102)
        self.rate(9, 103)
        self.change(10, spam=True)
        self.change(11, deleted=True)

    def settings(self, url: str) -> TicketsFreshdesk:
        return TicketsFreshdesk.model_validate(
            {"kind": "freshdesk", "url": url, "key_env": "KEY", "since": SINCE, "automations": [ROBOT]}
        )

    # -- what happens on the help desk -------------------------------------------------------------

    def add(self, number: int, at: datetime | None = None, **other: Any) -> None:
        """A ticket comes in, an hour after the one before."""
        self.latest = at or self.latest + timedelta(hours=1)
        self.tickets[number] = {
            "created_at": self.latest,
            "updated_at": self.latest,
            "status": 2,
            "priority": 1 + number % 4,
            "spam": False,
            "deleted": False,
            "company_id": None,
            "product_id": None,
            "tags": [],
            "stats": dict.fromkeys(STATS),
            **other,
        }
        self.messages[number] = []

    def change(self, number: int, at: datetime | None = None, **what: Any) -> None:
        self.latest = at or self.latest + timedelta(minutes=1)
        stats = {**self.tickets[number]["stats"], **what.pop("stats", {})}
        self.tickets[number] |= {"updated_at": self.latest, "stats": stats, **what}

    def say(self, number: int, hours: float = 1, count: int = 1, **what: Any) -> None:
        """Messages on a ticket, so long after it was created."""
        for _ in range(count):
            found = self.messages[number]
            at = self.tickets[number]["created_at"] + timedelta(hours=hours, minutes=len(found))
            plain = {"incoming": False, "private": False, "source": 0, "user_id": AGENT, "body_text": "zz-words"}
            found.append({"id": number * 1000 + len(found), **plain, **what, "at": at})

    def rate(self, number: int, rating: int, at: datetime | None = None) -> None:
        given = at or self.tickets[number]["created_at"] + timedelta(hours=30)
        self.ratings.append({"id": 900 + len(self.ratings), "ticket_id": number, "rating": rating, "at": given})

    def delete_for_good(self, number: int) -> None:
        del self.tickets[number]
        self.ratings = [rating for rating in self.ratings if rating["ticket_id"] != number]

    def update_a_row(self) -> None:
        """An answer that resolves a ticket."""
        self.say(6, hours=2)
        self.change(6, status=4)

    def delete_a_row(self) -> None:
        self.delete_for_good(7)

    # -- what it answers ---------------------------------------------------------------------------

    def is_page(self, request: Request) -> bool:
        return request.path.endswith(("/tickets", "/conversations", "/satisfaction_ratings"))

    def app(self, request: Request) -> Response:
        if request.headers.get("authorization") != LOGIN:
            return Response(
                {"code": "invalid_credentials", "message": "You have to be logged in to perform this action."}, 401
            )
        match request.path.removeprefix("/api/v2/").split("/"):
            case ["tickets"]:
                return self._list(request)
            case ["tickets", "archived", number]:
                return self._archived(int(number))
            case ["tickets", number]:
                return self._ticket(int(number), request)
            case ["tickets", number, "conversations"]:
                return self._conversation(int(number), request)
            case ["surveys", "satisfaction_ratings"]:
                return self._ratings(request)
            case ["agents", "me"]:
                return Response({"id": AGENT, "ticket_scope": self.scope, "available": False, "occasional": False})
        return Response(b"", 404)

    def _list(self, request: Request) -> Response:
        asked = request.query
        chosen, since = asked.get("filter"), asked.get("updated_since")
        found = [
            number
            for number, ticket in self.tickets.items()
            if number not in self.archived
            and (ticket["deleted"] if chosen == "deleted" else not ticket["deleted"])
            and (chosen == "deleted" or ticket["spam"] == (chosen == "spam"))
            and (
                ticket["updated_at"] >= datetime.fromisoformat(since)
                if since
                else ticket["created_at"] > self.night - timedelta(days=30)
            )
        ]
        key = asked.get("order_by", "created_at")
        # Nothing says how those of one moment are ordered; here the newer ones come first.
        found.sort(key=lambda number: -number)
        found.sort(key=lambda number: self.tickets[number][key], reverse=asked.get("order_type", "desc") == "desc")
        return self._page(request, [self._shown(number, asked.get("include", "")) for number in found])

    def _page(self, request: Request, records: list[Record]) -> Response:
        page, size = int(request.query.get("page", 1)), int(request.query.get("per_page", 30))
        wrong = []
        if page > 300:
            message = "You cannot access tickets beyond the 300th page. Please provide a smaller page number."
            wrong.append({"field": "page", "message": message, "code": "invalid_value"})
        if not 0 < size <= 100:
            message = "It should be a Positive Integer less than or equal to 100"
            wrong.append({"field": "per_page", "message": message, "code": "invalid_value"})
        if wrong:
            return Response({"description": "Validation failed", "errors": wrong}, 400)
        size = min(size, self.cap)
        headers = {"X-RateLimit-Total": "50.0", "X-RateLimit-Remaining": "49.0", "X-RateLimit-Used-CurrentRequest": "1"}
        if page * size < len(records):
            query = urlencode({**request.query, "page": page + 1})
            url = f"http://{request.headers['host']}{request.path}?{query}"
            headers["Link"] = f'<{url}>; rel="next"'
        return Response(records[(page - 1) * size : page * size], 200, headers)

    def _shown(self, number: int, include: str) -> Record:
        ticket = self.tickets[number]
        stats = {name: at and _text(at) for name, at in ticket["stats"].items()}
        return {
            "cc_emails": [],
            "fwd_emails": [],
            "reply_cc_emails": [],
            "ticket_cc_emails": [],
            "fr_escalated": False,
            "spam": ticket["spam"],
            "email_config_id": None,
            "group_id": None,
            "priority": ticket["priority"],
            "requester_id": CUSTOMER,
            "responder_id": AGENT,
            "source": 2,
            "company_id": ticket["company_id"],
            "status": ticket["status"],
            "subject": "zz-words",
            "association_type": None,
            "to_emails": None,
            "product_id": ticket["product_id"],
            "id": number,
            "type": None,
            "due_by": _text(ticket["created_at"] + timedelta(days=3)),
            "fr_due_by": _text(ticket["created_at"] + timedelta(days=1)),
            "is_escalated": False,
            "custom_fields": {},
            "created_at": _text(ticket["created_at"]),
            "updated_at": _text(ticket["updated_at"]),
            "associated_tickets_count": None,
            "tags": ticket["tags"],
            **({"deleted": True} if ticket["deleted"] else {}),
            **({"stats": stats} if "stats" in include.split(",") else {}),
        }

    def _ticket(self, number: int, request: Request) -> Response:
        if number in self.unreadable:
            return Response(NOT_ALLOWED, 403)
        if number not in self.tickets or number in self.archived:
            return Response(b"", 404)
        return Response(self._shown(number, request.query.get("include", "")))

    def _archived(self, number: int) -> Response:
        if not self.has_archive:
            return Response(_lacks("Archive Tickets"), 403)
        if number not in self.archived:
            return Response(b"", 404)
        return Response({**self._shown(number, "stats"), "archived": True})

    def _conversation(self, number: int, request: Request) -> Response:
        if number in self.unreadable:
            return Response(NOT_ALLOWED, 403)
        ticket = self.tickets.get(number)
        if ticket is None or number in self.archived or ticket["spam"] or ticket["deleted"]:
            return Response(b"", 404)
        return self._page(request, [_message(number, message) for message in self.messages[number]])

    def _ratings(self, request: Request) -> Response:
        if not self.has_ratings:
            return Response(_lacks("Surveys"), 403)
        since = datetime.fromisoformat(request.query["created_since"])
        return self._page(request, [_rating(rating) for rating in self.ratings if rating["at"] >= since])

    # -- what the warehouse should have of it ------------------------------------------------------

    def counted(self) -> Iterable[int]:
        return (n for n, ticket in self.tickets.items() if not ticket["spam"] and not ticket["deleted"])

    def rows(self) -> list[tuple[Any, ...]]:
        tickets = [
            ("ticket", n, t["status"], t["priority"], "spam" if t["spam"] else "deleted" if t["deleted"] else None)
            for n, t in self.tickets.items()
        ]
        messages = [("message", m["id"], n, m["incoming"], None) for n in self.counted() for m in self.messages[n]]
        counted = set(self.counted())
        ratings = [
            ("rating", r["id"], r["ticket_id"], r["rating"], None) for r in self.ratings if r["ticket_id"] in counted
        ]
        return sorted([*tickets, *messages, *ratings], key=str)

    def load(self, con: duckdb.DuckDBPyConnection, landing: Landing, configured: Live) -> None:
        assert isinstance(configured, TicketsFreshdesk)
        freshdesk.load(con, landing, SECRET)
        support.stage_tickets(con, landing, configured, SECRET)

    def loaded(self, con: duckdb.DuckDBPyConnection) -> list[tuple[Any, ...]]:
        found = con.execute(
            """select 'ticket', ticket_id, status, priority, exclusion from staged.tickets
            where ticket_id not in (select ticket_id from raw.tickets_gone)
            union all select 'rating', rating_id, ticket_id, rating, null from facts.ticket_ratings"""
        ).fetchall()
        messages = con.execute(
            """select 'message', message_id, m.ticket_id, is_incoming, null from staged.ticket_messages as m
            inner join staged.tickets as t on m.ticket_id = t.ticket_id and t.exclusion is null"""
        ).fetchall()
        return sorted([*found, *messages], key=str)


def _message(ticket: int, message: Record) -> Record:
    at = _text(message["at"])
    return {
        "body": f"<div>{message['body_text']}</div>",
        "body_text": message["body_text"],
        "id": message["id"],
        "incoming": message["incoming"],
        "private": message["private"],
        "user_id": message["user_id"],
        "support_email": None,
        "source": message["source"],
        "category": 1,
        "to_emails": [],
        "from_email": None,
        "cc_emails": [],
        "bcc_emails": [],
        "created_at": at,
        "updated_at": at,
        "attachments": [],
        "ticket_id": ticket,
        "source_additional_info": None,
    }


def _rating(rating: Record) -> Record:
    """An object in some answers, and a list in others."""
    answers: Any = {"default_question": rating["rating"]}
    if rating["id"] % 2:
        answers = [answers]
    return {
        "id": rating["id"],
        "survey_id": 1,
        "user_id": CUSTOMER,
        "agent_id": AGENT,
        "feedback": "zz-words",
        "group_id": None,
        "ticket_id": rating["ticket_id"],
        "created_at": _text(rating["at"]),
        "updated_at": _text(rating["at"]),
        "ratings": answers,
    }


def _lacks(feature: str) -> Record:
    message = f"The {feature} feature(s) is/are not supported in your plan. Please upgrade your account to use it."
    return {"code": "require_feature", "message": message}


def _text(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
