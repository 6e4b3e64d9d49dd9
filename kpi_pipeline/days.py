"""Sets of closed days, as intervals. Which day it is, and what happened on it, is no affair of this module."""

from datetime import UTC, date, datetime, timedelta

# Both ends included, apart from each other and in order.
Days = tuple[tuple[date, date], ...]
ONE = timedelta(days=1)


def span(first: date, last: date) -> Days:
    """All days from the first to the last; none where that is before it."""
    return ((first, last),) if first <= last else ()


def union(one: Days, other: Days) -> Days:
    """The days of both."""
    joined: list[tuple[date, date]] = []
    for begin, end in sorted([*one, *other]):
        if joined and begin <= joined[-1][1] + ONE:
            joined[-1] = (joined[-1][0], max(joined[-1][1], end))
        else:
            joined.append((begin, end))
    return tuple(joined)


def last_over(moment: datetime, since: timedelta) -> date:
    """The newest day that has been over for so long at a moment."""
    return (moment - since).astimezone(UTC).date() - ONE


def single(days: Days) -> list[date]:
    """The days one by one."""
    return [begin + n * ONE for begin, end in days for n in range((end - begin).days + 1)]


def missing(first: date, last: date, covered: Days) -> list[date]:
    """The days from the first to the last that aren't covered."""
    known = set(single(covered))
    return [day for day in single(span(first, last)) if day not in known]
