"""Turnaround of tickets against a walk through their story, minute by minute: waiting, business hours, reopening."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import duckdb
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from kpi_pipeline.contracts import WAREHOUSE
from kpi_pipeline.landing import Landing
from kpi_pipeline.settings import BusinessHours
from kpi_pipeline.settings.sources import Tickets
from kpi_pipeline.stages.calendar import fill_calendar
from kpi_pipeline.stages.checks import CHECKS, evaluate
from kpi_pipeline.stages.support import stage_tickets
from kpi_pipeline.warehouse import Connection, create_tables

UTC = ZoneInfo("UTC")
MINUTE = timedelta(minutes=1)
OPEN, PENDING, RESOLVED, CLOSED = 2, 3, 4, 5
RULES = Tickets()
# Rows go straight into raw here.
NOTHING_LANDED = Landing(Path("nowhere"))
AGENT = "00000000-0000-0000-0000-000000000001"
# Written down from the law, not from a library: Germany's in 2026, and the one after.
FREE = {
    *(date(2026, month, day) for month, day in ((1, 1), (4, 3), (4, 6), (5, 1), (5, 14), (5, 25), (10, 3))),
    *(date(2026, 12, 25), date(2026, 12, 26), date(2027, 1, 1)),
}
# Easter, Christmas, and the nights on which Berlin and New York change their clocks (the hours of a Sunday night too).
BEGINNINGS = (
    *(datetime(2026, 1, 30), datetime(2026, 3, 6, 20), datetime(2026, 3, 27, 12), datetime(2026, 4, 2, 9)),
    *(datetime(2026, 10, 24), datetime(2026, 10, 31), datetime(2026, 12, 23, 15)),
)
HOURS = st.sampled_from(
    [
        ((1, 2, 3, 4, 5), time(9), time(17)),
        ((1, 3, 7), time(0), time(6)),
        ((6, 7), time(0, 30), time(23, 59)),
        ((1, 2, 3, 4, 5, 6, 7), time(8, 30), time(16, 45)),
    ]
)
PLACES = st.sampled_from([("Europe/Berlin", "DE"), ("America/New_York", None), ("UTC", "DE"), ("Asia/Kolkata", None)])
STEPS = st.tuples(
    st.one_of(st.integers(1, 90), st.integers(1, 4000)),
    st.sampled_from(["reply", "customer", "pend", "resolve", "close", "reopen"]),
)
# When it is created, what happens after how many minutes, and whether a reopened ticket keeps its old stamps.
STORIES = st.tuples(
    st.sampled_from(BEGINNINGS), st.integers(0, 3000), st.lists(STEPS, min_size=1, max_size=8), st.booleans()
)
Story = tuple[datetime, int, list[tuple[int, str]], bool]


@pytest.fixture(scope="module")
def con() -> Iterator[Connection]:
    with duckdb.connect() as connection:
        connection.execute("set timezone = 'UTC'")
        create_tables(connection, WAREHOUSE)
        yield connection


@dataclass(frozen=True)
class Told:
    """What Freshdesk says of a ticket: versions and messages. And what is so: events, and the minutes of waiting."""

    created: datetime
    versions: list[dict[str, Any]]
    messages: list[tuple[datetime, bool]]
    replied: datetime | None
    resolved: datetime | None
    waiting: set[datetime]


def tell(story: Story) -> Told:
    base, later, steps, keeps_stamps = story
    created = now = base + later * MINUTE
    status = OPEN
    stamps: dict[str, Any] = {}
    versions: list[dict[str, Any]] = [{"updated_at": created, "status": status}]
    messages: list[tuple[datetime, bool]] = []
    replied: datetime | None = None
    resolved: datetime | None = None
    waiting: set[datetime] = set()
    for gap, what in steps:
        before, was = now, status
        now += gap * MINUTE
        if was == PENDING:
            waiting |= {before + n * MINUTE for n in range(gap)}
        is_done = was in (RESOLVED, CLOSED)
        match what:
            case "reply" | "customer":
                messages.append((now, what == "customer"))
                if what == "reply":
                    replied = replied or now
                elif is_done:
                    what = "reopen"
                else:
                    status = OPEN
            case "pend" if was == OPEN:
                status = PENDING
                stamps["pending_since"] = now
            case "resolve" if not is_done:
                status = RESOLVED
                stamps["resolved_at"] = resolved = now
            case "close" if was != CLOSED:
                status = CLOSED
                stamps["closed_at"] = now
                resolved = resolved or now
        if what == "reopen" and is_done:
            status, resolved = OPEN, None
            stamps = {k: v for k, v in stamps.items() if keeps_stamps or k not in ("resolved_at", "closed_at")}
            stamps["reopened_at"] = now
        if status != was:
            stamps["status_updated_at"] = now
        versions.append({"updated_at": now, "status": status, **stamps})
    return Told(created, versions, messages, replied, resolved, waiting)


def land(con: Connection, tickets: list[Told], missed: list[int]) -> None:
    """Every version, but those of the numbers missed: nobody fetched them."""
    for name in ("raw.tickets", "raw.ticket_messages", "raw.loads"):
        con.execute(f"truncate {name}")
    stamps = ("updated_at", "pending_since", "resolved_at", "closed_at", "reopened_at", "status_updated_at")
    given_stamps = ", ".join(f"?::timestamp as {stamp}" for stamp in stamps)
    for number, told in enumerate(tickets, 1):
        last = len(told.versions) - 1
        fetched = [v for n, v in enumerate(told.versions) if n == last or n not in missed]
        con.executemany(
            f"insert into raw.tickets by name select {given_stamps}, ?::bigint as status, ? as id, "
            "?::timestamp as created_at, uuid() as person_key, 't.json' as _file, ? as _row",
            [(*map(v.get, stamps), v["status"], number, told.created, row) for row, v in enumerate(fetched)],
        )
        con.execute("insert into raw.loads values ('tickets', ?, 'x', 'k', 1)", [f"conversations/{number}/1.json"])
        if told.messages:
            con.executemany(
                "insert into raw.ticket_messages by name select ? as id, ? as ticket_id, ?::timestamp as created_at, "
                "? as incoming, false as private, ?::uuid as person_key, false as is_merge_note, 'm.json' as _file, "
                "? as _row",
                [
                    (1000 * number + row, number, at, incoming, AGENT, row)
                    for row, (at, incoming) in enumerate(told.messages)
                ],
            )


def measure(told: Told, event: datetime | None, is_working: Any) -> tuple[int | None, int | None]:
    """Seconds that count, of all and of those in business hours: each minute by itself."""
    if event is None:
        return None, None
    minutes = [told.created + n * MINUTE for n in range(int((event - told.created) / MINUTE))]
    counted = [minute for minute in minutes if minute not in told.waiting]
    return 60 * len(counted), 60 * sum(map(is_working, counted))


@settings(deadline=None, max_examples=50)
@given(st.lists(STORIES, min_size=1, max_size=4), HOURS, PLACES)
# Reopened, and then closed without being resolved again: the old resolution didn't last.
@example(
    [(BEGINNINGS[0], 600, [(60, "resolve"), (2000, "customer"), (60, "close")], True)],
    ((1, 2, 3, 4, 5), time(9), time(17)),
    ("Europe/Berlin", "DE"),
)
def test_turnaround_is_what_counting_minutes_gives(
    con: Connection, stories: list[Story], hours: tuple[tuple[int, ...], time, time], place: tuple[str, str | None]
) -> None:
    weekdays, opens, closes = hours
    zone, country = ZoneInfo(place[0]), place[1]

    def is_working(minute: datetime) -> bool:
        local = minute.replace(tzinfo=UTC).astimezone(zone)
        is_free = country is not None and local.date() in FREE
        return local.isoweekday() in weekdays and not is_free and opens <= local.time() < closes

    rules = BusinessHours(weekdays=weekdays, opens=opens, closes=closes, holidays=country)
    fill_calendar(con, date(2026, 1, 1), date(2027, 2, 28), rules, zone, 1)
    tickets = [tell(story) for story in stories]
    land(con, tickets, [])
    stage_tickets(con, NOTHING_LANDED, RULES, None)
    found = con.execute(
        "select replied_at, resolved_at, reply_seconds, reply_business_seconds, resolution_seconds, "
        "resolution_business_seconds from facts.tickets order by ticket_id"
    ).fetchall()
    assert found == [
        (t.replied, t.resolved, *measure(t, t.replied, is_working), *measure(t, t.resolved, is_working))
        for t in tickets
    ]
    ours = [check for check in CHECKS if "ticket" in check.table]
    assert [check.name for check in ours if not evaluate(con, check, {}).passed] == []


@settings(deadline=None, max_examples=50)
@given(st.lists(STORIES, min_size=1, max_size=4), st.lists(st.integers(0, 8)))
def test_elapsed_is_waiting_and_what_counts(con: Connection, stories: list[Story], missed: list[int]) -> None:
    """Whichever versions were never fetched: the known spells and what is counted make up the time that passed."""
    land(con, [tell(story) for story in stories], missed)
    stage_tickets(con, NOTHING_LANDED, RULES, None)
    rows = con.execute(
        """select e.ticket_id, epoch(e.at)::bigint - epoch(e.created_at)::bigint as elapsed, e.counted, coalesce(sum(
            epoch(least(coalesce(w.to_at, e.at), e.at))::bigint - epoch(w.from_at)::bigint), 0)::bigint as waiting
        from (
            select ticket_id, created_at, replied_at as at, reply_seconds as counted from facts.tickets
            union all
            select ticket_id, created_at, resolved_at, resolution_seconds from facts.tickets
        ) e
        left join facts.ticket_waits w on e.ticket_id = w.ticket_id and w.from_at < e.at
        where e.at is not null
        group by all"""
    ).fetchall()
    assert [row for row in rows if row[1] != row[2] + row[3]] == []
