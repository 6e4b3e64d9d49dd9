"""Pages of Freshdesk that are wrong: as a whole, or record by record."""

import gzip
import json
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest
from pydantic import SecretStr

from kpi_pipeline.contracts import WAREHOUSE
from kpi_pipeline.landing import Landing
from kpi_pipeline.settings.sources import Tickets
from kpi_pipeline.sources.files import list_files
from kpi_pipeline.stages import freshdesk, support
from kpi_pipeline.stages.checks import CHECKS, evaluate
from kpi_pipeline.warehouse import Connection, Warehouse, create_tables, run

from .organisation import SECRET, key_of

FETCHED = datetime(2026, 3, 1, 6, tzinfo=UTC)
RULES = Tickets(automations=(500,), companies={"7": "reef"}, products={"9": "hub"})
STATS: dict[str, Any] = {"resolved_at": None, "pending_since": None}


def ticket(number: int = 1, **other: Any) -> dict[str, Any]:
    return {
        "id": number,
        "subject": "zz-secret words",
        "description_text": "zz-secret words",
        "status": 2,
        "spam": False,
        "requester_id": 60,
        "company_id": 7,
        "product_id": 9,
        "tags": ["one"],
        "created_at": "2026-02-02T10:00:00Z",
        "updated_at": "2026-02-02T10:00:00Z",
        "stats": STATS,
        **other,
    }


def message(number: int = 1, at: str = "2026-02-02T12:00:00Z", **other: Any) -> dict[str, Any]:
    plain = {
        "id": number,
        "incoming": False,
        "private": False,
        "user_id": 50,
        "source": 0,
        "body_text": "zz-secret words",
    }
    return {**plain, "created_at": at, "updated_at": at, **other}


@pytest.fixture
def load(tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """Lands and stages pages (place: content) so many days after the first, and returns what came of it."""

    def given(pages: dict[str, Any], rules: Tickets = RULES, days: int = 0) -> dict[str, Any]:
        for name, content in pages.items():
            path = tmp_path / "drop" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
        landing = Landing(tmp_path / "landing")
        landing.land(
            "tickets", "freshdesk_pages", list_files("tickets", tmp_path / "drop"), FETCHED + timedelta(days=days)
        )
        with Warehouse(tmp_path / "w" / "warehouse.duckdb", tmp_path / "w" / "spill").open() as con:
            freshdesk.load(con, landing, SecretStr(SECRET))
            support.stage_tickets(con, landing, rules, SecretStr(SECRET))
            return outcome(con)

    return given


def outcome(con: Connection) -> dict[str, Any]:
    everything = [run(con, f"select * from {t.name}") for t in WAREHOUSE]
    assert "zz-secret" not in str(everything)
    failing = {
        c.name for c in CHECKS if "ticket" in c.table and not evaluate(con, c, {"as_of": date(2026, 3, 1)}).passed
    }
    assert failing == set()
    times = "replied_at, reply_seconds, resolution_seconds"
    facts = f"select ticket_id, community, product, exclusion, {times} from facts.tickets"
    return {
        "quarantine": run(con, "select file, row, reason from raw.quarantine order by all"),
        "tickets": run(con, f"{facts} order by 1"),
        "priority": dict(run(con, "select ticket_id, priority from facts.tickets")),
        "excluded_from": dict(run(con, "select ticket_id, excluded_from from facts.tickets")),
        "ratings": run(con, "select rating_id, rating from facts.ticket_ratings order by 1"),
        "requesters": run(con, "select distinct person_key from raw.tickets"),
    }


REPLY = datetime(2026, 2, 2, 12)
GOOD = (1, "reef", "hub", None, REPLY, 7200, None)


def test_good_pages(load: Callable[..., dict[str, Any]]) -> None:
    found = load({"tickets/1.json": [ticket()], "conversations/1/1.json": [message()]})
    assert found["quarantine"] == []
    assert found["tickets"] == [GOOD]
    assert found["requesters"] == [(key_of("60", "freshdesk"),)]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (json.dumps([ticket(2), ticket(3)]).encode()[:-40], "not_json"),
        (b"", "empty_file"),
        (b"\xff[]", "not_utf8"),
        ({"description": "Validation failed", "errors": []}, "not_a_list"),
        (json.dumps([ticket(2)]).encode() + b"[]", "not_json"),
    ],
)
def test_a_page_that_is_wrong_is_rejected_whole(load: Callable[..., dict[str, Any]], content: Any, reason: str) -> None:
    found = load({"tickets/1.json": [ticket()], "conversations/1/1.json": [message()], "tickets/2.json": content})
    assert found["quarantine"] == [("tickets/2.json", None, reason)]
    assert found["tickets"] == [GOOD]


def test_a_torn_gzip_is_rejected_whole(load: Callable[..., dict[str, Any]]) -> None:
    torn = gzip.compress(json.dumps([ticket(n) for n in range(50)]).encode())[:-9]
    assert load({"tickets/a.json.gz": torn})["quarantine"] == [("tickets/a.json.gz", None, "truncated")]


@pytest.mark.parametrize("place", ["other/1.json", "tickets/1.csv", "conversations/abc/1.json", "1.json"])
def test_files_that_do_not_belong_there(load: Callable[..., dict[str, Any]], place: str) -> None:
    assert load({place: [ticket()]})["quarantine"] == [(place, None, "unsupported_format")]


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"created_at": 1769990400}, "wrong_type:created_at"),
        ({"created_at": "yesterday"}, "invalid:created_at"),
        ({"updated_at": None}, "missing:updated_at"),
        ({"status": "2"}, "wrong_type:status"),
        ({"status": 2.5}, "wrong_type:status"),
        ({"id": None}, "missing:id"),
        ({"requester_id": None}, "missing:requester_id"),
        ({"type": 5}, "wrong_type:type"),
        ({"tags": "one"}, "wrong_type:tags"),
        ({"tags": ["one", 2]}, "wrong_type:tags"),
        ({"spam": "false"}, "wrong_type:spam"),
        ({"updated_at": "2026-02-01T10:00:00Z"}, "updated_before_created"),
        ({"stats": {"first_responded_at": "2026-02-02T09:59:59Z"}}, "responded_before_created"),
        ({"stats": {"resolved_at": "2026-02-02T09:59:59Z"}}, "resolved_before_created"),
        ({"stats": {"closed_at": 5}}, "wrong_type:closed_at"),
        ({"created_at": "2026-03-02T10:00:00Z", "updated_at": "2026-03-02T10:00:00Z"}, "future:created_at"),
    ],
)
def test_a_record_that_is_wrong_is_rejected_alone(
    load: Callable[..., dict[str, Any]], wrong: dict[str, Any], reason: str
) -> None:
    pages = {"tickets/1.json": [ticket(9), {**ticket(2), **wrong}, ticket()], "conversations/1/1.json": [message()]}
    found = load(pages)
    assert found["quarantine"] == [("tickets/1.json", 2, reason)]
    assert [row[0] for row in found["tickets"]] == [1, 9]
    assert found["tickets"][0] == GOOD


def test_something_that_is_no_object(load: Callable[..., dict[str, Any]]) -> None:
    found = load({"tickets/1.json": [ticket(), 5]})
    assert found["quarantine"] == [("tickets/1.json", 2, "not_an_object")]


def test_the_newest_version_counts_and_copies_do_no_harm(load: Callable[..., dict[str, Any]]) -> None:
    newer = ticket(priority=4, updated_at="2026-02-03T10:00:00Z")
    found = load({"tickets/1.json": [newer, ticket(priority=1)], "tickets/2.json": [ticket(priority=1), newer]})
    assert found["quarantine"] == []
    assert found["priority"] == {1: 4}


def test_versions_that_contradict_each_other_are_rejected_and_an_older_one_counts(
    load: Callable[..., dict[str, Any]],
) -> None:
    same = {"updated_at": "2026-02-03T10:00:00Z"}
    found = load(
        {
            "tickets/1.json": [ticket(priority=1), ticket(priority=2, **same)],
            "tickets/2.json": [ticket(priority=3, **same)],
        }
    )
    assert found["quarantine"] == [
        ("tickets/1.json", 2, "contradicting_versions"),
        ("tickets/2.json", 1, "contradicting_versions"),
    ]
    assert found["priority"] == {1: 1}


def test_of_two_versions_of_one_moment_the_one_that_came_later_counts(load: Callable[..., dict[str, Any]]) -> None:
    """But what comes twice later contradicts itself again, and then the first one counts."""
    load({"tickets/1.json": [ticket(priority=1)]})
    found = load({"tickets/2.json": [ticket(priority=4)]}, days=1)
    assert (found["quarantine"], found["priority"]) == ([], {1: 4})
    found = load({"tickets/2.json": [ticket(priority=2), ticket(priority=3)]}, days=2)
    assert found["quarantine"] == [("tickets/2.json", row, "contradicting_versions") for row in (1, 2)]
    assert found["priority"] == {1: 1}


def test_a_ticket_by_itself_is_an_object(load: Callable[..., dict[str, Any]]) -> None:
    found = load({"ticket/1/a.json": ticket(), "ticket/2/a.json": [ticket(2)], "ticket/3/a.json": b'{"id":'})
    assert [row[0] for row in found["tickets"]] == [1]
    assert found["quarantine"] == [
        ("ticket/2/a.json", 1, "not_an_object"),
        ("ticket/3/a.json", None, "not_json"),
    ]


def test_a_dropped_file_can_not_say_that_a_ticket_is_gone(load: Callable[..., dict[str, Any]]) -> None:
    found = load({"tickets/1.json": [ticket()], "gone/1.json": []})
    assert found["quarantine"] == [("gone/1.json", None, "unsupported_format")]
    assert [row[3] for row in found["tickets"]] == [None]


@pytest.mark.parametrize(
    ("later", "exclusion", "day"),
    [
        ([{"spam": True}], "spam", date(2026, 2, 20)),
        ([{"deleted": True}], "deleted", date(2026, 2, 20)),
        ([{"tags": ["merged"]}], "merged", date(2026, 2, 20)),
        ([{"deleted": True}, {"deleted": True}], "deleted", date(2026, 2, 20)),
        ([{"deleted": True}, {}, {"spam": True}], "spam", date(2026, 2, 22)),
        ([{"spam": True}, {"deleted": True}], "deleted", date(2026, 2, 20)),
        ([{"deleted": True}, {}], None, None),
    ],
)
def test_a_ticket_that_is_taken_out_counts_until_then(
    load: Callable[..., dict[str, Any]], later: list[dict[str, Any]], exclusion: str | None, day: date | None
) -> None:
    versions = [ticket(updated_at=f"2026-02-{20 + n}T10:00:00Z", **other) for n, other in enumerate(later)]
    found = load({"tickets/1.json": [ticket()], "tickets/2.json": versions})
    assert [row[3] for row in found["tickets"]] == [exclusion]
    assert found["excluded_from"] == {1: day}


def test_a_ticket_that_was_out_when_it_was_first_seen_never_counts(load: Callable[..., dict[str, Any]]) -> None:
    """Two pages of one drop: whether a note of a merge came before or after the ticket was seen, nobody reported it."""
    note = message(private=True, body_text="merged into ticket 12")
    found = load({"tickets/1.json": [ticket(), ticket(2, spam=True)], "conversations/1/1.json": [note]})
    assert [row[3] for row in found["tickets"]] == ["merged", "spam"]
    assert found["excluded_from"] == {1: None, 2: None}


def test_messages_before_their_ticket_or_without_one(load: Callable[..., dict[str, Any]]) -> None:
    early = message(7, "2026-02-02T09:00:00Z")
    found = load(
        {
            "tickets/1.json": [ticket()],
            "conversations/1/1.json": [early, message()],
            "conversations/2/1.json": [message(8)],
        }
    )
    assert found["quarantine"] == [
        ("conversations/1/1.json", 1, "before_its_ticket"),
        ("conversations/2/1.json", 1, "unknown_ticket"),
    ]
    assert found["tickets"] == [GOOD]


@pytest.mark.parametrize(
    "other", [{"private": True}, {"incoming": True}, {"user_id": 500}, {"user_id": None}, {"source": 6}, {"source": 8}]
)
def test_what_is_no_public_human_reply(load: Callable[..., dict[str, Any]], other: dict[str, Any]) -> None:
    found = load(
        {
            "tickets/1.json": [ticket()],
            "conversations/1/1.json": [message(2, "2026-02-02T11:00:00Z", **other), message()],
        }
    )
    assert found["tickets"] == [GOOD]


def test_without_a_page_of_the_conversation_the_stamp_counts_and_with_an_empty_one_it_does_not(
    load: Callable[..., dict[str, Any]],
) -> None:
    stats = {"first_responded_at": "2026-02-02T12:00:00Z"}
    found = load({"tickets/1.json": [ticket(stats=stats), ticket(2, stats=stats)], "conversations/2/1.json": []})
    assert [row[4] for row in found["tickets"]] == [REPLY, None]


@pytest.mark.parametrize(
    ("other", "note", "exclusion"),
    [
        ({"spam": True}, {}, "spam"),
        ({"deleted": True}, {}, "deleted"),
        ({"tags": ["Merged"]}, {}, "merged"),
        ({}, {"private": True, "body_text": "This ticket is closed and merged into ticket 12"}, "merged"),
        ({}, {"body_text": "merged into ticket"}, None),
    ],
)
def test_tickets_that_do_not_count(
    load: Callable[..., dict[str, Any]], other: dict[str, Any], note: dict[str, Any], exclusion: str | None
) -> None:
    found = load({"tickets/1.json": [ticket(**other)], "conversations/1/1.json": [message(**note)]})
    assert [row[3] for row in found["tickets"]] == [exclusion]


def test_waiting_is_subtracted_where_a_version_records_it_and_a_reopening_extends(
    load: Callable[..., dict[str, Any]],
) -> None:
    """Created 10:00, pending from 13:00 to the answer at 15:00, resolved 16:00, reopened 17:00, resolved 19:00."""
    pending = ticket(status=3, updated_at="2026-02-02T13:00:00Z", stats={"pending_since": "2026-02-02T13:00:00Z"})
    stats = {"resolved_at": "2026-02-02T19:00:00Z", "reopened_at": "2026-02-02T17:00:00Z"}
    done = ticket(status=4, updated_at="2026-02-02T19:00:00Z", stats=stats)
    talk = [message(), message(2, "2026-02-02T15:00:00Z", incoming=True)]
    found = load({"tickets/1.json": [pending, done], "conversations/1/1.json": talk})
    assert found["tickets"] == [(1, "reef", "hub", None, REPLY, 7200, 7 * 3600)]


@pytest.mark.parametrize(
    ("ratings", "expected", "reason"),
    [
        ({"default_question": 103}, [(4, 103)], None),
        ([{"default_question": -103}], [(4, -103)], None),
        ([{"question": "other", "rating": 1}, {"question": "default_question", "rating": 100}], [(4, 100)], None),
        ({"default_question": "103"}, [], "wrong_type:rating"),
        ({"default_question": 5}, [], "invalid:rating"),
        ([], [], "missing:rating"),
        ("good", [], "missing:rating"),
    ],
)
def test_ratings_in_each_shape(
    load: Callable[..., dict[str, Any]], ratings: Any, expected: list[Any], reason: str | None
) -> None:
    rating = {"id": 4, "ticket_id": 1, "user_id": 60, "created_at": "2026-02-03T10:00:00Z", "ratings": ratings}
    found = load({"tickets/1.json": [ticket()], "satisfaction_ratings/1.json": [{**rating, "feedback": "zz-secret"}]})
    assert found["ratings"] == expected
    assert found["quarantine"] == ([("satisfaction_ratings/1.json", 1, reason)] if reason else [])


def test_a_page_that_is_mended_replaces_itself(load: Callable[..., dict[str, Any]]) -> None:
    load({"tickets/1.json": {"errors": []}})
    found = load({"tickets/1.json": [ticket()], "conversations/1/1.json": [message()]})
    assert found["quarantine"] == []
    assert found["tickets"] == [GOOD]


def test_nothing_landed_is_no_fault(tmp_path: Path) -> None:
    with duckdb.connect() as con:
        create_tables(con, WAREHOUSE)
        support.stage_tickets(con, Landing(tmp_path), RULES, None)
        assert run(con, "select * from facts.tickets") == []
