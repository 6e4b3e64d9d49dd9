"""Issues of the technical teams in the simulated organisation, and the truth of the roles' KPIs on them.

Never here: the pages of GitHub's API (github.py), and code of the pipeline.
"""

import json
from collections.abc import Iterator
from datetime import datetime, time, timedelta
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Final

from kpi_pipeline.sample import delivery
from kpi_pipeline.sample.dice import dice, pick, weighted, whole
from kpi_pipeline.sample.github import OUTSIDERS, STAFF, TEAMS, TECHNICAL, Event, GitHubWorld, Issue
from kpi_pipeline.sample.period import Period
from kpi_pipeline.sample.scores import Case, Scoped, Seen, cohort_rows, duration, ratio, rows, write_roles

# Hours agreed on, and the label. The lowest is agreed on for none.
PRIORITIES: Final = {
    "urgent": (8, "priority: urgent"),
    "high": (24, "priority: high"),
    "normal": (72, "priority: normal"),
}
UNHURRIED: Final = "priority: someday"
LABEL_TEAMS: Final = {
    "team: design": "frontend design",
    "team: release": "mobile release",
    "team: operations": "backend operations",
}
API: Final = "area: api"
DEFECT: Final = "bug"
# Of each repository: issues a week, typical hours until one is resolved by priority, the team that a label may name.
PACE: Final = {
    TECHNICAL[0]: (2, (3, 10, 26, 60), "team: design"),
    TECHNICAL[1]: (2, (6, 22, 60, 90), "team: release"),
    TECHNICAL[2]: (3, (4, 12, 40, 80), "team: operations"),
}
SCOPES: Final = {
    "tech_team": (),
    "engineering_manager": (),
    "software_architect": ("area=api",),
    "quality_assurance_engineer": ("kind=defect",),
    **{f"{name}_team": (f"team={name}",) for name in ("frontend", "mobile", "backend")},
    **{f"{name}_engineers": (f"team={name} engineers",) for name in ("frontend", "mobile", "backend")},
}
# Where the windows of 30 days are worked out too: enough of them, in a file that stays small.
WITH_WINDOWS: Final = ("tech_team", "engineering_manager", "frontend_team")
HAVE_AGREED_TIMES: Final = ("tech_team", "engineering_manager", "frontend_team", "mobile_team", "backend_team")


def config() -> dict[str, str]:
    """The parts of [sources.github] in kpi.toml."""
    blocks = {
        "teams": {
            **{team: json.dumps([repository]) for repository, team in TEAMS.items()},
            **{team: f"{{ labels = {json.dumps([label])} }}" for label, team in LABEL_TEAMS.items()},
        },
        "areas": {"api": f"{{ labels = {json.dumps([API])} }}"},
        "kinds": {"defect": f"{{ labels = {json.dumps([DEFECT, 'defect'])} }}"},
        "priorities": {
            **{
                name: f"{{ labels = {json.dumps([label])}, hours = {hours} }}"
                for name, (hours, label) in PRIORITIES.items()
            },
            "someday": f"{{ labels = {json.dumps([UNHURRIED])} }}",
        },
    }
    tables = (
        "".join(
            [
                f"[sources.github.{name}]\n",
                *(f"{key if key.isalnum() else json.dumps(key)} = {value}\n" for key, value in keys.items()),
            ]
        )
        for name, keys in blocks.items()
    )
    return {"technical": json.dumps(list(TECHNICAL)), "mapped": "\n".join(tables)}


# -- what happens ----------------------------------------------------------------------------------


def technical_issues(seed: int, period: Period) -> list[Issue]:
    """The issues of the three repositories, numbered."""
    found = []
    for place, (repository, (weekly, _, _)) in enumerate(PACE.items()):
        rng = dice(seed, "technical", repository)
        begin = datetime.combine(period.first, time())
        last = period.days * 86400 - 7200
        opened = sorted(whole(rng, 0, last) for _ in range(max(3, period.days * weekly // 7)))
        for number, seconds in enumerate(opened, 1):
            issue = _issue(seed, repository, number, begin + timedelta(seconds=seconds), period)
            issue.id = 1_000_000 + 10_000 * place + number
            found.append(issue)
    return found


def _issue(seed: int, repository: str, number: int, opened: datetime, period: Period) -> Issue:
    rng = dice(seed, "technical", repository, number)
    _, hours, team = PACE[repository]
    issue = Issue(repository, number, 0, opened, pick(rng, STAFF + OUTSIDERS))
    at = opened + timedelta(seconds=whole(rng, 1, 600))
    urgency = weighted(rng, (15, 30, 45, 5, 5))
    labels = [*(label for _, label in PRIORITIES.values()), UNHURRIED][urgency : urgency + 1]
    labels += [DEFECT] if rng.random() < 0.45 else []
    labels += [API] if repository == TECHNICAL[2] and rng.random() < 0.5 else []
    labels += [team] if rng.random() < 0.25 else []
    story = [Event(at, "labeled", label) for label in labels]
    if labels and urgency and rng.random() < 0.1:
        # Found to be more urgent than it was thought to be.
        now = at + timedelta(minutes=whole(rng, 5, 300))
        story += (
            [Event(now, "unlabeled", labels[0]), Event(now, "labeled", PRIORITIES["urgent"][1])] if urgency < 3 else []
        )
    if rng.random() < 0.9:
        story.append(Event(at + timedelta(minutes=whole(rng, 1, 90)), "assigned", pick(rng, STAFF)))
    story += _ending(rng.random(), rng.random(), opened, hours[min(urgency, 3)])
    end = datetime.combine(period.last, time()) + timedelta(days=1)
    issue.events = sorted((event for event in story if event.at < end), key=lambda event: event.at)
    return issue


def _ending(fate: float, luck: float, opened: datetime, hours: int) -> Iterator[Event]:
    """Most are resolved in about the typical time, a few take long; some are declined, reopened, or stay open."""
    factor = 0.1 + 1.3 * luck if luck < 0.9 else 4
    resolved = opened + timedelta(seconds=660 + int(hours * 3600 * factor))
    if fate < 0.04:
        return
    if fate < 0.1:
        yield Event(resolved, "closed", reason="not_planned" if fate < 0.07 else "duplicate")
        return
    yield Event(resolved, "closed", reason="completed")
    if fate < 0.18:
        again = resolved + timedelta(seconds=int(86400 * (1 + 60 * luck)))
        yield Event(again, "reopened")
        if fate < 0.165:
            yield Event(again + timedelta(seconds=1800 + int(hours * 900)), "closed", reason="completed")


# -- the truth -------------------------------------------------------------------------------------


def write_technical_truth(folder: Path, world: GitHubWorld, period: Period) -> None:
    """issues.csv: how long technical issues take, whether in the time agreed on, and which defects are resolved."""
    issues = [(issue, labels) for issue in world.issues if (labels := _technical(issue)) is not None]
    times, due, defects = [], [], []
    for issue, labels in issues:
        states = _states(issue)
        places = _places(issue, labels)
        closed, last = states[-1]
        seconds = sum(
            (until - since).total_seconds() for (since, state), (until, _) in pairwise(states) if state == "open"
        )
        if last == "completed":
            times.append(Seen(closed.date(), places, Fraction(int(seconds))))
        agreed = next((hours for hours, label in PRIORITIES.values() if label in labels), None)
        limit = issue.opened + timedelta(hours=agreed) if agreed else None
        if limit and (last in ("open", "completed") or closed > limit):
            due.append(Seen(limit.date(), places, Fraction(last == "completed" and closed <= limit)))
        if "kind=defect" in places:
            worth = {"open": 0, "completed": 1}
            defects.append(Case(issue.opened.date(), [(at.date(), worth.get(state)) for at, state in states]))
    lines = cohort_rows(Scoped("quality_assurance_engineer.defects_resolved_rate"), defects, period)
    for role, scope in SCOPES.items():
        rolling = role in WITH_WINDOWS
        if role != "tech_team":
            kpi = Scoped(f"{role}.issue_resolution_time", scope)
            lines += rows([kpi], times, duration(3600), period, rolling=rolling)
        if role in HAVE_AGREED_TIMES:
            kpi = Scoped(f"{role}.issues_resolved_within_agreed_time", scope)
            lines += rows([kpi], due, ratio(100), period, rolling=rolling)
    write_roles(folder / "issues.csv", lines)


def _technical(issue: Issue) -> set[str] | None:
    """The labels that a technical issue bears at the end; None: it isn't one, or is somewhere else."""
    if issue.is_pull or issue.left is not None:
        return None
    labels = set[str]()
    for event in issue.events:
        if event.kind == "labeled":
            labels.add(event.who)
        elif event.kind == "unlabeled":
            labels.discard(event.who)
    return labels if issue.repository in TECHNICAL or DEFECT in labels else None


def _states(issue: Issue) -> list[tuple[datetime, str]]:
    """Open or how it was closed, each with the moment from which it was so."""
    found = [(issue.opened, "open")]
    for event in issue.events:
        if event.kind in ("closed", "reopened"):
            found.append((event.at, (event.reason or "completed") if event.kind == "closed" else "open"))
    return found


def _places(issue: Issue, labels: set[str]) -> frozenset[str]:
    team = next((name for label, name in LABEL_TEAMS.items() if label in labels), TEAMS.get(issue.repository))
    urgency = next((name for name, (_, label) in PRIORITIES.items() if label in labels), None)
    found = {f"priority={urgency}"} if urgency else set()
    found |= {"area=api"} if API in labels else set()
    found |= {"kind=defect"} if DEFECT in labels else set()
    if team:
        found |= delivery.places(team) if team in delivery.TEAMS else {f"team={team}"}
    return frozenset(found)
