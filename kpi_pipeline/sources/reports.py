"""Reports of tools in CI: what their place in the folder says, and how they can be wrong. No format of any tool."""

import re
from datetime import UTC, date, datetime

ISO_DAY = re.compile(r"(?<![0-9])[0-9]{4}-[0-9]{2}-[0-9]{2}(?![0-9])")


class ReportError(ValueError):
    """A report that can't be counted as a whole; `fault` says what is wrong, and nothing of what it holds."""

    def __init__(self, fault: str) -> None:
        self.fault = fault
        super().__init__(fault)


def folders(name: str) -> list[str]:
    """The folders that a file lies in, from the outermost on."""
    return name.split("/")[:-1]


def day_in(name: str) -> date | None:
    """The last day, written as 2026-09-30, that a path names."""
    for text in reversed(ISO_DAY.findall(name)):
        try:
            return date.fromisoformat(text)
        except ValueError:
            continue
    return None


def utc_day(moment: datetime) -> date:
    """The UTC day of a moment; one without a zone is UTC.

    Raises:
        OverflowError: it is at the very end of the calendar.
    """
    return moment.date() if moment.tzinfo is None else moment.astimezone(UTC).date()
