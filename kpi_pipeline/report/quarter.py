"""Quarters of the fiscal year, by name. Which values they have is no affair of this module."""

import re
from dataclasses import dataclass
from datetime import date, timedelta

from kpi_pipeline.errors import ConfigError


@dataclass(frozen=True, order=True)
class Quarter:
    """Three months, named by the calendar quarter that they begin in."""

    start: date

    @property
    def name(self) -> str:
        return f"{self.start.year}Q{(self.start.month + 2) // 3}"

    @property
    def end(self) -> date:
        return self.back(-1).start - timedelta(days=1)

    def back(self, quarters: int) -> "Quarter":
        """The quarter so many before this one."""
        months = self.start.year * 12 + self.start.month - 1 - 3 * quarters
        return Quarter(date(months // 12, months % 12 + 1, 1))

    @classmethod
    def of(cls, day: date, first_month: int) -> "Quarter":
        """The quarter that a day is in.

        Args:
            first_month: the month in which the fiscal year begins.
        """
        months = day.year * 12 + day.month - 1
        months -= (months - (first_month - 1)) % 3
        return cls(date(months // 12, months % 12 + 1, 1))


def named(text: str) -> tuple[int, int]:
    """The year and the number of a quarter that is written as 2026Q3, 2026-q3.

    Raises:
        ConfigError: it is not written so.
    """
    found = re.fullmatch(r"([12]\d{3})-?[Qq]([1-4])", text)
    if found is None:
        raise ConfigError("--quarter", got=text, expected="a calendar quarter, such as 2026Q3", fix="Write it so.")
    return int(found[1]), int(found[2])


def parse(text: str, first_month: int) -> Quarter:
    """The fiscal quarter that begins in a calendar quarter.

    Raises:
        ConfigError: it is not written as 2026Q3.
    """
    year, number = named(text)
    return Quarter.of(date(year, 3 * number, 1), first_month)
