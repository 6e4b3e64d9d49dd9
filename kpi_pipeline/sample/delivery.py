"""What teams meet for and work on: ceremonies, projects, tasks of interns; and the truth of their KPIs.

Never here: who a member of a team is.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from fractions import Fraction
from pathlib import Path
from typing import Final

from kpi_pipeline.sample.dice import dice, pick, whole
from kpi_pipeline.sample.period import SATURDAY
from kpi_pipeline.sample.scores import Scoped, Seen, ratio, rows, write_roles
from kpi_pipeline.sample.simulate import World
from kpi_pipeline.sample.write import csv_line, write_file

# Each team's people, and what it is part of. The parts meet by themselves; the whole has no meeting of its own.
TEAMS: Final[dict[str, tuple[int, str | None]]] = {
    "frontend engineers": (6, "frontend"),
    "frontend design": (3, "frontend"),
    "mobile engineers": (5, "mobile"),
    "mobile release": (3, "mobile"),
    "backend engineers": (8, "backend"),
    "backend operations": (4, "backend"),
    "product management": (2, None),
    "quality assurance": (5, None),
    "interns": (6, None),
    "engineering management": (3, None),
    "devops": (4, None),
}
# How likely it is that somebody who is expected comes, in percent.
DILIGENCE: Final = {"interns": 66, "mobile release": 70, "product management": 82}
CEREMONY_HEADER: Final = ("date", "team", "kind", "expected", "attended")
CEREMONY_KPIS: Final = (
    *(
        Scoped(f"{role}.ceremony_attendance_rate", (f"team={team}",))
        for role, team in (
            ("product_manager", "product management"),
            ("frontend_team", "frontend"),
            ("frontend_engineers", "frontend engineers"),
            ("mobile_team", "mobile"),
            ("mobile_engineers", "mobile engineers"),
            ("backend_team", "backend"),
            ("backend_engineers", "backend engineers"),
            ("quality_assurance_engineer", "quality assurance"),
            ("interns", "interns"),
            ("engineering_manager", "engineering management"),
            ("devops_engineer", "devops"),
        )
    ),
)
# Of the teams with projects, how likely one is completed in time, late within its month, or long after, in percent.
PROMPTNESS: Final = {
    "frontend engineers": (74, 10, 6),
    "frontend design": (68, 8, 6),
    "mobile engineers": (60, 10, 14),
    "mobile release": (52, 14, 14),
    "backend engineers": (80, 8, 4),
    "backend operations": (84, 8, 2),
    "quality assurance": (76, 8, 8),
    "devops": (88, 6, 2),
}
TOPICS: Final = (
    *(
        "Sign-in page",
        "Image build",
        "Usage report",
        "Course import",
        "File browser",
        "Cost alerts",
        "Backup of home folders",
    ),
    *("Profile list", "Release notes", "Offline mode", "Health page", "Quota warnings"),
)
PROJECT_HEADER: Final = ("project", "team", "planned_on", "due_on", "completed_on", "cancelled_on", "people")
TASK_HEADER: Final = ("task", "given_on", "due_on", "completed_on", "withdrawn_on", "interns")
PROJECT_KPIS: Final = (
    Scoped("tech_team.projects_completed_rate"),
    *(
        Scoped(f"{role}.projects_completed_rate", (f"team={team}",))
        for role, team in (
            ("frontend_team", "frontend"),
            ("frontend_engineers", "frontend engineers"),
            ("mobile_team", "mobile"),
            ("mobile_engineers", "mobile engineers"),
            ("backend_team", "backend"),
            ("backend_engineers", "backend engineers"),
        )
    ),
)
IN_TIME_KPIS: Final = (Scoped("engineering_manager.projects_completed_on_time_rate"),)
TASK_KPIS: Final = (Scoped("interns.tasks_completed_rate"),)

README: Final = """\
- `ceremonies/`: stand-ups and sprint reviews, a file per quarter: how many were expected and came. One row came again,
  corrected; two are broken.
- `projects/`, `intern_tasks/`: when projects of teams and tasks of interns were due, and when they were completed,
  cancelled or taken back. Some are there twice, in other spellings; two projects and a task contradict themselves, and
  a few rows are broken. What is rejected of them and of ceremonies is in `truth/delivery_quarantine.csv`.
"""
_CONFIG: Final = """\
# Stand-ups and sprint reviews: date, team, kind, expected, attended. How many, never who.
[sources.ceremonies]
kind = "table"
path = "ceremonies"
max_age_days = 14

# Projects, a row each: project, team, due_on, completed_on (may be empty) and, optional, planned_on, cancelled_on,
# people.
[sources.projects]
kind = "table"
path = "projects"
max_age_days = 45

# Tasks of interns, a row each, never whose: task, given_on, completed_on (may be empty) and, optional, due_on,
# withdrawn_on, interns (how many there are).
[sources.intern_tasks]
kind = "table"
path = "intern_tasks"
max_age_days = 21

# The teams that a team is made of: their work is its work.
[teams]
"""

Ceremony = tuple[date, str, str, int, int]


@dataclass(frozen=True)
class Work:
    """A project of a team, or a task of the interns: when it was given, is due, was completed or called off."""

    name: str
    team: str
    given: date
    due: date | None
    completed: date | None
    called_off: date | None
    people: int

    @property
    def counts_on(self) -> date:
        return self.due or self.given

    @property
    def was_to_be_done(self) -> bool:
        """Nobody has to do what was called off before it was due."""
        return self.called_off is None or (self.due is not None and self.due <= self.called_off)

    def seen(self, *, in_time: bool = False) -> Seen:
        done = self.completed is not None and (not in_time or self.completed <= self.counts_on)
        where = places(self.team)
        return Seen(self.counts_on, where, Fraction(done), achieved=self.completed or date.min)


def team_table() -> dict[str, tuple[str, ...]]:
    """[teams] of kpi.toml."""
    wholes = dict.fromkeys(whole_ for _, whole_ in TEAMS.values() if whole_)
    parts = {name: tuple(team for team, (_, of) in TEAMS.items() if of == name) for name in wholes}
    return {**parts, **{team: () for team, (_, of) in TEAMS.items() if of is None}, "infrastructure": ()}


def config() -> str:
    """The blocks of kpi.toml."""
    teams = "".join(f"{json.dumps(team)} = {json.dumps(parts)}\n" for team, parts in team_table().items())
    return _CONFIG + teams


def places(team: str) -> frozenset[str]:
    """Where the work of a team counts."""
    return frozenset(f"team={name}" for name in (team, TEAMS[team][1]) if name)


def write(folder: Path, world: World) -> None:
    """ceremonies/, projects/ and intern_tasks/, and their truth."""
    ceremonies = _ceremonies(world)
    _write_ceremonies(folder / "ceremonies", ceremonies)
    seen = [
        Seen(day, places(team) | {f"kind={kind}"}, Fraction(attended), Fraction(expected))
        for day, team, kind, expected, attended in ceremonies
    ]
    projects = [one for one in _projects(world) if one.was_to_be_done]
    tasks = [one for one in _tasks(world) if one.was_to_be_done]
    truth = [
        *rows(CEREMONY_KPIS, seen, ratio(100), world.period, rolling=True),
        *rows(PROJECT_KPIS, [one.seen() for one in projects], ratio(100), world.period, rolling=True),
        *rows(IN_TIME_KPIS, [one.seen(in_time=True) for one in projects], ratio(100), world.period, rolling=True),
        *rows(TASK_KPIS, [one.seen() for one in tasks], ratio(100), world.period, rolling=True),
    ]
    write_roles(folder / "truth" / "roles" / "delivery.csv", truth)
    _write_projects(folder / "projects", _projects(world), world)
    _write_tasks(folder / "intern_tasks", _tasks(world), world)
    quarantined = [csv_line((source, reason, str(n))) for source, reason, n in QUARANTINED]
    write_file(
        folder / "truth" / "delivery_quarantine.csv", csv_line(("source", "reason", "rows")) + b"".join(quarantined)
    )


def _ceremonies(world: World) -> list[Ceremony]:
    """Stand-ups on working days, a sprint review every other Friday; somebody may be on leave."""
    found = []
    for number in range(world.period.days):
        day = world.period.date_of(number)
        if day.weekday() >= SATURDAY:
            continue
        is_review = day.weekday() == SATURDAY - 1 and day.isocalendar().week % 2 == 0
        for team, (people, _) in TEAMS.items():
            for kind in ("stand-up", "sprint review")[: 2 if is_review else 1]:
                rng = dice(world.seed, "ceremony", day, team, kind)
                expected = people - (whole(rng, 0, 1) if people > 1 and rng.random() < 0.3 else 0)
                likely = DILIGENCE.get(team, 90) + pick(rng, (-6, 0, 0, 4))
                attended = sum(whole(rng, 1, 100) <= likely for _ in range(expected))
                found.append((day, team, kind, expected, attended))
    return found


def _write_ceremonies(folder: Path, ceremonies: list[Ceremony]) -> None:
    """A file per quarter. The first has a row that came again, corrected, and rows that can't be."""
    by_quarter: dict[str, list[bytes]] = {}
    for day, team, kind, expected, attended in ceremonies:
        name = f"{day.year}-q{(day.month + 2) // 3}.csv"
        line = (day.isoformat(), team.title() if day.day == 1 else team, kind, str(expected), str(attended))
        by_quarter.setdefault(name, []).append(csv_line(line))
    for number, (name, lines) in enumerate(by_quarter.items()):
        if number == 0:
            day, team, kind, expected, _ = ceremonies[0]
            lines[:0] = [
                csv_line((day.isoformat(), team, kind, str(expected), "0")),  # corrected by the row that follows
                csv_line((day.isoformat(), team, kind, "3", "4")),
                csv_line((day.isoformat(), team, "party", "3", "3")),
            ]
        write_file(folder / name, csv_line(CEREMONY_HEADER) + b"".join(lines))


def _projects(world: World) -> list[Work]:
    """Every team has one due every two or three weeks; the last of them are due in the future."""
    return sorted((one for team in PROMPTNESS for one in _projects_of(team, world)), key=lambda one: one.name)


def _projects_of(team: str, world: World) -> Iterator[Work]:
    rng = dice(world.seed, "projects", team)
    in_time, late, long_after = PROMPTNESS[team]
    last = world.period.last
    due, number = world.period.first + timedelta(days=whole(rng, 0, 12)), 1
    while due <= last + timedelta(days=75):
        chance = whole(rng, 1, 100)
        completed = called_off = None
        if chance <= in_time:
            completed = due - timedelta(days=whole(rng, 0, 9))
        elif chance <= in_time + late:
            completed = due + timedelta(days=whole(rng, 1, 12))
        elif chance <= in_time + late + long_after:
            completed = due + timedelta(days=whole(rng, 15, 70))
        elif chance % 2:
            called_off = due + timedelta(days=whole(rng, -8, 6))
        given = min(due - timedelta(days=whole(rng, 20, 80)), last)
        people = min(TEAMS[team][0], whole(rng, 2, 5))
        name = f"{pick(rng, TOPICS)}, {team} {number}"
        yield Work(name, team, given, due, _until(completed, last), _until(called_off, last), people)
        due, number = due + timedelta(days=whole(rng, 9, 26)), number + 1


def _tasks(world: World) -> list[Work]:
    """On every other working day or so, interns get a task; most have a due date."""
    rng = dice(world.seed, "intern tasks")
    last = world.period.last
    found: list[Work] = []
    for given in map(world.period.date_of, range(world.period.days)):
        if given.weekday() >= SATURDAY or rng.random() < 0.55:
            continue
        due = given + timedelta(days=whole(rng, 3, 24)) if rng.random() < 0.85 else None
        chance, days = whole(rng, 1, 100), whole(rng, 0, 20)
        completed = called_off = None
        if chance <= 72:
            completed = max(given, due - timedelta(days=days)) if due else given + timedelta(days=days // 2)
        elif chance <= 86:
            completed = (due or given) + timedelta(days=1 + days)
        elif chance <= 93:
            called_off = given + timedelta(days=days)
        people = 4 + given.month % 3
        name = f"task-{len(found) + 1:03d}"
        found.append(Work(name, "interns", given, due, _until(completed, last), _until(called_off, last), people))
    return found


def _until(day: date | None, last: date) -> date | None:
    """What is still to come isn't known."""
    return day if day is not None and day <= last else None


# What is broken on purpose: two rows each of two projects and of a task that contradict themselves.
QUARANTINED: Final = (
    ("ceremonies", "invalid:kind", 1),
    ("ceremonies", "more_than_expected", 1),
    ("intern_tasks", "before_it_was_given", 1),
    ("intern_tasks", "completed_and_withdrawn", 1),
    ("intern_tasks", "conflicting_duplicate", 2),
    ("projects", "before_it_was_planned", 1),
    ("projects", "completed_and_cancelled", 1),
    ("projects", "conflicting_duplicate", 4),
    ("projects", "missing:due_on", 1),
)


def _write_projects(folder: Path, projects: Sequence[Work], world: World) -> None:
    day = world.period.first.isoformat()
    lines = [csv_line(_project_row(one)) for one in projects]
    lines += [csv_line(_project_row(one, spelt=str.upper)) for one in projects[::40]]
    lines += [
        csv_line((name, "devops", day, day, completed, "", "3"))
        for name in ("Moved cluster", "New  Registry")
        for completed in ("", day)
    ]
    lines += [
        csv_line(("Broken 1", "devops", day, day, day, day, "3")),
        csv_line(("Broken 2", "devops", day, (world.period.first - timedelta(days=1)).isoformat(), "", "", "3")),
        csv_line(("Broken 3", "devops", day, "", "", "", "3")),
    ]
    write_file(folder / "projects.csv", csv_line(PROJECT_HEADER) + b"".join(lines))


def _project_row(one: Work, spelt: Callable[[str], str] = str) -> tuple[str, ...]:
    return (
        *(spelt(one.name).replace(" ", "  ", 1), spelt(one.team)),
        *(day.isoformat() if day else "" for day in (one.given, one.due, one.completed, one.called_off)),
        str(one.people),
    )


def _write_tasks(folder: Path, tasks: Sequence[Work], world: World) -> None:
    day, before = world.period.first.isoformat(), (world.period.first - timedelta(days=1)).isoformat()
    lines = [
        *(csv_line(_task_row(one)) for one in (*tasks, *tasks[::50])),
        csv_line(("twice", day, day, day, "", "5")),
        csv_line(("Twice", day, day, "", "", "5")),
        csv_line(("broken-1", day, day, day, day, "5")),
        csv_line(("broken-2", day, day, before, "", "5")),
    ]
    write_file(folder / "tasks.csv", csv_line(TASK_HEADER) + b"".join(lines))


def _task_row(one: Work) -> tuple[str, ...]:
    days = (one.given, one.due, one.completed, one.called_off)
    return (one.name, *(day.isoformat() if day else "" for day in days), str(one.people))
