"""Requests for hubs, and deployments with their statuses, in the simulated organisation; and how long each hub took.

Never here: code of the pipeline. The truth walks through the labels of every request, one after the other.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from fractions import Fraction
from pathlib import Path
from typing import Final

import polars as pl

from kpi_pipeline.sample.dice import dice, whole
from kpi_pipeline.sample.github import BOT, OWN, STAFF, Event, Issue, account, quantile, stamp
from kpi_pipeline.sample.hubs import Hub
from kpi_pipeline.sample.period import windows
from kpi_pipeline.sample.scores import Scoped, Seen, duration, ratio, rows, write_roles
from kpi_pipeline.sample.simulate import World
from kpi_pipeline.sample.support import periods
from kpi_pipeline.sample.write import csv_line

REQUEST: Final = "new-hub"
COMPLETE: Final = "request-complete"
WAITING: Final = ("waiting-for-community", "on-hold")
TERMINAL: Final = ("success", "failure", "error")
REDEPLOYED: Final = 8  # how many older hubs are deployed again and again
SPOILT: Final = (
    ("github", "names_no_hub", 1),
    ("github", "another_request_for_its_hub", 1),
    ("github", "deployed_before_complete", 1),
    ("github", "before_its_deployment", 1),
    ("github", "unknown_deployment", 1),
    ("github", "invalid:state", 1),
)


@dataclass(frozen=True)
class Deployment:
    id: int
    environment: str
    created: datetime
    statuses: tuple[tuple[datetime, str], ...]

    @property
    def ended(self) -> tuple[datetime, str] | None:
        return next((status for status in sorted(self.statuses) if status[1] in TERMINAL), None)


@dataclass(frozen=True)
class Rollouts:
    """`requests`: the hub that each asks for, where it counts; `spoilt`: those that don't."""

    requests: list[tuple[str, Issue]]
    spoilt: list[Issue]
    deployments: list[Deployment]

    @property
    def issues(self) -> list[Issue]:
        return [*(issue for _, issue in self.requests), *self.spoilt]


def make_rollouts(world: World) -> Rollouts:
    period = world.period
    begin, end = datetime.combine(period.first, time()), datetime.combine(period.last, time()) + timedelta(days=1)
    production = [hub for hub in world.hubs if hub.kind == "production"]
    made = Rollouts([], [], [])
    new = sorted((hub for hub in production if _start(hub) > begin + timedelta(days=2)), key=_start)
    starts = [(hub.hub_id, _start(hub)) for hub in new]
    # A whole cluster, of one hub, is set up from scratch in the last weeks.
    clusters = [hub.cluster for hub in production]
    alone = [hub for hub in production if clusters.count(hub.cluster) == 1 and hub not in new][:1]
    starts += [(hub.hub_id, end - timedelta(days=8, hours=9, minutes=40)) for hub in alone if len(clusters) > 1]
    for number, (hub_id, start) in enumerate(starts):
        rng = dice(world.seed, "request", hub_id)
        opened = max(begin + timedelta(hours=1), start - timedelta(seconds=whole(rng, 5 * 86400, 35 * 86400)))
        made.requests.append((hub_id, _request(number, hub_id, opened, start, end)))
        _deploy_new(made, hub_id, number, start, end)
    _ask_in_vain(made, production[0].cluster, begin, end)
    _deploy_again(made, world, [hub for hub in production if hub not in (*new, *alone)][:REDEPLOYED], end)
    _fail_to_finish(made, world, begin)
    return made


def _start(hub: Hub) -> datetime:
    return hub.versions[0].valid_from.astimezone(UTC).replace(tzinfo=None)


def _request(number: int, hub_id: str, opened: datetime, until: datetime, end: datetime) -> Issue:
    """Labels at tenths of the time until the hub is there; every fourth request has another story of waiting."""

    def at(tenths: int) -> datetime:
        return opened + timedelta(seconds=int((until - opened).total_seconds()) * tenths // 10)

    community, hold = WAITING
    story = [(0, "labeled", REQUEST)]
    if number % 5:
        story += [(2, "labeled", COMPLETE)]
    if number % 3 == 1:
        story += [(3, "unlabeled", COMPLETE), (4, "labeled", COMPLETE)]
    story += (
        [],
        [(5, "labeled", community), (6, "unlabeled", community)],
        [(5, "labeled", community), (6, "labeled", hold), (7, "unlabeled", community), (8, "unlabeled", hold)],
        [(1, "labeled", hold), (5, "unlabeled", hold), (9, "labeled", community), (12, "unlabeled", community)],
    )[number % 4]
    cluster, hub = hub_id.split("/")
    title = f"New hub: {cluster}/{hub}" if number % 2 else "A hub for our course"
    issue = Issue(OWN[0], 0, 750_000 + number, opened, STAFF[number % len(STAFF)], title=title)
    issue.body = "" if number % 2 else f"We have agreed on all but the date.\n\nNew hub: {cluster.upper()}/{hub}\n"
    events = [Event(at(tenths), kind, label) for tenths, kind, label in story]
    events.append(Event(until + timedelta(days=2), "closed", reason="completed"))
    issue.events = sorted((event for event in events if event.at < end), key=lambda event: event.at)
    return issue


def _add(made: Rollouts, environment: str, created: datetime, *statuses: tuple[datetime, str]) -> None:
    made.deployments.append(Deployment(40_000 + len(made.deployments), environment, created, statuses))


def _deploy(made: Rollouts, environment: str, ended: datetime, outcome: str, end: datetime) -> None:
    """Created some minutes before it ends; a success becomes inactive later. Statuses are listed newest first."""
    number = len(made.deployments)
    created = ended - timedelta(minutes=5 + 7 * (number % 5), seconds=number % 7)
    if ended < end:
        steps = [(ended, outcome)]
        if number % 6:
            steps.append((created + timedelta(seconds=40 + number % 90), "in_progress"))
        if outcome == "success" and ended + timedelta(days=9) < end:
            steps.insert(0, (ended + timedelta(days=9), "inactive"))
        _add(made, environment, created, *steps)


def _deploy_new(made: Rollouts, hub_id: str, number: int, start: datetime, end: datetime) -> None:
    if number % 3 == 0:
        _deploy(made, hub_id, start - timedelta(hours=5), ("failure", "error")[number % 2], end)
    _deploy(made, hub_id.upper() if number % 2 else hub_id, start, "success", end)
    _deploy(made, hub_id, start + timedelta(days=30), "success", end)


def _deploy_again(made: Rollouts, world: World, hubs: list[Hub], end: datetime) -> None:
    for hub in hubs:
        rng = dice(world.seed, "deployments", hub.hub_id)
        at = datetime.combine(world.period.first, time(12)) + timedelta(seconds=whole(rng, 0, 40 * 86400))
        while at < end:
            _deploy(made, hub.hub_id, at, "success" if rng.random() < 0.8 else "failure", end)
            at += timedelta(seconds=whole(rng, 20 * 86400, 90 * 86400))


def _ask_in_vain(made: Rollouts, cluster: str, begin: datetime, end: datetime) -> None:
    """Requests for hubs that aren't there yet, one of them declined, one asked for twice, and one for no hub."""
    for number in range(4):
        opened = max(begin + timedelta(hours=2 + number), end - timedelta(days=30 - 5 * number, seconds=number))
        hub_id = f"{cluster}/seminar-{number}"
        issue = _request(number, hub_id, opened, opened + (end - opened) * 12 // 10, end)
        issue.id = 760_000 + number
        if number == 3:
            issue.events.append(Event(end - timedelta(minutes=5), "closed", reason="not_planned"))
            made.spoilt.append(issue)
        else:
            made.requests.append((hub_id, issue))
    for number, title in enumerate((f"new hub:  {cluster}/Seminar-1", "Another hub, please")):
        opened = end - timedelta(minutes=30 - number)
        again = Issue(OWN[0], 0, 770_000 + number, opened, STAFF[0], title=title)
        again.events = [Event(opened, "labeled", REQUEST)]
        made.spoilt.append(again)


def _fail_to_finish(made: Rollouts, world: World, begin: datetime) -> None:
    """A hub that is complete only after it is deployed; deployments that don't end, or are not of a production hub."""
    asked = {hub_id for hub_id, _ in made.requests}
    older = [hub for hub in world.hubs if hub.kind == "production" and hub.hub_id not in asked]
    late = max(older, key=lambda hub: hub.hub_id)
    morning = begin + timedelta(hours=6)
    issue = Issue(OWN[0], 0, 780_000, morning, STAFF[1], title=f"New hub: {late.hub_id}")
    issue.events = [Event(morning, "labeled", REQUEST), Event(morning + timedelta(days=2), "labeled", COMPLETE)]
    made.spoilt.append(issue)
    ended = (morning + timedelta(hours=3), "success")
    _add(made, late.hub_id, morning, ended)
    _add(made, late.hub_id, morning + timedelta(hours=1), (morning + timedelta(hours=2), "pending"))
    _add(made, f"{late.cluster}/gone", morning, ended)
    _add(made, f"{late.cluster}/staging", morning, ended)
    _add(made, "documentation", morning, ended)


# -- the API's answers -----------------------------------------------------------------------------


def rollout_pages(made: Rollouts) -> dict[str, list[dict[str, object]]]:
    """Pages by repository and stream; one object of each kind that can't be used."""
    pages: dict[str, list[dict[str, object]]] = {f"{OWN[0]}/deployments": [_listed(one) for one in made.deployments]}
    for one in made.deployments:
        pages[f"{OWN[0]}/statuses/{one.id}"] = [
            {"id": one.id * 10 + place, "state": state, "created_at": stamp(at), "creator": account(BOT)}
            for place, (at, state) in enumerate(one.statuses)
        ]
    first = made.deployments[0]
    early = {"id": 21, "state": "success", "created_at": stamp(first.created - timedelta(hours=1))}
    misspelt = {"id": 22, "state": "succeeded", "created_at": stamp(first.created + timedelta(seconds=1))}
    pages[f"{OWN[0]}/statuses/{first.id}"] += [early, misspelt]
    pages[f"{OWN[0]}/statuses/39999"] = [{"id": 23, "state": "success", "created_at": stamp(first.created)}]
    return pages


def _listed(one: Deployment) -> dict[str, object]:
    newest = max([one.created, *(at for at, _ in one.statuses)])
    return {
        "id": one.id,
        "environment": one.environment,
        "creator": account(BOT),
        "created_at": stamp(one.created),
        "updated_at": stamp(newest),
    }


# -- the truth -------------------------------------------------------------------------------------


def rollout_truth(made: Rollouts, world: World, user_days: pl.DataFrame) -> dict[str, bytes]:
    """What has to be found, by path below the sample.

    Args:
        user_days: the qualifying ones.
    """
    header = ("grain", "member", "period_start", "period_end", "value", "n")
    rows = [header, *_rows(made, world, user_days)]
    outcomes = [
        (str(one.id), *(str(part) for part in one.ended or ("", ""))) for one in made.deployments
    ]  # fmt: skip
    return {
        "truth/hub_deployment_time.csv": b"".join(csv_line(row) for row in rows),
        "truth/deployments.csv": b"".join(
            csv_line(row) for row in [("deployment_id", "finished_at", "outcome"), *outcomes]
        ),
    }


def _deployed(made: Rollouts, hub_id: str) -> datetime | None:
    ends = [one.ended for one in made.deployments if one.environment.lower() == hub_id.lower()]
    return min((end[0] for end in ends if end and end[1] == "success"), default=None)


def _completed(issue: Issue) -> datetime:
    return max((e.at for e in issue.events if (e.kind, e.who) == ("labeled", COMPLETE)), default=issue.opened)


def _seconds(issue: Issue, until: datetime) -> int:
    """From complete to a moment, without the time under any label of waiting."""
    begin = _completed(issue)
    total, before, on = 0, begin, set[str]()
    for event in [*issue.events, Event(until, "end")]:
        now = min(max(event.at, begin), until)
        total += 0 if on else int((now - before).total_seconds())
        before = now
        if event.who in WAITING:
            (on.add if event.kind == "labeled" else on.discard)(event.who)
    return total


def _is_new_cluster(made: Rollouts, world: World, hub_id: str, at: datetime) -> bool:
    """Whether the cluster had no other production hub before that day, nor one that was deployed earlier on it."""
    others = [hub for hub in world.hubs if hub.kind == "production" and hub.hub_id != hub_id]
    for hub in (hub for hub in others if hub.cluster == hub_id.split("/")[0]):
        deployed = _deployed(made, hub.hub_id)
        if hub.versions[0].first_day < at.date() or (deployed is not None and deployed < at):
            return False
    return True


Timed = dict[tuple[str, str, str], list[tuple[date, int]]]


def _timed(made: Rollouts, world: World, user_days: pl.DataFrame) -> tuple[Timed, Timed]:
    """Of what is deployed and of what is open: day and seconds by grain, member and what is timed."""
    period, done, waiting = world.period, Timed(), Timed()
    days = user_days.select("hub", "day").unique().rows()
    for hub_id, issue in made.requests:
        at = _deployed(made, hub_id)
        places = [("organisation", "organisation"), ("hub", hub_id)]
        if at is None:
            age = _seconds(issue, datetime.combine(period.last, time()) + timedelta(days=1))
            for place in places:
                waiting.setdefault((*place, ""), []).append((period.last, age))
            continue
        used = [day for hub, n in days if hub == hub_id and (day := period.date_of(n)) >= at.date()]
        times = {"": _seconds(issue, at)}
        if used:
            times["first_use"] = _seconds(issue, max(at, datetime.combine(min(used), time())))
        is_new = _is_new_cluster(made, world, hub_id, at)
        for what, seconds in times.items():
            of_clusters = f"clusters_{what}".strip("_")
            more = [("cluster", hub_id.split("/")[0], what), ("organisation", "organisation", of_clusters)]
            for key in [*((*place, what) for place in places), *(more if is_new else [])]:
                done.setdefault(key, []).append((at.date(), seconds))
    return done, waiting


def _rows(made: Rollouts, world: World, user_days: pl.DataFrame) -> Iterator[tuple[str, ...]]:
    done, waiting = _timed(made, world, user_days)
    for what in ("", "first_use", "clusters", "clusters_first_use"):
        done.setdefault(("organisation", "organisation", what), [])
    production = _production(made, world)
    began = min([_completed(issue).date() for _, issue in made.requests] + [at.date() for at, _ in production])
    for first, last in periods(began, world.period.last):
        when = (str(first), str(last))
        for (grain, member, what), cases in sorted(done.items()):
            mine = sorted(seconds for day, seconds in cases if first <= day <= last)
            if mine or grain == "organisation":
                for figure, value in _figures(mine, with_quantiles=grain == "organisation" and "clusters" not in what):
                    name = "_".join(part for part in (what, figure) if part)
                    yield (f"{grain}:{name}".strip(":"), member, *when, value, str(len(mine)))
        here = [is_known for at, is_known in production if first <= at.date() <= last]
        if here:
            name = "organisation:unmatched_deployments"
            yield (name, "organisation", *when, str(here.count(False)), str(len(here)))
    for first, last in windows(began, world.period.last):
        for what in ("", "first_use"):
            cases = done["organisation", "organisation", what]
            mine = sorted(seconds for day, seconds in cases if first <= day <= last)
            for figure, value in _figures(mine, with_quantiles=True):
                name = "_".join(part for part in ("organisation:rolling_30_days", what, figure) if part)
                yield (name, "organisation", str(first), str(last), value, str(len(mine)))
    today = (str(world.period.last), str(world.period.last))
    for (grain, member, _), cases in sorted(waiting.items()):
        n = str(len(cases))
        yield (f"{grain}:open", member, *today, n, n)
        yield (f"{grain}:open_age", member, *today, _days(Fraction(sum(s for _, s in cases), len(cases))), n)


def write_deployment_truth(folder: Path, made: Rollouts, world: World) -> None:
    """deployments.csv: how production deployments ended, and how long they took."""
    ended = [(one, one.ended) for one, _ in _of_production(made, world)]
    seen = [Seen(end[0].date(), frozenset(), Fraction(end[1] == "success")) for _, end in ended if end is not None]
    times = [
        Seen(end[0].date(), frozenset(), Fraction((end[0] - _began(one, end[0])) // timedelta(seconds=1)))
        for one, end in ended
        if end is not None
    ]
    rate, time_ = (Scoped(f"devops_engineer.deployment_{what}") for what in ("success_rate", "time"))
    lines = rows([rate], seen, ratio(100), world.period, rolling=True)
    write_roles(folder / "deployments.csv", [*lines, *rows([time_], times, duration(60), world.period, rolling=True)])


def _began(one: Deployment, ended: datetime) -> datetime:
    return min((at for at, state in one.statuses if state == "in_progress" and at <= ended), default=one.created)


def _of_production(made: Rollouts, world: World) -> list[tuple[Deployment, bool]]:
    """Production deployments, and whether the hub of each is known."""
    kinds = {hub.hub_id: hub.kind for hub in world.hubs}
    named = [(one, kinds.get(one.environment.lower(), "")) for one in made.deployments if "/" in one.environment]
    return [(one, kind != "") for one, kind in named if kind != "staging"]


def _production(made: Rollouts, world: World) -> list[tuple[datetime, bool]]:
    """When each production deployment was created, and whether its hub is known."""
    return [(one.created, is_known) for one, is_known in _of_production(made, world)]


def _figures(seconds: list[int], *, with_quantiles: bool) -> list[tuple[str, str]]:
    names = ("", "median", "p90") if with_quantiles else ("",)
    if not seconds:
        return [(name, "") for name in names]
    values = (
        Fraction(sum(seconds), len(seconds)),
        quantile(seconds, Fraction(1, 2)),
        quantile(seconds, Fraction(9, 10)),
    )
    return [(name, _days(value)) for name, value in zip(names, values, strict=False)]


def _days(seconds: Fraction) -> str:
    """To nine digits, half up."""
    billionths = int(seconds / 86400 * 10**9 + Fraction(1, 2))
    return f"{billionths // 10**9}.{billionths % 10**9:09d}"
