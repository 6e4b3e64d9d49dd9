"""What people say of the organisation and what it gives: surveys, publications, declarations, charges; and their truth.

What is asked about products, services and teams is in answers.py. The truth is counted from what is simulated here,
never from the files. Never here: anything about who used which hub.
"""

from calendar import monthrange
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction
from pathlib import Path
from random import Random
from typing import Final

import polars as pl

from kpi_pipeline.sample.answers import write_answers
from kpi_pipeline.sample.dice import code, dice, pick, weighted, whole
from kpi_pipeline.sample.simulate import World
from kpi_pipeline.sample.write import csv_line, write_file

THEMES: Final = ("speed", "storage", "documentation", "support", "gpu", "environments", "login")
SCORES: Final = ((3, 5, 14, 40, 38), (8, 14, 30, 30, 18))  # weights of 1 to 5: content and less content communities
FEW: Final = 10
HIDDEN: Final = 3
WORDS: Final = (
    *("Tidal", "Reproducible", "Teaching", "Cloud", "Coastal", "Open", "Genomic", "Urban", "Seasonal", "Shared"),
    *("notebooks", "models", "sediments", "workflows", "classrooms", "forecasts", "archives", "networks", "soils"),
)

Row = tuple[object, ...]
Period = tuple[date, date, bool]


@dataclass(frozen=True)
class Answer:
    """`batch` is the invitation that it goes back to; one that is replaced was given differently later that day."""

    when: date
    survey: str
    community: str
    respondent: str
    score: int
    themes: tuple[str, ...]
    batch: "Batch | None"
    is_replaced: bool = False


@dataclass(frozen=True)
class Batch:
    when: date
    survey: str
    community: str
    invited: int


@dataclass(frozen=True)
class Work:
    when: date
    doi: str
    title: str
    kind: str
    communities: tuple[str, ...]


@dataclass(frozen=True)
class Charge:
    charge_id: str
    community: str
    contract: str
    first: date
    last: date
    list_cents: int
    charged_cents: int


@dataclass(frozen=True)
class Declaration:
    community: str
    is_marginalised: bool
    first: date
    end: date | None
    declared: date


def write_opinion(folder: Path, world: World, counted: pl.DataFrame) -> None:
    """Files of the five sources, and truth/opinion/.

    Args:
        counted: qualifying user-days of the world: day and communities, as truth.py has them.
    """
    communities = sorted(
        {c for hub in world.hubs if hub.kind == "production" for v in hub.versions for c in v.communities}
    )
    batches, answers = _surveys(world, communities)
    works = _works(world, communities)
    charges = _charges(world, communities)
    declarations = _declarations(world, communities)
    rejected: Counter[tuple[str, str]] = Counter()
    _write_surveys(folder, world, batches, answers, rejected)
    rejected.update(("surveys", reason) for reason in write_answers(folder, world))
    _write_publications(folder, world, works, rejected)
    _write_charges(folder, world, charges, rejected)
    _write_communities(folder, declarations)
    truth = folder / "truth" / "opinion"
    _write(truth / "satisfaction.csv", _satisfaction(world, batches, answers))
    _write(truth / "publications.csv", _publications(world, works))
    _write(truth / "cost_reduction.csv", _cost_reduction(world, charges))
    _write(truth / "marginalised.csv", _marginalised(world, counted, declarations))
    reasons = [(*place, rows) for place, rows in sorted(rejected.items())]
    _write(truth / "quarantined.csv", [("source", "reason", "rows"), *reasons])


def _write(path: Path, rows: Iterable[Row]) -> None:
    write_file(path, b"".join(csv_line("" if v is None else str(v) for v in row) for row in rows))


def _months(world: World) -> list[date]:
    first, last = world.period.first, world.period.last
    count = (last.year - first.year) * 12 + last.month - first.month + 1
    return [_plus_months(first.replace(day=1), n) for n in range(count)]


def _plus_months(month: date, n: int) -> date:
    years, index = divmod(month.month - 1 + n, 12)
    return month.replace(year=month.year + years, month=index + 1)


def _last_of(month: date) -> date:
    return month.replace(day=monthrange(month.year, month.month)[1])


# -- surveys ---------------------------------------------------------------------------------------


def _surveys(world: World, communities: list[str]) -> tuple[list[Batch], list[Answer]]:
    """A survey of all communities each quarter, by invitation, and one that is open to anybody all the time."""
    batches: list[Batch] = []
    answers: list[Answer] = []
    for month in _months(world):
        rng = dice(world.seed, "survey", month)
        if month.month % 3 == 1:
            sent = max(month + timedelta(days=4), world.period.first)
            quarter = f"community-{month.year}-q{(month.month + 2) // 3}"
            for place, community in enumerate(communities):
                batch = Batch(sent, quarter, community, whole(rng, 1, 4) if place % 4 == 3 else whole(rng, 6, 60))
                batches.append(batch)
                answers += _answers(rng, batch, place)
        for _ in range(whole(rng, 4, 14)):
            answers.append(_answer(rng, _day_in(rng, month), "feedback", "", whole(rng, 0, 1), None))
    last = world.period.last
    return [b for b in batches if b.when <= last], [a for a in answers if world.period.first <= a.when <= last]


def _answers(rng: Random, batch: Batch, place: int) -> Iterator[Answer]:
    for _ in range(batch.invited):
        if rng.random() < 0.28:
            when = batch.when + timedelta(days=int(50 * rng.random() ** 2))
            answer = _answer(rng, when, batch.survey, batch.community, place % 5 == 1, batch)
            yield answer
            if rng.random() < 0.02 and answer.respondent:
                yield replace(answer, score=6 - answer.score, is_replaced=True)


def _answer(rng: Random, when: date, survey: str, community: str, mood: int, batch: Batch | None) -> Answer:
    tags = sorted({pick(rng, THEMES) for _ in range(whole(rng, 0, 2))})
    score = 1 + weighted(rng, SCORES[int(mood)])
    respondent = f"respondent-{code(rng, 8)}" if rng.random() < 0.9 else ""
    return Answer(when, survey, community, respondent, score, tuple(tags), batch)


def _day_in(rng: Random, month: date) -> date:
    return month + timedelta(days=whole(rng, 0, _last_of(month).day - 1))


def _write_surveys(
    folder: Path, world: World, batches: list[Batch], answers: list[Answer], rejected: Counter[tuple[str, str]]
) -> None:
    header = ("date", "survey", "kind", "scale", "community", "respondent", "score", "themes")
    _write(
        folder / "survey_invitations" / "invitations.csv",
        [("date", "survey", "community", "invited"), *((b.when, b.survey, b.community, b.invited) for b in batches)],
    )
    by_year: dict[int, list[Row]] = {year: [] for year in range(world.period.first.year, world.period.last.year + 1)}
    # What is replaced is delivered first: the last one counts.
    for answer in sorted(answers, key=lambda a: (a.when, a.respondent, not a.is_replaced)):
        by_year[answer.when.year].append(_answer_row(world, answer))
    for year, rows in by_year.items():
        bad = _bad_answers(rows) if len(rows) > 300 else []
        rejected.update(("surveys", reason) for reason, _ in bad)
        _write(folder / "surveys" / f"{year}.csv", [header, *rows, *(row for _, row in bad)])


def _answer_row(world: World, a: Answer) -> Row:
    rng = dice(world.seed, "spelling", a.respondent, a.when, a.survey)
    shown = a.community.title() if rng.random() < 0.2 else a.community
    respondent = a.respondent.upper() if rng.random() < 0.1 else a.respondent
    return (a.when, a.survey, "satisfaction", 5, shown, respondent, a.score, "; ".join(a.themes))


def _bad_answers(rows: list[Row]) -> list[tuple[str, Row]]:
    """One of a good row for each way of being wrong."""
    day = rows[0][0]
    good: Row = (day, "feedback", "satisfaction", 5, "", "", 4, "")
    return [
        ("out_of_scale:score", (*good[:6], 6, "")),
        ("invalid:score", (*good[:6], "4,5", "")),
        ("wrong_scale", (*good[:3], 10, "", "", 9, "")),
    ]


def _satisfaction(world: World, batches: list[Batch], answers: list[Answer]) -> Iterator[Row]:
    yield ("grain", "member", "period_start", "period_end", "value", "n", "status")
    given = [a for a in answers if not a.is_replaced]
    for period in _periods(world):
        inside = [a for a in given if period[0] <= a.when <= period[1]]
        if given and not inside and period[1] >= min(a.when for a in given):
            yield ("organisation", "organisation", *period[:2], None, 0, "no data")
        if inside:
            yield from _about("organisation", "organisation", period, inside, True)
        for community in sorted({a.community for a in inside} - {""}):
            yield from _about("community", community, period, [a for a in inside if a.community == community], False)
        for theme in sorted({theme for a in inside for theme in a.themes}):
            tagged = [a for a in inside if theme in a.themes]
            value = len(tagged) if _people(tagged) >= HIDDEN else None
            yield ("theme", theme, *period[:2], value, len(tagged), _status(tagged, period, False))
        sent = [b for b in batches if period[0] <= b.when <= period[1]]
        for grain, member in [("organisation", "organisation"), *(("community", b.community) for b in sent)]:
            mine = [b for b in sent if grain == "organisation" or b.community == member]
            if mine:
                came = [a for a in given if a.batch in mine]
                yield from _response(grain, member, period, mine, came)


def _response(grain: str, member: str, period: Period, sent: list[Batch], came: list[Answer]) -> Iterator[Row]:
    invited = sum(b.invited for b in sent)
    whole_of_it = grain == "organisation"
    shown = whole_of_it or min(_people(came), invited) >= HIDDEN
    value = _nine(Fraction(100 * len(came), invited)) if shown else None
    status = _status(came, period, whole_of_it)
    if not shown:
        status = "insufficient"
    yield (f"{grain}:response_rate", member, *period[:2], value, invited, status)


def _about(grain: str, member: str, period: Period, inside: list[Answer], always: bool) -> Iterator[Row]:
    n = len(inside)
    shown = always or _people(inside) >= HIDDEN
    best = sum(a.score in (4, 5) for a in inside)
    mean = _nine(Fraction(sum(a.score for a in inside), n)) if shown else None
    share = _nine(Fraction(100 * best, n)) if shown else None
    yield (grain, member, *period[:2], mean, n, _status(inside, period, always))
    yield (f"{grain}:share_of_best", member, *period[:2], share, n, _status(inside, period, always))


def _people(answers: list[Answer]) -> int:
    named = {a.respondent for a in answers if a.respondent}
    return len(named) + sum(not a.respondent for a in answers)


def _status(answers: list[Answer], period: Period, always: bool) -> str:
    if len(answers) < FEW or (not always and _people(answers) < HIDDEN):
        return "insufficient"
    return "ok" if period[2] else "to date"


def _nine(value: Fraction) -> str:
    """Nine decimals, half up."""
    scaled = (2 * value.numerator * 10**9 + value.denominator) // (2 * value.denominator)
    return f"{scaled // 10**9}.{scaled % 10**9:09}"


def _periods(world: World) -> list[Period]:
    """Months and calendar quarters, each set of days once, with whether they are over."""
    last = world.period.last
    ends: dict[tuple[date, date], bool] = {}
    for month in _months(world):
        quarter = month.replace(month=month.month - (month.month - 1) % 3)
        for start, end in ((month, _last_of(month)), (quarter, _last_of(_plus_months(quarter, 2)))):
            days = (start, min(end, last))
            ends[days] = ends.get(days, False) or end <= last
    return [(start, end, over) for (start, end), over in sorted(ends.items())]


# -- publications ----------------------------------------------------------------------------------


def _works(world: World, communities: list[str]) -> list[Work]:
    found = []
    for month in _months(world):
        rng = dice(world.seed, "works", month)
        for number in range(whole(rng, 3, 11)):
            kind = "publication" if rng.random() < 0.65 else "presentation"
            doi = f"10.{whole(rng, 1000, 99999)}/{code(rng, 3)}.{code(rng, 6)}" if rng.random() < 0.7 else ""
            title = f"{pick(rng, WORDS[:10])} {pick(rng, WORDS[10:])}, {code(rng, 4)} & {number}"
            of = tuple(sorted({pick(rng, communities) for _ in range(whole(rng, 1, 2))}))
            found.append(Work(_day_in(rng, month), doi, title, kind, of))
    return [w for w in found if world.period.first <= w.when <= world.period.last]


def _write_publications(folder: Path, world: World, works: list[Work], rejected: Counter[tuple[str, str]]) -> None:
    rows: list[Row] = [("date", "doi", "title", "kind", "community", "url")]
    for work in works:
        rng = dice(world.seed, "reported", work.title)
        of = "; ".join(work.communities)
        url = f"https://works.example.org/{code(rng, 8)}"
        rows.append((work.when, work.doi, work.title, work.kind, of, url))
        if rng.random() < 0.3:
            rows.append(_reported_again(rng, work, of))
    if len(works) >= 100:
        rejected["publications", "invalid:doi"] += 1
        rows.append((world.period.last, "doi to follow", "A paper that has no DOI yet", "publication", "", ""))
    _write(folder / "publications" / "works.csv", rows)


def _reported_again(rng: Random, work: Work, of: str) -> Row:
    """The same work as somebody else writes it."""
    spellings: tuple[Callable[[str], str], ...] = (
        lambda doi: f"https://doi.org/{doi.upper()}",
        lambda doi: f"doi: {doi}.",
        lambda doi: f"http://dx.doi.org/{doi}",
        lambda _: "",
    )
    doi = pick(rng, spellings)(work.doi) if work.doi else ""
    return (work.when, doi, work.title.upper().replace("&", "-") + ".", work.kind, of, "")


def _publications(world: World, works: list[Work]) -> Iterator[Row]:
    yield ("grain", "member", "period_start", "period_end", "value", "status")
    for start, end, over in _periods(world):
        inside = [w for w in works if start <= w.when <= end]
        status = "ok" if over else "to date"
        if works and end >= min(w.when for w in works):
            yield ("organisation", "organisation", start, end, len(inside), status)
            for kind in ("publication", "presentation"):
                count = sum(w.kind == kind for w in inside)
                yield (f"organisation:{kind}", "organisation", start, end, count, status)
        for community in sorted({c for w in inside for c in w.communities}):
            yield ("community", community, start, end, sum(community in w.communities for w in inside), status)


# -- charges ---------------------------------------------------------------------------------------


def _charges(world: World, communities: list[str]) -> list[Charge]:
    """Contracts that run over months, some beyond the last day, and services charged by the month."""
    found = []
    for place, community in enumerate(communities):
        rng = dice(world.seed, "charges", community)
        first = world.period.date_of(whole(rng, 0, world.period.days - 1))
        listed = whole(rng, 400_000, 3_000_000)
        charged = listed * whole(rng, 40, 100) // 100
        contract = f"C-{place + 1:03}"
        found.append(
            Charge(f"{contract}-1", community, contract, first, first + timedelta(whole(rng, 20, 500)), listed, charged)
        )
        for month in _months(world):
            if rng.random() < 0.5:
                listed = whole(rng, 5_000, 90_000)
                charged = listed * whole(rng, 70, 104) // 100  # sometimes above the list price
                charge_id = f"{contract}-{month:%Y%m}"
                found.append(Charge(charge_id, community, contract, month, _last_of(month), listed, charged))
    return found


def _write_charges(folder: Path, world: World, charges: list[Charge], rejected: Counter[tuple[str, str]]) -> None:
    header = (*("charge_id", "community", "contract", "month", "service_start", "service_end"),)
    rows: list[Row] = [(*header, "list_price", "charged_price", "currency")]
    rows += [_charge_row(c) for c in charges]
    rows += [_charge_row(c) for c in charges[::25]]  # the same again does no harm
    if len(charges) > 150:
        rejected["charges", "negative:charged_price"] += 1
        rows.append(("", "", "C-bad", f"{world.period.first:%Y-%m}", "", "", "10.00", "-1.00", "USD"))
        rejected["charges", "other_currency"] += 1
        rows.append(("", "", "C-bad", f"{world.period.first:%Y-%m}", "", "", "10.00", "1.00", "EUR"))
    _write(folder / "charges" / "charges.csv", rows)


def _charge_row(c: Charge) -> Row:
    is_month = c.first.day == 1 and c.last == _last_of(c.first)
    days = (f"{c.first:%Y-%m}", "", "") if is_month else ("", c.first, c.last)
    return (c.charge_id, c.community, c.contract, *days, _money(c.list_cents), _money(c.charged_cents), "USD")


def _money(cents: int) -> str:
    return f"{Decimal(cents) / 100:.2f}"


def _cost_reduction(world: World, charges: list[Charge]) -> Iterator[Row]:
    yield ("period_start", "period_end", "value", "n", "status")
    last = world.period.last
    sums: dict[date, int] = defaultdict(int)
    seen: Counter[date] = Counter()
    for charge in charges:
        for month, (cents, days) in _by_month(charge).items():
            counted = [day for day in days if day <= last]
            if counted:
                so_far = Decimal(cents) * len(counted) / len(days)
                sums[month] += int(so_far.quantize(Decimal(1), ROUND_HALF_UP))
                seen[month] += 1
    month = min(sums)
    while month <= last:
        end = _last_of(month)
        status = "no data" if not seen[month] else "ok" if end <= last else "to date"
        yield (month, min(end, last), _money(sums[month]) if seen[month] else None, seen[month], status)
        month = _plus_months(month, 1)


def _by_month(charge: Charge) -> dict[date, tuple[int, list[date]]]:
    """Cents and days of each month: cent by cent, to the month that is furthest below its share."""
    days = [charge.first + timedelta(n) for n in range((charge.last - charge.first).days + 1)]
    months: dict[date, list[date]] = defaultdict(list)
    for day in days:
        months[day.replace(day=1)].append(day)
    cents = charge.list_cents - charge.charged_cents
    shares = {month: Fraction(abs(cents) * len(inside), len(days)) for month, inside in months.items()}
    given = {month: int(share) for month, share in shares.items()}
    for month in sorted(months, key=lambda m: (given[m] - shares[m], m))[: abs(cents) - sum(given.values())]:
        given[month] += 1
    sign = -1 if cents < 0 else 1
    return {month: (sign * given[month], inside) for month, inside in months.items()}


# -- declarations ----------------------------------------------------------------------------------


def _declarations(world: World, communities: list[str]) -> list[Declaration]:
    """Some say yes, some no, some nothing; of those that say yes, some only for a time, and some change their mind."""
    found = []
    first = world.period.first - timedelta(days=100)
    for place, community in enumerate(communities):
        rng = dice(world.seed, "declaration", community)
        middle = world.period.date_of(world.period.at(0.3 + 0.4 * rng.random()))
        answer = place % 6
        if answer in (0, 1):
            end = middle if answer == 1 and place % 12 == 1 else None
            found.append(Declaration(community, True, first, end, first))
        elif answer == 2:
            found.append(Declaration(community, False, first, None, first))
        elif answer == 3:
            found.append(Declaration(community, False, first, None, first))
            found.append(Declaration(community, True, middle, None, middle))
    return found


def _write_communities(folder: Path, declarations: list[Declaration]) -> None:
    header = ("community", "historically_marginalised", "valid_from", "valid_to", "declared_by", "self_declared")
    rows = [
        (d.community, "yes" if d.is_marginalised else "no", d.first, d.end, "community", d.declared)
        for d in declarations
    ]
    _write(folder / "communities" / "declarations.csv", [header, *rows])


def _holds(declarations: list[Declaration], when: date) -> bool | None:
    """The last one declared of those that hold."""
    holding = [d for d in declarations if d.first <= when and (d.end is None or when < d.end)]
    return max(holding, key=lambda d: d.declared).is_marginalised if holding else None


def _marginalised(world: World, counted: pl.DataFrame, declarations: list[Declaration]) -> Iterator[Row]:
    yield ("date", "period_start", "marginalised", "declared")
    of: dict[str, list[Declaration]] = defaultdict(list)
    for declaration in declarations:
        of[declaration.community].append(declaration)
    yes: dict[date, set[str]] = defaultdict(set)
    either: dict[date, set[str]] = defaultdict(set)
    for day, served in counted.select("day", pl.col("community").cast(pl.List(pl.String))).unique().iter_rows():
        when = world.period.date_of(day)
        for community in served:
            said = _holds(of[community], when)
            if said is not None:
                either[when].add(community)
            if said:
                yes[when].add(community)
    first_use = min(counted["day"], default=world.period.days)
    for day in range(first_use, world.period.days):
        last = world.period.date_of(day)
        start = _six_months_before(last)
        window = [start + timedelta(days=n) for n in range((last - start).days + 1)]
        parts = (set[str]().union(*(found.get(when, set()) for when in window)) for found in (yes, either))
        yield (last, start, *map(len, parts))


def _six_months_before(last: date) -> date:
    end = last + timedelta(days=1)
    month = _plus_months(end.replace(day=1), -6)
    return month.replace(day=min(end.day, _last_of(month).day))
