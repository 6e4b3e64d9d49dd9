"""The simulated world: which person used which hub on which day, and what the organisation excludes.

Never here: file formats (write.py) and results (truth.py); both are derived from the `World` made here.
"""

from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from random import Random
from typing import Final

import polars as pl

from kpi_pipeline.sample.dice import code, dice, whole
from kpi_pipeline.sample.hubs import Hub, broken_hub, make_hubs
from kpi_pipeline.sample.people import (
    AS_IT_IS,
    CAPITALS,
    CONTRACTOR,
    OTHER_UNICODE,
    PROBE,
    STAFF,
    Homes,
    Person,
    make_person,
)
from kpi_pipeline.sample.period import Period, period_of

LATE: Final = 0.004  # the share of rows that arrive late
SATURDAY: Final = 5


@dataclass(frozen=True)
class Exclusion:
    """One entry of the register. `people` are those it means: the truth never has to compare names."""

    id: str
    reason: str
    approved_by: str
    usernames: tuple[str, ...] = ()
    people: tuple[int, ...] = ()
    hub: Hub | None = None
    first: date | None = None
    last: date | None = None


@dataclass(frozen=True)
class World:
    """Everything that is so. `rows`: day, hub, person (indexes), spelling, late, sessions (0: not a session);
    one row per line that the source will write, so a user-day can have several."""

    seed: int
    period: Period
    hubs: tuple[Hub, ...]
    names: list[str]
    rows: pl.DataFrame
    exclusions: tuple[Exclusion, ...]


class _Log:
    """The rows as they happen, in arrays, since there can be many millions."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.day, self.hub, self.person = array("H"), array("H"), array("I")
        self.spelling, self.late, self.sessions = array("B"), array("B"), array("B")

    def newcomer(self, name: str) -> int:
        self.names.append(name)
        return len(self.names) - 1

    def add(self, day: int, hub: int, person: int, spelling: int = 0, late: bool = False, sessions: int = 0) -> None:
        self.day.append(day)
        self.hub.append(hub)
        self.person.append(person)
        self.spelling.append(spelling)
        self.late.append(late)
        self.sessions.append(sessions)

    def frame(self) -> pl.DataFrame:
        columns = {
            "day": pl.Series(self.day, dtype=pl.UInt16),
            "hub": pl.Series(self.hub, dtype=pl.UInt16),
            "person": pl.Series(self.person, dtype=pl.UInt32),
            "spelling": pl.Series(self.spelling, dtype=pl.UInt8),
            "late": pl.Series(self.late, dtype=pl.UInt8).cast(pl.Boolean),
            "sessions": pl.Series(self.sessions, dtype=pl.UInt8),
        }
        return pl.DataFrame(columns).sort("day", "hub", "person", "spelling", "late", "sessions")


def make_world(seed: int, hubs: int, users: int, days: int, last_day: date) -> World:
    period = period_of(last_day, days)
    made = make_hubs(seed, hubs, period)
    open_days = [_open_to_users(hub, period) for hub in made]
    service = [hub.service(period) for hub in made]
    log = _Log()
    _users(log, seed, users, Homes(made, period), open_days, period)
    staff = _staff(log, seed, made, service, period)
    probe = _probe(log, made, service, period)
    contractor, contract = _contractor(log, seed, made, service, period)
    _developers(log, seed, made, service, period)
    _binder_sessions(log, seed, made, service, period)
    broken = _broken_month(log, seed, made, period)
    exclusions = (_staff_rule(staff), probe, _contractor_rule(contractor, contract, period), broken)
    return World(seed, period, made, log.names, log.frame(), exclusions)


def _open_to_users(hub: Hub, period: Period) -> bytes:
    """The days in service, without those on which the hub is there but nobody comes."""
    days = hub.service(period)
    if hub.silent_from is None:
        return days
    return days[: hub.silent_from] + bytes(len(days) - hub.silent_from)


# -- users -----------------------------------------------------------------------------------------


def _users(log: _Log, seed: int, users: int, homes: Homes, open_days: list[bytes], period: Period) -> None:
    types = {kind: period.rhythm(kind) for kind in ("education", "research", "other")}
    rhythms = [types[hub.versions[0].hub_type] for hub in homes.hubs]
    for number in range(users):
        person = make_person(seed, number, homes, period)
        who = log.newcomer(person.name)
        rng = dice(seed, "days", number)
        for day, hub in _visits(person, rhythms[person.home], open_days, rng, period):
            _write_down(log, person, who, day, hub, rng, last=period.days - 1)


def _visits(
    person: Person, rhythm: list[float], open_days: list[bytes], rng: Random, period: Period
) -> Iterator[tuple[int, int]]:
    """(day, hub) in the order of time."""
    for day in _active_days(person, rhythm, open_days[person.home], rng, period):
        where = rng.random()
        at_home = person.second is None or where > 0.30
        if at_home and open_days[person.home][day]:
            yield day, person.home
        if person.second is not None and where < 0.45 and open_days[person.second][day]:
            yield day, person.second


def _active_days(person: Person, rhythm: list[float], open_at_home: bytes, rng: Random, period: Period) -> list[int]:
    chance, eagerness = rng.random, person.eagerness
    since, until = max(0, person.join), min(period.days - 1, person.leave)
    days = [day for day in range(since, until + 1) if chance() < eagerness * rhythm[day]]
    if person.pause is not None:
        begin, end = person.pause
        days = [day for day in days if not begin <= day <= end]
    if person.gap is not None:
        days = _with_gap([day for day in days if open_at_home[day]], person.gap, open_at_home)
    return days


def _with_gap(days: list[int], gap: int, open_at_home: bytes) -> list[int]:
    """The person stays away after a third of the visits, and is back after exactly `gap` days."""
    if not days:
        return days
    seen = days[len(days) // 3]
    back = seen + gap
    if back >= len(open_at_home) or not open_at_home[back]:
        return days
    return [day for day in days if day <= seen] + [back] + [day for day in days if day > back]


def _write_down(log: _Log, person: Person, who: int, day: int, hub: int, rng: Random, last: int) -> None:
    """Mostly one row, in time. Some come late, some of these a second time; some are spelt in another way,
    some in two ways on one day. It stays one user-day."""
    chance = rng.random()
    spelling = AS_IT_IS
    if person.careless and rng.random() < 0.15:
        spelling = whole(rng, CAPITALS, OTHER_UNICODE)
        if rng.random() < 0.2:
            log.add(day, hub, who)
    late = chance < LATE and day < last
    log.add(day, hub, who, spelling, late)
    if late and chance < LATE / 3:
        log.add(day, hub, who)


# -- those who do not count ------------------------------------------------------------------------


def _workdays(period: Period) -> list[int]:
    return [day for day in range(period.days) if period.date_of(day).weekday() < SATURDAY]


def _staff(log: _Log, seed: int, hubs: tuple[Hub, ...], service: list[bytes], period: Period) -> list[int]:
    """Each looks after four production hubs and one staging hub."""
    production = [index for index, hub in enumerate(hubs) if hub.kind == "production"]
    staging = [index for index, hub in enumerate(hubs) if hub.kind == "staging"]
    people = []
    for number, name in enumerate(STAFF):
        rng = dice(seed, "staff", number)
        who = log.newcomer(name)
        people.append(who)
        care = {production[int(rng.random() * len(production))] for _ in range(4)}
        care.update(staging[number % len(staging) : number % len(staging) + 1] if staging else ())
        for day in _workdays(period):
            for hub in sorted(care):
                if rng.random() < 0.3 and service[hub][day]:
                    log.add(day, hub, who, CAPITALS if rng.random() < 0.1 else AS_IT_IS)
    return people


def _staff_rule(people: list[int]) -> Exclusion:
    """Written with capitals, as people write names; the rule means the identity."""
    return Exclusion(
        id="staff",
        usernames=tuple(name.title() for name in STAFF),
        people=tuple(people),
        reason="our own engineers and support, who work on the hubs but are not their users",
        approved_by="operations",
    )


def _probe(log: _Log, hubs: tuple[Hub, ...], service: list[bytes], period: Period) -> Exclusion:
    """Every day on each production hub of every fourth cluster."""
    who = log.newcomer(PROBE)
    probed = sorted({hub.cluster for hub in hubs})[::4]
    for index, hub in enumerate(hubs):
        if hub.cluster in probed and hub.kind == "production":
            for day in range(period.days):
                if service[index][day]:
                    log.add(day, index, who)
    return Exclusion(
        id="deployment-probe",
        usernames=(PROBE,),
        people=(who,),
        reason="starts a server on every hub after each deployment, to see that it works",
        approved_by="infrastructure",
    )


def _contractor(
    log: _Log, seed: int, hubs: tuple[Hub, ...], service: list[bytes], period: Period
) -> tuple[int, tuple[int, int]]:
    """A user before and after, paid by us in between; active on both edges of the interval, as these are
    where an interval goes wrong."""
    rng = dice(seed, "contractor")
    who = log.newcomer(CONTRACTOR)
    first, last = period.at(0.20), period.at(0.60)
    hub = next(index for index, hub in enumerate(hubs) if hub.name == "prod")
    edges = {first - 1, first, last, last + 1}
    for day in range(period.days):
        if (day in edges or rng.random() < 0.4) and service[hub][day]:
            log.add(day, hub, who)
    return who, (first, last)


def _contractor_rule(who: int, contract: tuple[int, int], period: Period) -> Exclusion:
    return Exclusion(
        id="contractor",
        usernames=(CONTRACTOR,),
        people=(who,),
        first=period.date_of(contract[0]),
        last=period.date_of(contract[1]),
        reason="worked for us during this time; a user of the hub before and after",
        approved_by="operations",
    )


def _developers(log: _Log, seed: int, hubs: tuple[Hub, ...], service: list[bytes], period: Period) -> None:
    """Two per staging hub: people, but not on a production hub."""
    for index, hub in enumerate(hubs):
        if hub.kind != "staging":
            continue
        for number in (1, 2):
            rng = dice(seed, "developer", hub.hub_id, number)
            who = log.newcomer(f"dev{number}.{hub.cluster}.{hub.name}")
            for day in _workdays(period):
                if rng.random() < 0.25 and service[index][day]:
                    log.add(day, index, who)


def _binder_sessions(log: _Log, seed: int, hubs: tuple[Hub, ...], service: list[bytes], period: Period) -> None:
    """Each launch has a name of its own, so a name is no person."""
    for index, hub in enumerate(hubs):
        if hub.kind != "binder":
            continue
        rng = dice(seed, "binder", hub.hub_id)
        for day in range(period.days):
            for _ in range(whole(rng, 0, 6) if service[index][day] else 0):
                log.add(day, index, log.newcomer(f"lesson-{code(rng, 8)}"), sessions=whole(rng, 1, 4))


def _broken_month(log: _Log, seed: int, hubs: tuple[Hub, ...], period: Period) -> Exclusion:
    """For a month, each user of one hub is reported twice: once as somebody who does not exist."""
    rng = dice(seed, "broken month")
    broken = broken_hub(hubs)
    index = hubs.index(broken)
    first = period.at(0.50)
    last = min(first + min(30, period.days // 4), period.days - 1)
    seen = [day for day, hub in zip(log.day, log.hub, strict=True) if hub == index and first <= day <= last]
    for day in sorted(seen):
        log.add(day, index, log.newcomer(f"anon-{code(rng, 8)}"))
    return Exclusion(
        id="double-counted-users",
        hub=broken,
        first=period.date_of(first),
        last=period.date_of(last),
        reason="an upgrade of the proxy reported every user a second time under an invented name",
        approved_by="infrastructure",
    )
