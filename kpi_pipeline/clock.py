"""The one place that asks for the time. Everything else is told its `as_of` or passes a timestamp on."""

from datetime import UTC, date, datetime, timedelta


def now() -> datetime:
    """The current moment, in UTC."""
    return datetime.now(UTC)


def last_closed_day() -> date:
    """Yesterday, in UTC: only closed days are counted."""
    return now().date() - timedelta(days=1)
