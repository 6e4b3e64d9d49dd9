"""Issues, pull requests and upstream work of the simulated organisation: pages of GitHub's API, and their ground truth.

Never here: code of the pipeline. The truth walks through every issue's own story, second by second where it must.
"""

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, time, timedelta
from fractions import Fraction
from random import Random
from typing import Final

from kpi_pipeline.sample.dice import dice, pick, whole
from kpi_pipeline.sample.period import Period, windows
from kpi_pipeline.sample.write import csv_line

OWN: Final = ("example-hubs/infrastructure", "example-hubs/hub-templates")
TECHNICAL: Final = ("example-hubs/web", "example-hubs/mobile", "example-hubs/services")
TEAMS: Final = {
    "example-hubs/infrastructure": "infrastructure",
    **dict(zip(TECHNICAL, ("frontend engineers", "mobile engineers", "backend engineers"), strict=True)),
}
UPSTREAM: Final = ("open-notebooks/spawner", "open-notebooks/content-tools")
STAFF: Final = ("ada-hub", "Bo-Jansen", "chiara-m", "dmitri-ops", "eun-ji", "farah-b")
OUTSIDERS: Final = ("prof-green", "student42", "dr-blue", "course-lead")
BOT: Final = "renewals[bot]"  # by its type
HELPER: Final = "hubs-helper"  # an ordinary account: a bot by the reviewed list
PAGE: Final = 100
NEVER: Final = datetime.max
OPENS, CLOSES, SATURDAY = time(9), time(17), 5


@dataclass(frozen=True)
class Event:
    at: datetime
    kind: str
    who: str = ""  # the assignee, or the label
    reason: str | None = None


@dataclass
class Issue:
    """An issue's story. `number` is 0 until it has one in `repository`."""

    repository: str
    number: int
    id: int
    opened: datetime
    author: str
    is_pull: bool = False
    events: list[Event] = field(default_factory=list)
    arrived: datetime | None = None
    left: datetime | None = None
    title: str = ""
    body: str = ""

    @property
    def seen(self) -> list[Event]:
        """What this repository's copy shows: nothing from after it was transferred away."""
        return [e for e in self.events if self.left is None or e.at < self.left]


@dataclass
class GitHubWorld:
    issues: list[Issue]
    contributions: list[tuple[datetime, str, str, str]]  # at, project, kind, who
    affiliations: list[tuple[str, date, date | None]]
    work: list[tuple[date, str, str, int, str]]
    period: Period


def make_github(seed: int, period: Period, requests: Iterable[Issue], technical: Iterable[Issue]) -> GitHubWorld:
    """Issues with a life of their own, and with them those that ask for hubs, and those of the technical teams."""
    issues = [*(_issue(seed, n, period) for n in range(max(6, period.days // 2))), *requests]
    issues.sort(key=lambda issue: issue.opened)
    for repository in OWN:
        mine = [issue for issue in issues if issue.repository == repository]
        for number, issue in enumerate(mine, 1):
            issue.number = number
    issues += [*_transfers(seed, issues, period), *technical]
    rng = dice(seed, "affiliations")
    begins = [period.first - timedelta(days=whole(rng, 0, 300)) for _ in STAFF]
    ends = [None if n % 3 else period.date_of(period.at(0.6)) for n in range(len(STAFF))]
    affiliations = list(zip(STAFF, begins, ends, strict=True))
    work = [
        (period.date_of(4 * k), UPSTREAM[k % 2], ("maintenance", "mentoring")[k % 3 == 0], 1 + k % 4, "by hand")
        for k in range(period.days // 4)
    ]
    return GitHubWorld(issues, _contributions(seed, period), affiliations, work, period)


def _moment(rng: Random, first: datetime, last: datetime) -> datetime:
    return first + timedelta(seconds=whole(rng, 1, max(1, int((last - first).total_seconds()) - 1)))


def _end(period: Period) -> datetime:
    return datetime.combine(period.last, time()) + timedelta(days=1)


def _issue(seed: int, number: int, period: Period) -> Issue:
    rng = dice(seed, "issue", number)
    end = _end(period)
    opened = _moment(rng, datetime.combine(period.first, time()), end - timedelta(hours=2))
    author = BOT if rng.random() < 0.08 else pick(rng, STAFF + OUTSIDERS)
    issue = Issue(OWN[rng.random() < 0.4], 0, 700_000 + number, opened, author, is_pull=rng.random() < 0.15)
    at = opened
    is_open, assigned = True, []
    for _ in range(whole(rng, 0, 9)):
        at = at + timedelta(seconds=whole(rng, 60, 12 * 86400))
        if at >= end - timedelta(seconds=1):
            break
        chance = rng.random()
        if not is_open:
            if chance < 0.35:
                issue.events.append(Event(at, "reopened"))
                is_open = True
            continue
        if chance < 0.40:
            who = HELPER if rng.random() < 0.15 else pick(rng, STAFF)
            if who not in assigned:
                issue.events.append(Event(at, "assigned", who))
                assigned.append(who)
        elif chance < 0.52 and assigned:
            issue.events.append(Event(at, "unassigned", assigned.pop(0)))
        elif chance < 0.62:
            issue.events.append(Event(at, "labeled", pick(rng, ("bug", "enhancement", "documentation"))))
        else:
            reason = ("completed", "completed", "completed", "not_planned", "duplicate")[whole(rng, 0, 4)]
            issue.events.append(Event(at, "closed", reason=reason))
            is_open = False
    return issue


def _transfers(seed: int, issues: list[Issue], period: Period) -> list[Issue]:
    """Some issues move to the other repository on the way: their story goes on there, under another number."""
    rng = dice(seed, "transfers")
    copies: list[Issue] = []
    for place, issue in enumerate([i for i in issues if not i.is_pull and i.repository == OWN[1]]):
        if place % 12 != 3:
            continue
        issue.left = _moment(rng, issue.opened, min(_end(period), issue.opened + timedelta(days=9)))
        number = 1 + max(i.number for i in [*issues, *copies] if i.repository == OWN[0])
        copies.append(
            Issue(OWN[0], number, 800_000 + place, issue.opened, issue.author, events=issue.events, arrived=issue.left)
        )
    return copies


def _contributions(seed: int, period: Period) -> list[tuple[datetime, str, str, str]]:
    found = []
    for n in range(max(8, period.days // 3)):
        rng = dice(seed, "upstream", n)
        at = _moment(rng, datetime.combine(period.first, time()), _end(period))
        kind = ("merged_pull_request", "unmerged", "review", "issue", "comment", "release")[whole(rng, 0, 5)]
        who = BOT if rng.random() < 0.06 else pick(rng, STAFF + OUTSIDERS[:2])
        found.append((at, pick(rng, UPSTREAM), kind, who))
    return sorted(found)


# -- the API's answers -----------------------------------------------------------------------------


def github_files(world: GitHubWorld, more: dict[str, list[dict[str, object]]]) -> dict[str, bytes]:
    """Every page by its path below the sample, with those that are made elsewhere."""
    pages = dict(more)
    for repository in (*OWN, *TECHNICAL):
        mine = [issue for issue in world.issues if issue.repository == repository]
        listed = sorted((_listed(issue) for issue in mine), key=lambda item: (str(item["updated_at"]), str(item["id"])))
        # A page that was fetched earlier shows some of them as they were then.
        older = [_as_it_was(issue) for issue in mine[::9] if not issue.is_pull]
        pages[f"{repository}/issues"] = older + listed
        events = [_event(issue, place, e) for issue in mine for place, e in enumerate(_events(issue))]
        pages[f"{repository}/events"] = sorted(events, key=lambda item: (str(item["created_at"]), str(item["id"])))
    _spoil(pages, world)
    for number, (at, project, kind, who) in enumerate(world.contributions, 1):
        _contribute(pages, number, at, project, kind, who)
    files = {}
    for stream, objects in sorted(pages.items()):
        suffix = ".json.gz" if stream.startswith(TECHNICAL) else ".json"
        for page in range(0, len(objects), PAGE):
            files[f"github/{stream}/page-{page // PAGE + 1:03d}{suffix}"] = _page(objects[page : page + PAGE])
    files["affiliations/people.csv"] = _affiliations(world)
    files["upstream_work/work.csv"] = _work(world)
    return files


def _page(objects: list[dict[str, object]]) -> bytes:
    return b"[" + b",\n".join(json.dumps(o, separators=(",", ":")).encode() for o in objects) + b"]\n"


def account(login: str) -> dict[str, object]:
    return {"login": login, "type": "Bot" if login.endswith("[bot]") else "User"}


def stamp(at: datetime | None) -> str | None:
    return f"{at:%Y-%m-%dT%H:%M:%SZ}" if at else None


def _listed(issue: Issue) -> dict[str, object]:
    toggles = [e for e in issue.seen if e.kind in ("closed", "reopened")]
    last = toggles[-1] if toggles else None
    is_closed = last is not None and last.kind == "closed"
    item: dict[str, object] = {
        "id": issue.id,
        "number": issue.number,
        "title": issue.title or f"Issue {issue.number}",
        "body": issue.body or None,
        "user": account(issue.author),
        "state": "closed" if is_closed else "open",
        "state_reason": (last.reason if is_closed else "reopened") if last else None,
        "created_at": stamp(issue.opened),
        "updated_at": stamp(max([issue.opened, issue.arrived or issue.opened, *(e.at for e in issue.seen)])),
        "closed_at": stamp(last.at) if last and is_closed else None,
        "labels": _labels(issue),
    }
    if issue.is_pull:
        item["pull_request"] = {"merged_at": None}
    return item


def _labels(issue: Issue) -> list[str]:
    on = set[str]()
    for event in issue.seen:
        if event.kind in ("labeled", "unlabeled"):
            (on.add if event.kind == "labeled" else on.discard)(event.who)
    return sorted(on)


def _as_it_was(issue: Issue) -> dict[str, object]:
    return _listed(replace(issue, events=[], arrived=None, left=None))


def _events(issue: Issue) -> list[Event]:
    moved = [Event(issue.arrived, "transferred")] if issue.arrived else []
    return sorted([*issue.seen, *moved], key=lambda e: e.at)


def _event(issue: Issue, place: int, event: Event) -> dict[str, object]:
    about: dict[str, object] = {"number": issue.number}
    if issue.is_pull:
        about["pull_request"] = {}
    item: dict[str, object] = {
        "id": issue.id * 100 + place,
        "event": event.kind,
        "actor": account(event.who if event.kind == "assigned" else STAFF[0]),
        "created_at": stamp(event.at),
        "issue": about,
    }
    if event.kind in ("assigned", "unassigned"):
        item["assignee"] = account(event.who)
    if event.kind in ("labeled", "unlabeled"):
        item["label"] = {"name": event.who}
    if event.kind == "closed" and event.reason != "completed":
        item["state_reason"] = event.reason
    return item


def _contribute(
    pages: dict[str, list[dict[str, object]]], number: int, at: datetime, project: str, kind: str, who: str
) -> None:
    item: dict[str, object] = {"id": 900_000 + number, "user": account(who)}
    early = at - timedelta(days=1)
    match kind:
        case "merged_pull_request" | "unmerged":
            merged = stamp(at) if kind != "unmerged" else None
            item |= {"number": number, "state": "closed", "created_at": stamp(early), "updated_at": stamp(at)}
            pages.setdefault(f"{project}/pulls", []).append({**item, "merged_at": merged})
        case "review":
            pages[f"{project}/reviews/{number}"] = [{**item, "state": "APPROVED", "submitted_at": stamp(at)}]
        case "issue":
            item |= {"number": number, "state": "open", "created_at": stamp(at), "updated_at": stamp(at)}
            pages.setdefault(f"{project}/issues", []).append(item)
        case "comment":
            comment = {**item, "actor": account(who), "event": "commented", "created_at": stamp(at)}
            pages[f"{project}/timeline/{number}"] = [comment, {"event": "cross-referenced", "source": {}}]
        case _:
            release = {"id": 900_000 + number, "author": account(who), "published_at": stamp(at)}
            pages.setdefault(f"{project}/releases", []).append(release)


def _spoil(pages: dict[str, list[dict[str, object]]], world: GitHubWorld) -> None:
    """One object of each kind that can't be used; `SPOILT` says which."""
    issues, events = pages[f"{OWN[0]}/issues"], pages[f"{OWN[0]}/events"]
    at = stamp(datetime.combine(world.period.last, time(12)))
    good = {"number": 9001, "user": account(STAFF[0]), "state": "open", "created_at": at, "updated_at": at}
    first = next(i for i in world.issues if i.repository == OWN[0] and not i.is_pull)
    listed = next(item for item in reversed(issues) if item["id"] == first.id)
    issues.append({**listed, "state_reason": "not_planned" if listed["state_reason"] != "not_planned" else "duplicate"})
    issues.append({**good, "id": 1, "state": 7})
    issues.append({**good, "id": 2, "user": {"login": 42, "type": "User"}})
    issues.append({**good, "id": 3, "state": "closed", "closed_at": stamp(first.opened - timedelta(days=900))})
    issues.append({**good, "id": 4, "number": "nine"})
    about = {"number": first.number}
    early = stamp(first.opened - timedelta(days=1))
    events.append({"id": 11, "event": "closed", "actor": account(STAFF[0]), "created_at": early, "issue": about})
    events.append({"id": 12, "event": "closed", "created_at": "yesterday", "issue": about})
    events.append({"id": 13, "event": "closed", "created_at": at, "issue": {"number": 99_999}})


SPOILT: Final = (
    ("github", "conflicting_duplicate", 1),
    ("github", "wrong_type:state", 1),
    ("github", "wrong_type:actor", 1),
    ("github", "wrong_type:number", 1),
    ("github", "closed_before_opened", 2),
    ("github", "invalid:happened_at", 1),
    ("github", "unknown_issue", 1),
    ("upstream_work", "invalid:count", 1),
)


def _affiliations(world: GitHubWorld) -> bytes:
    rows = [(login.upper() if n == 2 else login, str(first), str(last or ""))
            for n, (login, first, last) in enumerate(world.affiliations)]  # fmt: skip
    return b"".join(csv_line(row) for row in [("login", "from", "to"), *rows])


def _work(world: GitHubWorld) -> bytes:
    rows = [(str(day), project, kind, str(count), text) for day, project, kind, count, text in world.work]
    header = ("date", "project", "kind", "count", "description")
    return b"".join(csv_line(row) for row in [header, *rows, (str(world.period.last), UPSTREAM[0], "event", "1,5", "")])


# -- the truth -------------------------------------------------------------------------------------

FLOWS: Final = ("opened", "reopened", "completed", "not_planned", "duplicate", "transferred_in", "transferred_out")


def github_truth(world: GitHubWorld, more_spoilt: Sequence[tuple[str, str, int]]) -> dict[str, bytes]:
    """What has to be found, by path below the sample."""
    return {
        "truth/issue_flows.csv": b"".join(csv_line(row) for row in _flow_rows(world)),
        "truth/issue_completion_time.csv": b"".join(csv_line(row) for row in _completion_rows(world)),
        "truth/upstream_contributions.csv": b"".join(csv_line(row) for row in _contribution_rows(world)),
        "truth/github_quarantine.csv": b"".join(
            csv_line(row)
            for row in [("source", "reason", "rows"), *((s, r, str(n)) for s, r, n in (*SPOILT, *more_spoilt))]
        ),
    }


def _grains(issue: Issue) -> list[tuple[str, str]]:
    grains = [("organisation", "organisation"), ("repository", issue.repository)]
    return [*grains, ("team", TEAMS[issue.repository])] if issue.repository in TEAMS else grains


def _walk(issue: Issue) -> list[tuple[datetime, str]]:
    """What happened to the number of open issues of its repository, in order."""
    found, is_open = [], True
    steps = [(issue.opened, "opened", None), *((e.at, e.kind, e.reason) for e in issue.events)]
    if issue.arrived:
        steps.append((issue.arrived, "arrived", None))
    for at, kind, reason in sorted(steps, key=lambda step: step[0]):
        if issue.left is not None and at >= issue.left:
            break
        if kind == "arrived":
            found += [(at, "transferred_in")] if is_open else []
            continue
        if kind in ("opened", "closed", "reopened"):
            is_open = kind != "closed"
            if issue.arrived is None or at >= issue.arrived:
                found.append((at, reason or kind))
    if issue.left is not None and is_open:
        found.append((issue.left, "transferred_out"))
    return found


def _months(period: Period) -> list[tuple[date, date]]:
    """First and last day of each month; the running one ends on the last day."""
    found, first = [], period.first.replace(day=1)
    while first <= period.last:
        following = (first + timedelta(days=31)).replace(day=1)
        found.append((first, min(following - timedelta(days=1), period.last)))
        first = following
    return found


def _quarters(period: Period) -> list[tuple[date, date]]:
    """First day of each calendar quarter, and the last day of its last month that is simulated."""
    return list({first.replace(month=(first.month - 1) // 3 * 3 + 1): last for first, last in _months(period)}.items())


def _flow_rows(world: GitHubWorld) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = [("grain", "member", "period_start", "period_end", "value", *FLOWS, "open_at_end")]
    counts: Counter[tuple[str, str, str, date]] = Counter()
    for issue in world.issues:
        if not issue.is_pull:
            for at, flow in _walk(issue):
                for grain, member in _grains(issue):
                    counts[grain, member, flow, at.date()] += 1
    for grain, member in sorted({(g, m) for g, m, _, _ in counts}):
        began = min(day for g, m, _, day in counts if (g, m) == (grain, member))
        open_issues = 0
        for first, last in _months(world.period):
            n = {
                flow: sum(v for (g, m, f, day), v in counts.items() if (g, m, f) == (grain, member, flow)
                          and first <= day <= last)
                for flow in FLOWS
            }  # fmt: skip
            closed = n["completed"] + n["not_planned"] + n["duplicate"]
            opened = n["opened"] + n["reopened"]
            open_issues += opened - closed + n["transferred_in"] - n["transferred_out"]
            if last >= began:
                parts = (closed - opened, *(n[flow] for flow in FLOWS), open_issues)
                rows.append((grain, member, str(first), str(last), *map(str, parts)))
    return rows


def _clock(issue: Issue, end: datetime) -> tuple[datetime | None, int, int, bool]:
    """Final completed close, seconds and business seconds open and assigned, and whether it is assigned now."""
    begin = issue.arrived or issue.opened
    is_open, assigned, since = True, set[str](), NEVER
    seconds = business = 0
    closed = None
    for event in [*issue.seen, Event(end, "end")]:
        if is_open and assigned and event.at > max(since, begin):
            seconds += int((event.at - max(since, begin)).total_seconds())
            business += _business(max(since, begin), event.at)
        since = event.at
        match event.kind:
            case "closed":
                is_open, closed = False, event.at if event.reason == "completed" else None
            case "reopened":
                is_open, closed = True, None
            case "assigned" if event.who != HELPER:
                assigned.add(event.who)
            case "unassigned":
                assigned.discard(event.who)
    return closed, seconds, business, is_open and bool(assigned)


def _business(first: datetime, last: datetime) -> int:
    total, day = 0, first.date()
    while day <= last.date():
        if day.weekday() < SATURDAY:
            opens, closes = max(first, datetime.combine(day, OPENS)), min(last, datetime.combine(day, CLOSES))
            total += max(0, int((closes - opens).total_seconds()))
        day += timedelta(days=1)
    return total


def _completion_rows(world: GitHubWorld) -> list[tuple[str, ...]]:
    end = _end(world.period)
    done: dict[tuple[str, str], list[tuple[date, int, int]]] = {}
    ageing: dict[tuple[str, str], list[int]] = {}
    for issue in world.issues:
        if issue.is_pull or (walked := _walk(issue)) == [] or walked[-1][1] == "transferred_out":
            continue
        humans = [e.at for e in issue.seen if e.kind == "assigned" and e.who != HELPER]
        if not humans:
            continue
        closed, seconds, business, is_assigned = _clock(issue, end)
        for place in _grains(issue):
            if closed is not None and humans[0] < closed:
                done.setdefault(place, []).append((closed.date(), seconds, business))
            elif is_assigned:
                ageing.setdefault(place, []).append(seconds)
    rows: list[tuple[str, ...]] = [("grain", "member", "period_start", "period_end", "value", "n")]
    for (grain, member), cases in sorted(done.items()):
        began = min(day for day, _, _ in cases)
        spans = [("", *days) for days in _months(world.period)]
        spans += [("quarter", *days) for days in _quarters(world.period)]
        spans += [("rolling_30_days", *days) for days in windows(began, world.period.last)]
        for span, first, last in spans:
            mine = [(s, b) for day, s, b in cases if first <= day <= last]
            if last >= began and (mine or span != "rolling_30_days" or grain == "organisation"):
                for statistic, value in _statistics(mine):
                    name = ":".join(filter(None, (grain, "_".join(filter(None, (span, statistic))))))
                    rows.append((name, member, str(first), str(last), value, str(len(mine))))
    today = str(world.period.last)
    for (grain, member), ages in sorted(ageing.items()):
        n = str(len(ages))
        rows.append((f"{grain}:open_assigned", member, today, today, n, n))
        rows.append((f"{grain}:open_assigned_age", member, today, today, _hours(Fraction(sum(ages), len(ages))), n))
    return rows


def _statistics(cases: list[tuple[int, int]]) -> list[tuple[str, str]]:
    names = ("", "business_hours", "median", "p90")
    if not cases:
        return [(name, "") for name in names]
    elapsed = sorted(s for s, _ in cases)
    means = (Fraction(sum(elapsed), len(cases)), Fraction(sum(b for _, b in cases), len(cases)))
    values = (*means, quantile(elapsed, Fraction(1, 2)), quantile(elapsed, Fraction(9, 10)))
    return [(name, _hours(value)) for name, value in zip(names, values, strict=True)]


def quantile(numbers: list[int], q: Fraction) -> Fraction:
    position = (len(numbers) - 1) * q
    low = int(position)
    high = min(low + 1, len(numbers) - 1)
    return numbers[low] + (numbers[high] - numbers[low]) * (position - low)


def _hours(seconds: Fraction) -> str:
    """To nine digits, half up."""
    billionths = int(seconds / 3600 * 10**9 + Fraction(1, 2))
    return f"{billionths // 10**9}.{billionths % 10**9:09d}"


def _contribution_rows(world: GitHubWorld) -> list[tuple[str, ...]]:
    counts: Counter[tuple[str, str, date]] = Counter()
    for at, project, kind, who in world.contributions:
        ours = [(first, last) for login, first, last in world.affiliations if login == who]
        if kind != "unmerged" and any(f <= at.date() and (last is None or at.date() < last) for f, last in ours):
            for grain, member in (("organisation", "organisation"), ("project", project), ("kind", kind)):
                counts[grain, member, at.date()] += 1
    for day, project, kind, count, _ in world.work:
        for grain, member in (("organisation", "organisation"), ("project", project), ("kind", kind)):
            counts[grain, member, day] += count
    rows: list[tuple[str, ...]] = [("grain", "member", "period_start", "period_end", "value")]
    for grain, member in sorted({(g, m) for g, m, _ in counts}):
        began = min(day for g, m, day in counts if (g, m) == (grain, member))
        for first, last in _months(world.period):
            if last >= began:
                value = sum(
                    v for (g, m, day), v in counts.items() if (g, m) == (grain, member) and first <= day <= last
                )
                rows.append((grain, member, str(first), str(last), str(value)))
    return rows
