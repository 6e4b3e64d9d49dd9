"""The days that are simulated, and the rhythm of the year and the week that activity follows.

Never here: who was active. A day is an index from 0 inside the period and a `date` outside of it.
"""

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

# (month, day) from which a level of activity holds, until the next one; 1 = a normal working day.
SEASONS: Final[dict[str, tuple[tuple[tuple[int, int], float], ...]]] = {
    "education": (
        ((1, 1), 0.02),
        ((1, 3), 0.12),
        ((1, 15), 0.95),
        ((5, 16), 0.30),
        ((6, 1), 0.05),
        ((8, 20), 0.20),
        ((9, 1), 1.00),
        ((12, 16), 0.25),
        ((12, 24), 0.01),
    ),
    "research": (((1, 1), 0.03), ((1, 3), 0.80), ((7, 1), 0.50), ((9, 1), 0.85), ((12, 24), 0.02)),
    "other": (((1, 1), 0.03), ((1, 3), 0.60), ((7, 1), 0.40), ((9, 1), 0.60), ((12, 24), 0.02)),
}
WEEKEND: Final = {"education": 0.35, "research": 0.20, "other": 0.15}
SATURDAY: Final = 5


@dataclass(frozen=True)
class Period:
    """Days 0 to days-1; first and last are both simulated."""

    first: date
    days: int

    @property
    def last(self) -> date:
        return self.date_of(self.days - 1)

    def date_of(self, day: int) -> date:
        return self.first + timedelta(days=day)

    def day_of(self, when: date) -> int:
        return (when - self.first).days

    def at(self, fraction: float) -> int:
        """The day that lies so far through the period; stories are told in fractions, to fit any length."""
        return min(self.days - 1, int(self.days * fraction))

    def rhythm(self, hub_type: str) -> list[float]:
        """How busy each day is on hubs of this type."""
        return [_busy(hub_type, self.date_of(day)) for day in range(self.days)]


def period_of(last_day: date, days: int) -> Period:
    return Period(first=last_day - timedelta(days=days - 1), days=days)


def windows(first: date, last: date) -> list[tuple[date, date]]:
    """The 30 days that end on each of the last three days, and on every 29th day before, back to the first."""
    ends = {last - timedelta(days=n) for n in (0, 1, 2, *range(29, (last - first).days + 1, 29))}
    return [(end - timedelta(days=29), end) for end in sorted(ends) if end >= first]


def _busy(hub_type: str, when: date) -> float:
    level = 0.0
    for since, value in SEASONS[hub_type]:
        if (when.month, when.day) >= since:
            level = value
    return level * (WEEKEND[hub_type] if when.weekday() >= SATURDAY else 1.0)
