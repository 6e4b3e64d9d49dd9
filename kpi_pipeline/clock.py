"""The one place that asks for the time, or lets it pass. Everything else is told its `as_of`, or is given a Clock."""

import time
from datetime import UTC, date, datetime, timedelta
from threading import Event
from typing import Protocol


class Clock(Protocol):
    """Time as those see it who have to wait; tests pass one that they turn themselves."""

    def now(self) -> datetime:
        """The current moment, in UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds that only rise."""
        ...

    def sleep(self, seconds: float, unless: Event | None = None) -> None:
        """Waits; not any longer once an event is set."""
        ...


class _SystemClock:
    def now(self) -> datetime:
        return now()

    def monotonic(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float, unless: Event | None = None) -> None:
        (unless or Event()).wait(seconds)


SYSTEM: Clock = _SystemClock()


def now() -> datetime:
    """The current moment, in UTC."""
    return datetime.now(UTC)


def last_closed_day() -> date:
    """Yesterday, in UTC: only closed days are counted."""
    return now().date() - timedelta(days=1)
