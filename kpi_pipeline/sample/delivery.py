"""What teams meet for: ceremonies; and the truth of their KPIs. Never here: who a member of a team is."""

import json
from datetime import date
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

README: Final = """\
- `ceremonies/`: stand-ups and sprint reviews, a file per quarter: how many were expected and came. One row came again,
  corrected; two are broken.
"""
_CONFIG: Final = """\
# Stand-ups and sprint reviews: date, team, kind, expected, attended. How many, never who.
[sources.ceremonies]
kind = "table"
path = "ceremonies"
max_age_days = 14

# The teams that a team is made of: their work is its work.
[teams]
"""

Ceremony = tuple[date, str, str, int, int]


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
    """ceremonies/, and truth/roles/delivery.csv."""
    ceremonies = _ceremonies(world)
    _write_ceremonies(folder / "ceremonies", ceremonies)
    seen = [
        Seen(day, places(team) | {f"kind={kind}"}, Fraction(attended), Fraction(expected))
        for day, team, kind, expected, attended in ceremonies
    ]
    truth = rows(CEREMONY_KPIS, seen, ratio(100), world.period, rolling=True)
    write_roles(folder / "truth" / "roles" / "delivery.csv", truth)


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
