"""Support: tickets and their conversations as Freshdesk's pages, and how long people waited, by brute force.

Never here: the pipeline's way of working it out. Times fall on slots of five minutes, and are counted slot by slot.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from fractions import Fraction
from pathlib import Path
from random import Random
from typing import Any, Final

from kpi_pipeline.sample.dice import dice, pick, weighted, whole
from kpi_pipeline.sample.period import Period, windows
from kpi_pipeline.sample.scores import Case, Scoped, Seen, cohort_rows, duration, rows, write_roles
from kpi_pipeline.sample.simulate import World
from kpi_pipeline.sample.write import csv_line, write_file

SLOT: Final = timedelta(minutes=5)
PER_HOUR: Final = 12
ROBOT: Final = 5000
AGENTS: Final = (5001, 5002, 5003)
FIRST_COMPANY: Final = 7001
PRODUCTS: Final = {9001: "hubs", 9002: "courses"}
COMPANIES: Final = 6
TAGGED: Final = "tagged-community"
OPEN, PENDING, RESOLVED, CLOSED = 2, 3, 4, 5
RATINGS: Final = (103, 102, 101, 100, -101, -102, -103)
Row = tuple[object, ...]


@dataclass
class Ticket:
    """What happened: (moment, what), in the order of time."""

    number: int
    created: datetime
    requester: int
    company: int | None
    product: int | None
    tags: list[str]
    events: list[tuple[datetime, str]] = field(default_factory=list)
    spam: bool = False
    deleted: bool = False
    merged: bool = False

    def when(self, *kinds: str) -> list[datetime]:
        return [moment for moment, kind in self.events if kind in kinds]


def write_support(folder: Path, truth: Path, world: World) -> None:
    """The files of `tickets`, and truth/ticket_turnaround.csv, truth/ticket_faults.csv."""
    communities = _communities(world)
    tickets = [_ticket(world, number, communities) for number in range(1, _count(world.period) + 1)]
    end = datetime.combine(world.period.last, time(), UTC) + timedelta(days=1)
    tickets = [t for t in tickets if t.created < end]
    versions = {t.number: list(_versions(t, end)) for t in tickets}
    _write_tickets(folder / "tickets", versions, world, end)
    _write_conversations(folder / "conversations", tickets, world)
    _write_ratings(folder / "satisfaction_ratings", tickets, world)
    found = _truth(tickets, versions, world, communities)
    header = ("grain", "member", "period_start", "period_end", "value", "n")
    lines = (csv_line("" if cell is None else str(cell) for cell in row) for row in (header, *found))
    write_file(truth / "ticket_turnaround.csv", b"".join(lines))
    write_roles(truth / "roles" / "support.csv", _role_truth(tickets, versions, world))
    faults = (("reason", "rows"), *FAULTS.items())
    write_file(truth / "ticket_faults.csv", b"".join(csv_line(str(cell) for cell in row) for row in faults))


def companies(world: World) -> dict[int, str]:
    """Company ids and the communities that they are: for kpi.toml."""
    return {FIRST_COMPANY + n: name for n, name in enumerate(_communities(world)[:COMPANIES])}


def tagged(world: World) -> str:
    """The community that tickets name by a tag."""
    return _communities(world)[-1]


def _communities(world: World) -> list[str]:
    found = {name for hub in world.hubs if hub.kind == "production" for v in hub.versions for name in v.communities}
    return sorted(found) or ["nobody"]


def _count(period: Period) -> int:
    return max(8, period.days * 2 // 5)


# -- what happens ----------------------------------------------------------------------------------


def _ticket(world: World, number: int, communities: list[str]) -> Ticket:
    rng = dice(world.seed, "ticket", number)
    day = world.period.date_of(whole(rng, 0, world.period.days - 1))
    created = datetime.combine(day, time(), UTC) + SLOT * whole(rng, 0, 287)
    kind = weighted(rng, (60, 20, 20))
    company = FIRST_COMPANY + whole(rng, 0, min(COMPANIES, len(communities)) - 1) if kind == 0 else None
    product = pick(rng, (9001, 9001, 9002, None))
    tags = [TAGGED.title()] if kind == 1 else ["how-to"]
    ticket = Ticket(number, created, 6000 + whole(rng, 0, 60), company, product, tags)
    fate = rng.random()
    ticket.spam, ticket.deleted = fate < 0.04, 0.04 <= fate < 0.07
    end = datetime.combine(world.period.last, time(), UTC) + timedelta(days=1)
    ticket.events = [event for event in _life(rng, ticket, merged=0.07 <= fate < 0.11) if event[0] < end]
    ticket.merged = "merge" in {kind for _, kind in ticket.events}
    return ticket


def _life(rng: Random, ticket: Ticket, *, merged: bool) -> Iterator[tuple[datetime, str]]:
    now = ticket.created

    def later(slots: int) -> datetime:
        nonlocal now
        now += SLOT * whole(rng, 1, slots)
        return now

    if rng.random() < 0.3:
        yield later(1), "robot"
    if merged:
        yield later(60), "merge"
        return
    if rng.random() < 0.3:
        yield later(60), "note"
    if rng.random() < 0.05:
        return
    yield later(pick(rng, (24, 120, 400, 900))), "reply"
    for _ in range(weighted(rng, (50, 35, 15))):
        waits = rng.random() < 0.6
        if waits:
            yield now + SLOT, "pending"
            now += SLOT
        yield later(700), "answer"
        yield later(200), "reply"
    if rng.random() < 0.05:
        yield now + SLOT, "pending"
        now += SLOT
    if rng.random() < 0.1:
        return
    yield later(300), "resolved"
    if rng.random() < 0.2:
        yield later(900), "reopened"
        yield later(200), "reply"
        yield later(300), "resolved"
    if rng.random() < 0.5:
        yield later(600), "closed"


# -- what Freshdesk says ---------------------------------------------------------------------------


def _versions(ticket: Ticket, end: datetime) -> Iterator[dict[str, Any]]:
    """The ticket as it stands at the end of every day on which something happened: what a nightly fetch sees."""
    days = sorted({ticket.created.date(), *(moment.date() for moment, _ in ticket.events)})
    for day in days:
        seen = [(moment, kind) for moment, kind in ticket.events if moment.date() <= day]
        yield _version(ticket, seen)


def _version(ticket: Ticket, seen: list[tuple[datetime, str]]) -> dict[str, Any]:
    def last(*kinds: str) -> str | None:
        found = [moment for moment, kind in seen if kind in kinds]
        return _text(found[-1]) if found else None

    changes = {
        "pending": PENDING,
        "answer": OPEN,
        "reopened": OPEN,
        "resolved": RESOLVED,
        "closed": CLOSED,
        "merge": CLOSED,
    }
    statuses = [changes[kind] for _, kind in seen if kind in changes]
    first = [moment for moment, kind in seen if kind == "reply"]
    return {
        "id": ticket.number,
        "subject": "A question",
        "status": statuses[-1] if statuses else OPEN,
        "priority": 1 + ticket.number % 4,
        "source": 1 + ticket.number % 2,
        "spam": ticket.spam,
        **({"deleted": True} if ticket.deleted else {}),
        "requester_id": ticket.requester,
        "company_id": ticket.company,
        "product_id": ticket.product,
        "type": "Question",
        "tags": ticket.tags,
        "custom_fields": {},
        "created_at": _text(ticket.created),
        "updated_at": _text(seen[-1][0] if seen else ticket.created),
        "stats": {
            "agent_responded_at": last("reply"),
            "requester_responded_at": last("answer", "reopened"),
            "first_responded_at": _text(first[0]) if first else None,
            "status_updated_at": last(*changes) or _text(ticket.created),
            "reopened_at": last("reopened"),
            "resolved_at": last("resolved"),
            "closed_at": last("closed", "merge"),
            "pending_since": last("pending"),
        },
    }


def _text(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"


def _page(path: Path, records: Iterable[object]) -> None:
    text = ",\n".join(json.dumps(record, separators=(",", ":")) for record in records)
    write_file(path, f"[{text}]\n".encode())


FAULTS: Final = {
    "wrong_type:created_at": 1,
    "resolved_before_created": 1,
    "contradicting_versions": 2,
    "before_its_ticket": 1,
    "invalid:rating": 1,
}


def _faulty(world: World, end: datetime) -> list[dict[str, Any]]:
    """Tickets that can't be used: a number where text belongs, time running backwards, two truths at one moment."""
    day = end - timedelta(days=2)
    number = _count(world.period)
    plain = Ticket(0, day, 6000, None, None, [])
    version = _version(plain, [])
    backwards = {**version, "id": number + 2, "status": RESOLVED}
    backwards["stats"] = {**version["stats"], "resolved_at": _text(day - timedelta(hours=1))}
    return [
        {**version, "id": number + 1, "created_at": int(day.timestamp())},
        backwards,
        {**version, "id": number + 3, "priority": 1},
        {**version, "id": number + 3, "priority": 4},
    ]


def _write_tickets(folder: Path, versions: dict[int, list[dict[str, Any]]], world: World, end: datetime) -> None:
    months: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for one in sorted((v for each in versions.values() for v in each), key=lambda v: (v["updated_at"], v["id"])):
        months[one["updated_at"][:7]].append(one)
    months[f"{world.period.last:%Y-%m}"] += _faulty(world, end)
    for number, (month, records) in enumerate(months.items()):
        suffix = ".json.gz" if number % 4 == 1 else ".json"
        for start in range(0, len(records), 100):
            _page(folder / month / f"page-{start // 100 + 1}{suffix}", records[start : start + 100])


def _write_conversations(folder: Path, tickets: list[Ticket], world: World) -> None:
    """Some tickets have no page: of those, Freshdesk's own stamp is all there is."""
    faulty = _with_a_message_too_early(tickets)
    for ticket in tickets:
        if not _has_page(ticket):
            continue
        records = [_message(ticket, n, moment, kind) for n, (moment, kind) in enumerate(ticket.events, 1)]
        records = [record for record in records if record]
        if ticket is faulty:
            early = _message(ticket, 99, ticket.created - timedelta(hours=3), "reply")
            records.insert(0, early)
        _page(folder / str(ticket.number) / "page-1.json", records)


def _has_page(ticket: Ticket) -> bool:
    return ticket.number % 10 != 0 or ticket.merged


def _with_a_message_too_early(tickets: list[Ticket]) -> Ticket:
    return next(ticket for ticket in tickets if _has_page(ticket))


def _message(ticket: Ticket, place: int, moment: datetime, kind: str) -> dict[str, Any]:
    senders = {
        "robot": ROBOT,
        "note": AGENTS[1],
        "merge": AGENTS[2],
        "reply": AGENTS[ticket.number % 3],
        "answer": ticket.requester,
        "reopened": ticket.requester,
    }
    if kind not in senders:
        return {}
    texts = {"merge": f"This ticket is closed and merged into ticket {ticket.number + 1}"}
    return {
        "id": ticket.number * 100 + place,
        "body_text": texts.get(kind, "Invented words."),
        "incoming": kind in ("answer", "reopened"),
        "private": kind in ("note", "merge"),
        "user_id": senders[kind],
        "source": 2 if kind in ("note", "merge") else 0,
        "ticket_id": ticket.number,
        "created_at": _text(moment),
        "updated_at": _text(moment),
    }


def _write_ratings(folder: Path, tickets: list[Ticket], world: World) -> None:
    rated = [t for t in tickets if t.when("resolved") and t.number % 3 == 0]
    records = []
    for ticket in rated:
        rating = pick(dice(world.seed, "rating", ticket.number), RATINGS)
        answers: object = {"default_question": rating}
        if ticket.number % 2:
            answers = [{"question": "default_question", "rating": rating}]
        records.append(_rating(ticket.number, ticket, ticket.when("resolved")[0], answers))
    ticket = tickets[0]
    records.append(_rating(_count(world.period) + 1, ticket, ticket.created, {"default_question": 5}))
    _page(folder / "page-1.json", records)


def _rating(number: int, ticket: Ticket, moment: datetime, answers: object) -> dict[str, object]:
    return {
        "id": number,
        "survey_id": 1,
        "user_id": ticket.requester,
        "agent_id": AGENTS[0],
        "feedback": "",
        "ticket_id": ticket.number,
        "created_at": _text(moment),
        "updated_at": _text(moment),
        "ratings": answers,
    }


# -- how long it took ------------------------------------------------------------------------------


def _truth(
    tickets: list[Ticket], versions: dict[int, list[dict[str, Any]]], world: World, communities: list[str]
) -> Iterator[Row]:
    """Every period of every figure, each from a list of slots."""
    began = min(t.created for t in tickets).date()
    calendar = list(periods(began, world.period.last))
    rolling = windows(began, world.period.last)
    spans = [*(("", *days) for days in calendar), *(("rolling_30_days", *days) for days in rolling)]
    names = companies(world)
    waiting: dict[tuple[str, str], list[Fraction]] = defaultdict(list)
    observed: dict[tuple[str, str, str, str, date, date], list[tuple[int, int]]] = {}
    excluded: Counter[tuple[str, date, date]] = Counter()
    created: Counter[tuple[date, date]] = Counter()
    for span, start, end in spans:
        for statistic in ("", "resolution"):
            observed["organisation", "organisation", span, statistic, start, end] = []
    for ticket in tickets:
        why = "spam" if ticket.spam else "deleted" if ticket.deleted else "merged" if ticket.merged else ""
        for period in (p for p in calendar if p[0] <= ticket.created.date() <= p[1]):
            created[period] += 1
            excluded.update([(why, *period)] if why else [])
        if why:
            continue
        community = names.get(ticket.company or 0) or (communities[-1] if ticket.tags != ["how-to"] else "unassigned")
        members = {
            "organisation": "organisation",
            "community": community,
            "product": PRODUCTS.get(ticket.product or 0, "unassigned"),
        }
        if not ticket.when("reply", "resolved", "closed"):
            age = datetime.combine(world.period.last, time(), UTC) + timedelta(days=1) - ticket.created
            for grain_and_member in members.items():
                waiting[grain_and_member].append(Fraction(age // SLOT))
        for statistic, moment in (("", _replied(ticket)), ("resolution", _resolved(ticket))):
            if moment is None:
                continue
            slots = _slots(ticket, moment, versions[ticket.number])
            for grain, member in members.items():
                for span, start, end in spans:
                    if start <= moment.date() <= end:
                        observed.setdefault((grain, member, span, statistic, start, end), []).append(slots)
    for (grain, member, span, statistic, start, end), times in sorted(observed.items()):
        for figure, value in _figures(times):
            name = "_".join(part for part in (span, statistic, figure) if part)
            yield (f"{grain}:{name}" if name else grain, member, start, end, value, len(times))
    for (start, end), total in sorted(created.items()):
        for why in ("spam", "deleted", "merged"):
            yield (f"organisation:{why}", "organisation", start, end, excluded[why, start, end], total)
    for (grain, member), ages in sorted(waiting.items()):
        ages.sort()
        median = (ages[(len(ages) - 1) // 2] + ages[len(ages) // 2]) / 2
        figures = (("", f"{len(ages)}"), ("_age_median", _hours(median)), ("_age_oldest", _hours(ages[-1])))
        for figure, value in figures:
            last = world.period.last
            yield (f"{grain}:open_without_reply{figure}", member, last, last, value, len(ages))


def _role_truth(
    tickets: list[Ticket], versions: dict[int, list[dict[str, Any]]], world: World
) -> list[tuple[str, ...]]:
    """Of technical support: which inquiries were resolved, and how long that took."""
    counted = [t for t in tickets if not (t.spam or t.deleted or t.merged)]
    cases = []
    times = []
    for ticket in counted:
        resolved = _resolved(ticket)
        states = [(ticket.created.date(), 0)]
        if resolved is not None:
            states.append((resolved.date(), 1))
            elapsed, business = _slots(ticket, resolved, versions[ticket.number])
            times.append((resolved.date(), elapsed, business))
        cases.append(Case(ticket.created.date(), states))
    elapsed_seen = [Seen(day, frozenset(), Fraction(elapsed)) for day, elapsed, _ in times]
    mean_in_business = [Seen(day, frozenset(), Fraction(business)) for day, _, business in times]
    period, slots = world.period, PER_HOUR
    rate, time_ = (
        Scoped(f"technical_support.{name}") for name in ("inquiries_resolved_rate", "ticket_resolution_time")
    )

    def in_business_hours(seen: list[Seen]) -> dict[str, tuple[Fraction | None, int]]:
        mean = duration(slots)(seen)[""]
        return {"business_hours": mean} if mean[1] else {}

    return [
        *cohort_rows(rate, cases, period),
        *rows([time_], elapsed_seen, duration(slots), period, rolling=True),
        *rows([time_], mean_in_business, in_business_hours, period, rolling=True),
    ]


def _replied(ticket: Ticket) -> datetime | None:
    return next(iter(ticket.when("reply")), None)


def _resolved(ticket: Ticket) -> datetime | None:
    """The last resolution, where nothing came after it but closing."""
    kinds = [kind for _, kind in ticket.events if kind in ("resolved", "reopened")]
    return ticket.when("resolved")[-1] if kinds and kinds[-1] == "resolved" else None


def _slots(ticket: Ticket, until: datetime, versions: list[dict[str, Any]]) -> tuple[int, int]:
    """Slots from creation, elapsed and in business hours, without those in which a recorded spell of waiting runs."""
    recorded = {version["stats"]["pending_since"] for version in versions}
    # Without a page of the conversation, only the latest answer by each night is known.
    known = set(ticket.when("answer", "reopened"))
    if not _has_page(ticket):
        known = {m for m in known if _text(m) in {version["stats"]["requester_responded_at"] for version in versions}}
    ends = {*known, *ticket.when("resolved", "closed")}
    elapsed = business = 0
    waiting, moment = False, ticket.created
    while moment < until:
        waiting = (waiting and moment not in ends) or _text(moment) in recorded
        if not waiting:
            elapsed += 1
            business += moment.isoweekday() <= 5 and 9 <= moment.hour < 17
        moment += SLOT
    return elapsed, business


def _figures(times: list[tuple[int, int]]) -> Iterator[tuple[str, str | None]]:
    elapsed = sorted(one for one, _ in times)
    n = len(times)
    yield "", _hours(Fraction(sum(elapsed), n)) if n else None
    yield "median", _hours(_percentile(elapsed, 5)) if n else None
    yield "p90", _hours(_percentile(elapsed, 9)) if n else None
    yield "business", _hours(Fraction(sum(one for _, one in times), n)) if n else None


def _percentile(values: list[int], tenths: int) -> Fraction:
    below, part = divmod((len(values) - 1) * tenths, 10)
    above = min(below + 1, len(values) - 1)
    return values[below] + (values[above] - values[below]) * Fraction(part, 10)


def _hours(slots: Fraction) -> str:
    """Nine decimals, half up."""
    billionths = (2 * slots * 10**9 / PER_HOUR + 1) // 2
    return f"{billionths // 10**9}.{billionths % 10**9:09}"


def periods(first: date, last: date) -> Iterator[tuple[date, date]]:
    """Calendar months and quarters, from that of the first ticket on; those that run end on the last day."""
    month = first.replace(day=1)
    quarters = set()
    while month <= last:
        yield month, min(_plus(month, 1) - timedelta(days=1), last)
        quarters.add(month.replace(month=(month.month - 1) // 3 * 3 + 1))
        month = _plus(month, 1)
    for quarter in sorted(quarters):
        yield quarter, min(_plus(quarter, 3) - timedelta(days=1), last)


def _plus(month: date, months: int) -> date:
    total = month.year * 12 + month.month - 1 + months
    return date(total // 12, total % 12 + 1, 1)
