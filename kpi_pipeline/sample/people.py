"""The people of the simulated organisation: their names, how carelessly these are written, and their habits.

Never here: days of activity (simulate.py), hubs, files. Nobody here exists.
"""

import unicodedata
from bisect import bisect
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Final

from kpi_pipeline.sample.dice import dice, pick, whole
from kpi_pipeline.sample.hubs import Hub
from kpi_pipeline.sample.period import Period

FIRST: Final = (
    *(
        "ana",
        "ben",
        "chloe",
        "david",
        "elif",
        "femi",
        "grace",
        "hana",
        "ivan",
        "jun",
        "kofi",
        "lena",
        "mia",
        "noah",
    ),
    *("olga", "pedro", "quinn", "rosa", "sam", "tariq", "uma", "vera", "wei", "ximena", "yuki", "zoe"),
)
LAST: Final = (
    *(
        "silva",
        "okafor",
        "novak",
        "tanaka",
        "garcia",
        "kim",
        "larsen",
        "haddad",
        "singh",
        "moreau",
        "rossi",
        "chen",
    ),
    *(
        "mbeki",
        "ivanova",
        "smith",
        "kaya",
        "weber",
        "costa",
        "nguyen",
        "murphy",
        "cohen",
        "ali",
        "popov",
        "brown",
    ),
)
# Names that break careless quoting, type guessing, SQL, HTML or comparison; all of them are honest people.
AWKWARD: Final = (
    *(
        "Sean.O'Brien",
        "ana.silva@example.edu",
        'j"q"public',
        "Žofie",
        "\uff2b\uff45\uff4e",
        "robert'); DROP TABLE users;--",
    ),
    *(
        "doe, jane",
        "null",
        "007",
        "=1+1",
        "山田太郎",
        "نور",
        "straße",
        "two words",
        "a\\b/c",
        "%41%2f",
        "<b>eve</b>",
    ),
)
# A person's name can be spelt in these ways; all are the same identity.
AS_IT_IS, CAPITALS, SPACES, OTHER_UNICODE = range(4)
STAFF: Final = (
    *(
        "noor.van.dijk",
        "ellis.park",
        "tomás.reyes",
        "ada.mensah",
        "yara.haddad",
        "miro.novotny",
        "jo.lindqvist",
    ),
    "sade.adeyemi",
)
PROBE: Final = "deployment-service-check"
CONTRACTOR: Final = "pat.jansen"
# Every so many people there are three who come back after exactly 29, 30 and 31 days.
GAPS_EVERY: Final = 251
GAPS: Final = {5: 29, 6: 30, 7: 31}


@dataclass(frozen=True)
class Person:
    """How one person behaves; days are indexes into the period, `leave` is the last day."""

    name: str
    careless: bool  # the name is not always spelt the same way
    home: int
    second: int | None
    join: int
    leave: int
    eagerness: float  # the chance of activity on a normal working day
    pause: tuple[int, int] | None  # the days away, both included
    gap: int | None  # comes back after exactly so many days, once


class Homes:
    """Where people can have their home: production hubs, by size."""

    def __init__(self, hubs: Sequence[Hub], period: Period) -> None:
        self.hubs = hubs
        self.production = [index for index, hub in enumerate(hubs) if hub.kind == "production"]
        self._up_to = list(accumulate(hubs[index].size for index in self.production))
        service = [hub.service(period) for hub in hubs]
        self.span = [(days.find(1), days.rfind(1)) for days in service]
        self.always = [0 not in days for days in service]
        self.mates = {
            home: [other for other in self.production if other != home and _same_login(hubs[home], hubs[other])]
            for home in self.production
        }
        self.elsewhere = {
            home: [other for other in self.production if hubs[other].issuer != hubs[home].issuer]
            for home in self.production
        }

    def draw(self, chance: float) -> int:
        return self.production[min(bisect(self._up_to, chance * self._up_to[-1]), len(self.production) - 1)]


def _same_login(one: Hub, other: Hub) -> bool:
    return one.issuer == other.issuer


def make_person(seed: int, number: int, homes: Homes, period: Period) -> Person:
    rng = dice(seed, "person", number)
    home = homes.draw(rng.random())
    education = homes.hubs[home].versions[0].hub_type == "education"
    first, last = homes.span[home]
    since_before = first if first > 0 else -int(0.30 * period.days)
    join = since_before + int(rng.random() * (last + 1 - since_before))
    leave = join + _stay(rng.random(), rng.random(), education)
    eagerness = 0.08 + 0.70 * rng.random() * rng.random()
    pause_chance, pause_begin, pause_days = rng.random(), rng.random(), whole(rng, 31, 160)
    begin = join + int(pause_begin * (leave - join))
    gap = GAPS.get(number % GAPS_EVERY) if homes.always[home] else None
    return Person(
        name=_name(seed, number),
        careless=rng.random() < 0.08,
        home=home,
        second=None if gap else _second(rng.random(), rng.random(), home, homes),
        join=join,
        leave=leave,
        eagerness=eagerness,
        pause=(begin, begin + pause_days) if pause_chance < 0.2 else None,
        gap=gap,
    )


def _stay(which: float, how_long: float, education: bool) -> int:
    """How many days somebody stays: visitors few, students a semester or more, researchers up to years."""
    if which < 0.10:
        return int(how_long * 8)
    if education and which < 0.60:
        return 70 + int(how_long * 90)
    return 90 + int(how_long * how_long * 700)


def _second(which: float, one: float, home: int, homes: Homes) -> int | None:
    """12 % use a second hub where the same login is valid, 3 % one where they are somebody else."""
    others = homes.mates[home] if which < 0.12 else homes.elsewhere[home] if which < 0.15 else []
    return others[int(one * len(others))] if others else None


def _name(seed: int, number: int) -> str:
    """Unique, as the number is in it (the awkward ones are unique by themselves)."""
    if number < len(AWKWARD):
        return AWKWARD[number]
    rng = dice(seed, "name", number)
    first, last = pick(rng, FIRST), pick(rng, LAST)
    style = rng.random()
    if style < 0.06:
        return f"{first}.{last}{number}@example.edu"
    if style < 0.08:
        return f"{first}.o'{last}{number}"
    if style < 0.10:
        return f"Žo{last}é{number}"
    if style < 0.12:
        return f"{last}, {first} {number}"
    if style < 0.20:
        return f"{first[0]}{last}{number}"
    return f"{first}.{last}{number}"


def spell(name: str, spelling: int) -> str:
    """The name in one of its spellings: stripped, NFKC-normalised and case-folded, all are the same."""
    if spelling == CAPITALS:
        return name.upper()
    if spelling == SPACES:
        return f"  {name} "
    if spelling == OTHER_UNICODE:
        return _full_width(name) if name.isascii() else unicodedata.normalize("NFD", name)
    return name


def _full_width(name: str) -> str:
    return "".join(chr(ord(letter) + 0xFEE0) if "!" <= letter <= "~" else letter for letter in name)
