"""A live source that is fetched night by night, and loaded as a run would. No vendor and no test is here."""

import errno
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

import duckdb
import pytest
from pydantic import SecretStr

from kpi_pipeline import fetching
from kpi_pipeline.contracts import RECORDS
from kpi_pipeline.errors import SourceError
from kpi_pipeline.landing import Landing, PartState
from kpi_pipeline.settings.base import Live
from kpi_pipeline.sources.connectors import connector
from kpi_pipeline.sources.transport import Budget, Limits
from kpi_pipeline.sources.walk import Tools
from kpi_pipeline.stages import parts
from kpi_pipeline.warehouse import set_up
from kpi_pipeline_tests.bad_input.organisation import empty_warehouse

SECRET = SecretStr("a-secret-for-tests-only")
TOKEN = "zz-token-that-nobody-may-see"
# Patient enough for a busy machine, and for no longer than a test may take.
LIMITS = Limits(connect_seconds=5, read_seconds=5, answer_seconds=1)


class TurnedClock:
    """A clock that goes on by itself, and that sleeping turns forward instead of waiting."""

    def __init__(self, now: datetime) -> None:
        self._began, self._start, self._slept = now, time.monotonic(), 0.0
        self._lock = threading.Lock()
        self.slept: list[float] = []

    def monotonic(self) -> float:
        return time.monotonic() - self._start + self._slept

    def now(self) -> datetime:
        return self._began + timedelta(seconds=self.monotonic())

    def sleep(self, seconds: float, unless: threading.Event | None = None) -> None:  # noqa: ARG002
        with self._lock:
            self.slept.append(seconds)
            self._slept += seconds

    def turn(self, **by: float) -> None:
        """Sets the clock; back, too. Nobody waits for that."""
        with self._lock:
            self._began += timedelta(**by)


class Killed(BaseException):
    """The process ends here."""


@contextmanager
def failing_after(writes: int, error: Callable[[], BaseException]) -> Iterator[list[int]]:
    """Has write number `writes`, and all later ones, fail before they are on disk; counts the others."""
    made, lock = [0], threading.Lock()
    sync, replace = os.fsync, Path.replace

    def count() -> None:
        with lock:
            if made[0] == writes:
                raise error()
            made[0] += 1

    def syncing(descriptor: int) -> None:
        count()
        sync(descriptor)

    def replacing(path: Path, target: Path) -> Path:
        count()
        return replace(path, target)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", syncing)
        patch.setattr(Path, "replace", replacing)
        yield made


def killed_after(writes: int) -> AbstractContextManager[list[int]]:
    """Ends the process, as it were, before write number `writes` is on disk; counts them."""
    return failing_after(writes, Killed)


def full_after(writes: int) -> AbstractContextManager[list[int]]:
    """The disk is full from write number `writes` on."""
    return failing_after(writes, lambda: OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))


class Vendor(Protocol):
    """A vendor's system with some data: what the tests of all connectors are run on."""

    source: str
    # When the first night is.
    night: datetime

    def app(self, request: Any) -> Any:
        """Answers a request."""
        ...

    def settings(self, url: str) -> Live:
        """kpi.toml for it."""
        ...

    def is_page(self, request: Any) -> bool:
        """Whether a request is for a page of data, so that faults of pages go there."""
        ...

    def rows(self) -> list[tuple[Any, ...]]:
        """What it holds now, in order: each row once, as `loaded` gives it."""
        ...

    def load(self, con: duckdb.DuckDBPyConnection, landing: Landing, configured: Live) -> None:
        """Loads what was landed, as the asset does."""
        ...

    def loaded(self, con: duckdb.DuckDBPyConnection) -> list[tuple[Any, ...]]:
        """What of it is in the warehouse now, in order, comparable with `rows`."""
        ...

    def update_a_row(self) -> None:
        """Something changes on the server."""
        ...

    def delete_a_row(self) -> None:
        """Something goes."""
        ...


@dataclass
class Nights:
    """Fetches a vendor's system, night after night, into one landing zone."""

    folder: Path
    vendor: Vendor
    url: str
    clock: TurnedClock
    limits: Limits = LIMITS
    told: list[str] = field(default_factory=list)
    requests: int | None = None
    change: Callable[[Live], Live] = lambda configured: configured
    token: str = TOKEN

    @property
    def landing(self) -> Landing:
        return Landing(self.folder / "landing")

    @property
    def configured(self) -> Live:
        return self.change(self.vendor.settings(self.url))

    def fetch(self) -> fetching.Outcome:
        """One night."""
        source = self.vendor.source
        tools = Tools(lambda _name, _purpose: SecretStr(self.token), self.clock, self.limits)
        with closing(connector(source, self.configured, tools)) as asked:
            return fetching.fetch(
                self.landing,
                source,
                self.configured.kind,
                asked,
                carries=RECORDS[source].delivery == "state",
                budget=Budget(self.clock, self.requests, 7200),
                tell=self.told.append,
                clock=self.clock,
            )

    def fetch_until_through(self, nights: int = 8) -> "list[fetching.Outcome | SourceError]":
        """As many nights as it takes; what each came to."""
        outcomes: list[fetching.Outcome | SourceError] = []
        for _ in range(nights):
            try:
                outcome = self.fetch()
                outcomes.append(outcome)
                if not outcome.problems and not outcome.unfinished:
                    return outcomes
            except SourceError as error:
                # Nothing of it ever came.
                outcomes.append(error)
            self.clock.turn(days=1)
        raise AssertionError(f"not through after {nights} nights: {outcomes[-1]}")

    def refetch(self, *parts: str) -> int:
        """Has the next night begin anew."""
        source = self.vendor.source
        carries = RECORDS[source].delivery == "state"
        kind = self.configured.kind
        return fetching.refetch(self.landing, source, kind, parts, carries=carries, at=self.clock.now())

    def states(self) -> dict[str, PartState]:
        """How far each part has come."""
        newest = self.landing.newest(self.vendor.source)
        assert newest is not None
        return newest.parts

    def landed(self) -> list[tuple[str, str]]:
        """Name and hash of every file that counts."""
        source = self.vendor.source
        return [(file.name, file.sha256) for file in self.landing.files(source, RECORDS[source].delivery)]

    def landed_by_part(self) -> dict[str | None, set[tuple[str, str]]]:
        """The same, part by part."""
        source = self.vendor.source
        found: dict[str | None, set[tuple[str, str]]] = {}
        for file in self.landing.files(source, RECORDS[source].delivery):
            found.setdefault(file.part, set()).add((file.name, file.sha256))
        return found

    def loaded(self) -> list[tuple[Any, ...]]:
        """The rows in the warehouse, made anew from the landing zone."""
        path = self.folder / "warehouse.duckdb"
        path.write_bytes(empty_warehouse())
        with duckdb.connect(str(path)) as con:
            set_up(con)
            parts.load(con, self.landing, self.vendor.source, self.configured.kind)
            self.vendor.load(con, self.landing, self.configured)
            assert con.execute("select source, file, reason from raw.quarantine").fetchall() == []
            return self.vendor.loaded(con)

    def assert_nothing_secret(self) -> None:
        """The token is in no file of the landing zone, and nowhere that was told."""
        for path in self.folder.rglob("*"):
            if path.is_file():
                content = path.read_bytes()
                if path.suffix == ".gz":
                    import gzip

                    content = gzip.decompress(content)
                assert self.token.encode() not in content, path
        assert self.token not in " ".join(self.told)


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[arg-type]
