"""What is made for, and done with, developers and partners, and the truth of its KPIs. All organisations are invented.

Never here: a person, and anything that knows how the pipeline tells one thing from another.
"""

import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from fractions import Fraction
from pathlib import Path
from random import Random
from typing import Final

from kpi_pipeline.sample.dice import dice, pick, weighted, whole
from kpi_pipeline.sample.period import Period
from kpi_pipeline.sample.scores import Scoped, Seen, count, nine_digits, periods, rows, write_roles
from kpi_pipeline.sample.simulate import World
from kpi_pipeline.sample.write import csv_line, write_file

# How many a quarter, over and over: some quarters reach the target, some don't.
INTEGRATIONS: Final = (11, 8, 12, 10, 7)
PARTNERS: Final = (16, 13, 18, 15, 14)
OTHER_PARTNERS: Final = 2
COLLABORATIONS: Final = (24, 33, 30, 28, 36)
CHANNELS: Final = (2, 1, 3, 2, 0)
EVENTS: Final = (2, 0, 3, 1, 1)
RESOURCES: Final = (14, 8, 12, 17, 9)

INTEGRATION_KINDS: Final = ("sdk", "library", "plugin")
TECHNICAL: Final = ("adopter", "open source collaborator", "sponsor")
COLLABORATION_KINDS: Final = ("code", "documentation", "infrastructure", "community", "other")
EVENT_KINDS: Final = ("meetup", "workshop", "hackathon", "webinar")
PLATFORMS: Final = ("discourse", "zulip", "matrix")
PLACES: Final = (
    *("Ebb", "Flood", "Küste", "Delta", "Lagoon", "Fjord", "Marsh", "Strand", "Estuary", "Skerry", "Atoll", "Ría"),
    *("Harbour", "Cape", "Shoal", "Sound"),
)
BODIES: Final = ("Institute", "Labs", "Open Data Trust", "College", "Observatory", "Software", "Network", "Archive")
TOOLS: Final = ("kernel", "viewer", "spawner", "proxy", "theme", "launcher", "courier", "grader", "mapper", "forecast")

INTEGRATION_HEADER: Final = ("date", "kind", "name", "url")
PARTNER_HEADER: Final = (
    *("partner", "kind", "established_on", "onboarded_on", "building_from", "building_to", "ended_on"),
)
COLLABORATION_HEADER: Final = ("project", "kind", "began_on", "ended_on", "url")
CHANNEL_HEADER: Final = ("channel", "platform", "created_on", "closed_on")
EVENT_HEADER: Final = ("event", "kind", "date", "attendees")
DOCUMENT_HEADER: Final = ("resource", "title", "kind", "date", "action")
ENOUGH_FOR_FAULTS: Final = 300  # above 1 % of broken rows there is a warning

README: Final = """\
- `integrations/`, `partners/`, `collaborations/`, `channels/`, `events/`, `documents/`: what is made for, and done
  with, developers and partners, all invented. Some are listed again in another spelling, some partners came back,
  `partners/` has older rows of some partners in a file of its own, and three rows of `documents/` are broken.
"""
_CONFIG: Final = """\
# What is made for, and done with, developers and partners. What is listed more than once, whatever its spelling, counts
# once. Sample integrations: date, kind (sdk, library, plugin), name, url.
[sources.integrations]
kind = "table"
path = "integrations"
max_age_days = 60

# Partners, which are organisations: partner, kind, established_on, onboarded_on and, optional, building_from,
# building_to, ended_on.
[sources.partners]
kind = "table"
path = "partners"
max_age_days = 60

# Collaborations with open source projects: project, kind, began_on and, optional, ended_on, url.
[sources.collaborations]
kind = "table"
path = "collaborations"
max_age_days = 60

# Channels in which developers meet: channel, platform, created_on and, optional, closed_on. There is no deadline for
# opening one.
[sources.channels]
kind = "table"
path = "channels"

# Events for developers: event, kind, date and, optional, attendees.
[sources.events]
kind = "table"
path = "events"
max_age_days = 150

# Documentation and knowledgebase: a row per change, with resource, kind, date, action (created, updated) and title.
[sources.documents]
kind = "table"
path = "documents"
max_age_days = 30
"""

Span = tuple[date, date]


@dataclass(frozen=True)
class Thing:
    """Something that counts once, under this name: an integration, a collaboration, a channel or an event."""

    day: date
    kind: str
    name: str


@dataclass(frozen=True)
class Partnership:
    partner: str
    kind: str
    established: date
    onboarded: date | None = None
    building: date | None = None
    built_until: date | None = None
    ended: date | None = None


@dataclass(frozen=True)
class Change:
    day: date
    kind: str
    resource: str
    action: str


def config() -> str:
    """The blocks of kpi.toml."""
    return _CONFIG


def write(folder: Path, world: World) -> None:
    """The files of the six sources, and truth/roles/outreach.csv."""
    seed, spans = world.seed, _quarters(world.period)
    integrations = _integrations(seed, spans)
    partnerships = _partnerships(seed, spans, world.period.last)
    collaborations = _collaborations(seed, spans)
    channels = _channels(seed, spans)
    events = _events(seed, spans)
    changes = _changes(seed, spans)
    _write_integrations(folder / "integrations", integrations, world.period)
    _write_partners(folder / "partners", partnerships)
    _write_collaborations(folder / "collaborations", collaborations, world.period)
    _write_channels(folder / "channels", channels)
    _write_events(folder / "events", events, seed)
    _write_documents(folder / "documents", changes)
    newcomers: dict[str, Partnership] = {}
    for one in sorted(partnerships, key=lambda p: p.established):
        newcomers.setdefault(one.partner, one)
    counted: tuple[tuple[Scoped, list[Seen]], ...] = (
        (_scoped("tech_team.sample_integrations_created", INTEGRATION_KINDS), _seen(integrations)),
        (
            _scoped("tech_team.technical_partnerships_established", TECHNICAL),
            [Seen(p.established, frozenset({f"kind={p.kind}"})) for p in newcomers.values()],
        ),
        (Scoped("developer_relations.open_source_collaborations_established"), _seen(collaborations)),
        (Scoped("developer_relations.community_channels_created"), _seen(channels)),
        (Scoped("developer_relations.developer_events_organised"), _seen(events)),
        (
            Scoped("technical_writer.documentation_resources_published"),
            [Seen(c.day, frozenset(), key=c.resource) for c in changes],
        ),
    )
    truth = [row for kpi, seen in counted for row in rows([kpi], seen, count, world.period, rolling=False)]
    truth += _building(partnerships, world.period)
    write_roles(folder / "truth" / "roles" / "outreach.csv", truth)


def _scoped(kpi_id: str, kinds: Iterable[str]) -> Scoped:
    return Scoped(kpi_id, tuple(f"kind={kind}" for kind in kinds))


def _seen(things: Iterable[Thing]) -> list[Seen]:
    return [Seen(one.day, frozenset({f"kind={one.kind}"})) for one in things]


def _building(partnerships: Sequence[Partnership], period: Period) -> Iterator[tuple[str, ...]]:
    """Partners that build, of those onboarded, on the last evening of each month and quarter."""
    first = min(p.established for p in partnerships)
    for _, start, end in periods(period, rolling=False):
        if end < first:
            continue
        onboarded = [
            p for p in partnerships if p.onboarded and p.onboarded <= end and (p.ended is None or p.ended > end)
        ]
        building = [
            p for p in onboarded if p.building and p.building <= end and (p.built_until is None or p.built_until > end)
        ]
        share = Fraction(100 * len(building), len(onboarded)) if onboarded else None
        kpi_id = "developer_relations.onboarded_partners_building_rate"
        yield (kpi_id, "", str(start), str(end), nine_digits(share), str(len(onboarded)))


# -- what happens ----------------------------------------------------------------------------------


def _quarters(period: Period) -> list[Span]:
    """The simulated days of each quarter."""
    days: dict[tuple[int, int], list[date]] = {}
    for day in map(period.date_of, range(period.days)):
        days.setdefault((day.year, (day.month - 1) // 3), []).append(day)
    return [(found[0], found[-1]) for found in days.values()]


def _day_in(rng: Random, span: Span) -> date:
    return span[0] + timedelta(days=whole(rng, 0, (span[1] - span[0]).days))


def _planned(plan: Sequence[int], spans: Sequence[Span]) -> Iterator[tuple[int, Span]]:
    """A number for each thing that the plan has in a quarter, and the quarter."""
    every = (span for quarter, span in enumerate(spans) for _ in range(plan[quarter % len(plan)]))
    yield from enumerate(every)


def _integrations(seed: int, spans: Sequence[Span]) -> list[Thing]:
    found = []
    for number, span in _planned(INTEGRATIONS, spans):
        rng = dice(seed, "integration", number)
        # An SDK, a library and a plugin share each name.
        name = f"{pick(rng, PLACES)} {TOOLS[number // 3 % len(TOOLS)]} {number // 3}"
        found.append(Thing(_day_in(rng, span), INTEGRATION_KINDS[number % 3], name))
    return found


def _partnerships(seed: int, spans: Sequence[Span], last: date) -> list[Partnership]:
    """Most are onboarded after some weeks, and build; some stop, leave, or come back."""
    found = []
    for number, span in _planned([n + OTHER_PARTNERS for n in PARTNERS], spans):
        rng = dice(seed, "partner", number)
        kind = "other" if number % 8 == 3 else TECHNICAL[weighted(rng, (5, 3, 2))]
        name = f"{PLACES[number % len(PLACES)]} {BODIES[number // len(PLACES) % len(BODIES)]}"
        generation = number // (len(PLACES) * len(BODIES))
        partnership = _partnership(rng, f"{name} {generation}" if generation else name, kind, _day_in(rng, span))
        found.append(_up_to(partnership, last))
        if partnership.ended and number % 3 == 0 and (again := partnership.ended + timedelta(days=40)) <= last:
            found.append(_up_to(_partnership(rng, partnership.partner, "sponsor", again), last))
    return found


def _partnership(rng: Random, name: str, kind: str, established: date) -> Partnership:
    def after(day: date, low: int, high: int) -> date:
        return day + timedelta(days=whole(rng, low, high))

    onboarded = after(established, 10, 60)
    building = after(established, 0, 75) if rng.random() < 0.83 else None
    stopped = after(building, 60, 300) if building and rng.random() < 0.2 else None
    ended = after(onboarded, 30, 250) if rng.random() < 0.2 else None
    return Partnership(name, kind, established, onboarded, building, stopped, ended)


def _up_to(p: Partnership, last: date) -> Partnership:
    """As it is known on the last day. Ends may be agreed on ahead."""
    onboarded = p.onboarded if p.onboarded and p.onboarded <= last else None
    building = p.building if p.building and p.building <= last else None
    return Partnership(
        p.partner, p.kind, p.established, onboarded, building, p.built_until if building else None, p.ended
    )


def _collaborations(seed: int, spans: Sequence[Span]) -> list[Thing]:
    found = []
    for number, span in _planned(COLLABORATIONS, spans):
        rng = dice(seed, "collaboration", number)
        name = f"{PLACES[number % len(PLACES)].lower()}-org/{pick(rng, TOOLS)}-{number}"
        found.append(Thing(_day_in(rng, span), COLLABORATION_KINDS[weighted(rng, (5, 3, 2, 2, 1))], name))
    return found


def _channels(seed: int, spans: Sequence[Span]) -> list[Thing]:
    found = []
    for number, span in _planned(CHANNELS, spans):
        rng = dice(seed, "channel", number)
        # The first two share a name, on two platforms.
        name = f"{TOOLS[max(number - 1, 0) % len(TOOLS)]} help {max(number - 1, 0) // len(TOOLS) or ''}".rstrip()
        found.append(Thing(_day_in(rng, span), PLATFORMS[number % len(PLATFORMS)], name))
    return found


def _events(seed: int, spans: Sequence[Span]) -> list[Thing]:
    """One name, again and again: another day is another event."""
    found: dict[date, Thing] = {}
    for number, span in _planned(EVENTS, spans):
        rng = dice(seed, "event", number)
        kind, day = pick(rng, EVENT_KINDS), _day_in(rng, span)
        found.setdefault(day, Thing(day, kind, "Küste hub night"))
    return list(found.values())


def _changes(seed: int, spans: Sequence[Span]) -> list[Change]:
    """Each quarter some new pages, and work on older ones; a page is changed several times."""
    found: dict[tuple[date, str, str], Change] = {}
    pages: list[tuple[str, str]] = []
    for quarter, span in enumerate(spans):
        rng = dice(seed, "documents", quarter)
        wanted = RESOURCES[quarter % len(RESOURCES)]
        older = sorted({pick(rng, pages) for _ in range(wanted // 2)} if pages else ())
        new = [_page(rng, len(pages) + n) for n in range(wanted - len(older))]
        pages += new
        for kind, resource in (*older, *new):
            days = sorted(_day_in(rng, span) for _ in range(whole(rng, 3, 9)))
            for place, day in enumerate(days):
                is_new = place == 0 and (kind, resource) in new
                action = "created" if is_new else "updated"
                found.setdefault((day, resource, action), Change(day, kind, resource, action))
    return sorted(found.values(), key=lambda c: (c.day, c.resource, c.action))


def _page(rng: Random, number: int) -> tuple[str, str]:
    topic = f"{pick(rng, TOOLS)}-{number}"
    return ("knowledgebase", f"kb/{topic}") if rng.random() < 0.35 else ("documentation", f"docs/{topic}")


# -- files -----------------------------------------------------------------------------------------


def _respelt(name: str, number: int) -> str:
    """The same name, as somebody else would type it."""
    spellings = (name.upper(), f" {name.replace(' ', '  ')} ", unicodedata.normalize("NFD", name.title()))
    return spellings[number % len(spellings)].replace("  ", " \N{NO-BREAK SPACE}")


def _write(path: Path, header: Sequence[str], lines: Iterable[Sequence[object]]) -> None:
    content = (csv_line("" if value is None else str(value) for value in line) for line in lines)
    write_file(path, csv_line(header) + b"".join(content))


def _later(day: date, days: int, period: Period) -> date:
    return min(day + timedelta(days=days), period.last)


def _write_integrations(folder: Path, integrations: Sequence[Thing], period: Period) -> None:
    """Every eighth is there again, with the day of its second version."""
    lines = []
    for number, one in enumerate(integrations):
        url = f"https://code.example/{one.kind}/{number}"
        lines.append((one.day, one.kind, one.name, url))
        if number % 8 == 0:
            lines.insert(0, (_later(one.day, 70, period), one.kind.upper(), _respelt(one.name, number), ""))
    _write(folder / "integrations.csv", INTEGRATION_HEADER, lines)


def _write_partners(folder: Path, partnerships: Sequence[Partnership]) -> None:
    """Every seventh is in an older list as well, as it was when it began."""

    def line(p: Partnership, name: str) -> tuple[object, ...]:
        return (name, p.kind, p.established, p.onboarded, p.building, p.built_until, p.ended)

    old = [
        line(Partnership(p.partner, p.kind, p.established), _respelt(p.partner, number))
        for number, p in enumerate(partnerships)
        if number % 7 == 0
    ]
    _write(folder / "1-old-list.csv", PARTNER_HEADER, old)
    _write(folder / "2-list.csv", PARTNER_HEADER, [line(p, p.partner) for p in partnerships])


def _write_collaborations(folder: Path, collaborations: Sequence[Thing], period: Period) -> None:
    """Every eleventh ended, and began again as something else."""
    lines: list[Sequence[object]] = []
    for number, one in enumerate(collaborations):
        again = _later(one.day, 50, period) if number % 11 == 0 else None
        lines.append((one.name, one.kind, one.day, again, f"https://code.example/{one.name}"))
        if again:
            lines.insert(0, (_respelt(one.name, number), "other", again, "", ""))
    _write(folder / "collaborations.csv", COLLABORATION_HEADER, lines)


def _write_channels(folder: Path, channels: Sequence[Thing]) -> None:
    """Every third is there twice."""
    lines: list[Sequence[object]] = []
    for number, one in enumerate(channels):
        lines.append((one.name, one.kind, one.day, ""))
        if number % 3 == 0:
            lines.append((_respelt(one.name, number), one.kind.title(), one.day, ""))
    _write(folder / "channels.csv", CHANNEL_HEADER, lines)


def _write_events(folder: Path, events: Sequence[Thing], seed: int) -> None:
    """Every second is there twice."""
    lines: list[Sequence[object]] = []
    for number, one in enumerate(events):
        attendees = whole(dice(seed, "attendees", number), 6, 60)
        lines.append((one.name, one.kind, one.day, attendees))
        if number % 2 == 0:
            lines.append((_respelt(one.name, number), one.kind, one.day, ""))
    _write(folder / "events.csv", EVENT_HEADER, lines)


def _write_documents(folder: Path, changes: Sequence[Change]) -> None:
    """A file per year; some changes are reported again, in another spelling."""
    lines: dict[int, list[Sequence[object]]] = {}
    for number, one in enumerate(changes):
        title = one.resource.partition("/")[2].replace("-", " ").capitalize()
        mine = lines.setdefault(one.day.year, [])
        mine.append((one.resource, title, one.kind, one.day, one.action))
        if number % 10 == 0:
            mine.append((f"{_respelt(one.resource, number)}/", "", one.kind, one.day, one.action))
    if len(changes) > ENOUGH_FOR_FAULTS:
        year, day = changes[0].day.year, changes[0].day
        lines[year] += [
            ("docs/left-out", "", "documentation", day, "deleted"),
            ("", "", "documentation", day, "created"),
            ("docs/left-out", "", "documentation", day.replace(year=2999), "updated"),
        ]
    for year, mine in lines.items():
        _write(folder / f"{year}.csv", DOCUMENT_HEADER, mine)
