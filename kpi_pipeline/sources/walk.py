"""What a connector to a live source is, and what it is given to work with. No vendor and no disk is known here.

A source has parts (clusters, hubs, repositories, ...), which are fetched one by one and fail one by one. A connector
asks its questions through a Walk, which keeps the answers: one that is interrupted is repeated by the next run, gets
the same answers up to there, and goes on. So what a connector asks may depend on its walk (`started_at`, `cursor`) and
on answers, and on nothing else; in particular not on the time.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import date, datetime
from hashlib import sha256
from pathlib import Path
from typing import Literal, Protocol
from urllib.parse import quote

from pydantic import JsonValue, SecretStr

from kpi_pipeline import settings
from kpi_pipeline.clock import SYSTEM, Clock
from kpi_pipeline.days import Days
from kpi_pipeline.sources.transport import Budget, Limits, Question, Reply, Transport

Cursor = dict[str, JsonValue]


@dataclass(frozen=True)
class Tools:
    """What every connector is made with.

    Args:
        secret: the value of an environment variable, and what it is for, should it hold nothing.
        folder: where kpi.toml is: its paths are relative to it.
    """

    secret: Callable[[str, str], SecretStr] = settings.secret
    clock: Clock = SYSTEM
    limits: Limits = field(default_factory=Limits)
    folder: Path = Path()


@dataclass(frozen=True)
class Made:
    """What somebody else's client was answered: bytes, or a file of them. Nothing in it is secret but the content."""

    content: bytes | Path
    url: str
    status: int
    headers: Mapping[str, str]
    received_at: datetime


@dataclass(frozen=True)
class Fetched:
    """A part that got through: where the next fetch continues, and what is landed of it.

    Args:
        covered: all days that are landed as a whole by now, not only the new ones.
        first_day: the first day that anything is landed of, where that isn't all of it.
        lag_days: how many of the last days are normally not there yet.
        notes: what an operator should know of it all the same, in words that hold no secret and name nobody.
    """

    cursor: Cursor
    covered: Days
    first_day: date | None = None
    lag_days: int = 0
    notes: tuple[str, ...] = ()


class Walk(Protocol):
    """One walk through one part of a source."""

    part: str
    started_at: datetime
    cursor: Cursor
    # The days that are landed already.
    covered: Days
    # What this run may still ask.
    budget: Budget

    def get(self, transport: Transport, question: Question) -> Reply:
        """Asks over HTTP, or repeats what was answered before the walk was interrupted."""
        ...

    def ask(self, question: str, answer: Callable[[], Made]) -> Reply:
        """The same for a client that isn't HTTP's own; `question` tells it from others. A file's bytes stay on disk.

        One request is counted; an answer that takes more spends them, and waits, by `budget`.
        """
        ...

    def aside(self, suffix: str) -> AbstractContextManager[Path]:
        """A place for an answer that is too large for memory, until it is kept; afterwards nothing is there."""
        ...

    def land(self, name: str, reply: Reply, rows: int | None = None) -> None:
        """An answer becomes a file of the fetch; one name is one file. `rows` are for the progress."""
        ...


@dataclass(frozen=True)
class Seen:
    """One thing that `kpi doctor` has looked at, in words that hold no secret and name nobody."""

    state: Literal["ok", "note", "problem"]
    words: str


class Connector(Protocol):
    """A live source. Making one asks nothing yet."""

    # How many parts may be fetched at a time: within what the vendor allows.
    at_once: int

    def parts(self, walk: Walk) -> list[str]:
        """The parts that the configuration names, as of now."""
        ...

    def names(self, walk: Walk, part: str) -> bool:
        """Whether kpi.toml names a part that isn't listed, by a pattern: then it has vanished, and wasn't taken out.

        Asked after `parts`, on the same walk.
        """
        ...

    def fetch(self, walk: Walk) -> Fetched:
        """Lands what is new of one part."""
        ...

    def examine(self, walk: Walk) -> Iterator[Seen]:
        """Looks whether the source is reachable, the token valid and its scopes sufficient, and how new the data is."""
        ...

    def quota(self) -> int | None:
        """How many requests the vendor still allows, if it says so."""
        ...

    def close(self) -> None:
        """Ends its connections."""
        ...


class NamedParts:
    """Parts that kpi.toml names one by one: one that isn't listed was taken out of it."""

    def names(self, walk: Walk, part: str) -> bool:  # noqa: ARG002
        return False


def named_by_content(folder: str, reply: Reply, suffix: str = "json") -> str:
    """A name for a page of a listing: the same content is the same file, so that reading it again adds nothing."""
    return f"{folder}/{sha256(reply.body).hexdigest()[:20]}.{suffix}"


def safe_name(name: str) -> str:
    """A name of a vendor's as one part of a path; two names never meet."""
    return quote(name, safe=" @") or "_"
