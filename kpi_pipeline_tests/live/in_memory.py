"""A source in memory, asked without HTTP: rules of the core are tested on it, one by one. No vendor is here."""

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from pathlib import Path
from typing import Any

from kpi_pipeline import fetching
from kpi_pipeline.days import ONE, Days, span, union
from kpi_pipeline.landing import LandedFile, Landing, PartState, content_of
from kpi_pipeline.sources.transport import Budget, Reply
from kpi_pipeline.sources.walk import Cursor, Fetched, Made, Seen, Walk
from kpi_pipeline_tests.live.fetched import TOKEN, TurnedClock

# What it stands for: some source of that name is in the contracts.
SOURCE, KIND = "github", "in_memory"
SINCE = date(2026, 2, 1)
ROWS = 10
# Instead of an answer, or once there is one: an error, or something that happens meanwhile.
Happening = Exception | Callable[[], object]


@dataclass(frozen=True)
class Begun:
    """What a walk was given."""

    part: str
    started_at: datetime
    cursor: Cursor
    covered: Days


@dataclass
class InMemory:
    """A source. Each question of a fetch is one request: `count`, and then `page 0`, `page 1`, ...

    Args:
        pages: what each part holds now.
        is_state: each fetch reads all pages of a part; else those that are new.
        list_pages: how many questions (`list 0`, ...) it takes to know which parts there are; 0: kpi.toml names them.
        in_pattern: whether kpi.toml has a pattern that names all parts.
        instead, after: what happens at a question of a part, before there is an answer and when it is kept.
        more: what a fetch of each part says beside its cursor.
        aside: pages come as files.
        name: how a page of a part is named.
    """

    clock: TurnedClock
    pages: dict[str, list[str]]
    is_state: bool = False
    list_pages: int = 0
    in_pattern: bool = False
    at_once: int = 1
    instead: dict[tuple[str, str], Happening] = field(default_factory=dict)
    after: dict[tuple[str, str], Happening] = field(default_factory=dict)
    more: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    name: Callable[[str, int], str] = "{}/{}".format
    aside: bool = False
    left: int | None = None
    asked: list[tuple[str, str]] = field(default_factory=list)
    begun: list[Begun] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def parts(self, walk: Walk) -> list[str]:
        if not self.list_pages:
            return [*self.pages]
        return [part for n in range(self.list_pages) for part in self._ask(walk, f"list {n}").json()]

    def names(self, walk: Walk, part: str) -> bool:  # noqa: ARG002
        return self.in_pattern

    def fetch(self, walk: Walk) -> Fetched:
        with self._lock:
            self.begun.append(Begun(walk.part, walk.started_at, walk.cursor, walk.covered))
        known, count = walk.cursor.get("pages", 0), self._ask(walk, "count").json()
        assert isinstance(known, int)
        for n in range(0 if self.is_state else known, count):
            walk.land(self.name(walk.part, n), self._page(walk, f"page {n}"), ROWS)
        covered = union(walk.covered, span(SINCE, walk.started_at.date() - ONE))
        return replace(Fetched({"pages": count}, covered), **self.more.get(walk.part, {}))

    def examine(self, walk: Walk) -> Iterator[Seen]:
        yield Seen("ok", f"{len(self.parts(walk))} parts")

    def quota(self) -> int | None:
        return self.left

    def close(self) -> None:
        """There is nothing to close."""

    def of(self, part: str) -> list[str]:
        """What was asked of a part."""
        return [question for asked, question in self.asked if asked == part]

    def all_pages(self) -> dict[str, str]:
        """What it holds, as it is landed."""
        return {self.name(part, n): page for part, pages in self.pages.items() for n, page in enumerate(pages)}

    def _page(self, walk: Walk, question: str) -> Reply:
        if not self.aside:
            return self._ask(walk, question)
        with walk.aside(".csv") as path:
            return self._ask(walk, question, path)

    def _ask(self, walk: Walk, question: str, path: Path | None = None) -> Reply:
        def answer() -> Made:
            with self._lock:
                self.asked.append((walk.part, question))
            _happens(self.instead.get((walk.part, question)))
            # Addresses and headers may hold what nobody may see.
            headers = {"Content-Type": "text/plain", "Set-Cookie": TOKEN}
            url = f"memory://{SOURCE}/{question.replace(' ', '/')}?access_token={TOKEN}"
            content = self._content(walk.part, question)
            if path is not None:
                path.write_bytes(content)
            return Made(path or content, url, 200, headers, self.clock.now())

        reply = walk.ask(question, answer)
        _happens(self.after.get((walk.part, question)))
        return reply

    def _content(self, part: str, question: str) -> bytes:
        what, _, number = question.partition(" ")
        if what == "count":
            return json.dumps(len(self.pages[part])).encode()
        if what == "list":
            return json.dumps([*self.pages][int(number) :: self.list_pages]).encode()
        return self.pages[part][int(number)].encode()


def _happens(what: Happening | None) -> None:
    if isinstance(what, Exception):
        raise what
    if what is not None:
        what()


def holding(clock: TurnedClock, **counts: int) -> InMemory:
    """A source whose parts have so many pages, no two of them alike."""
    return InMemory(clock, {part: [f"{part} {n}" for n in range(count)] for part, count in counts.items()})


@dataclass
class Runs:
    """Runs of one source, into one landing zone."""

    folder: Path
    source: InMemory
    requests: int | None = None
    told: list[str] = field(default_factory=list)
    tell: Callable[[str], None] | None = None

    @property
    def clock(self) -> TurnedClock:
        return self.source.clock

    @property
    def landing(self) -> Landing:
        return Landing(self.folder)

    def fetch(self) -> fetching.Outcome:
        """One run."""
        return fetching.fetch(
            self.landing,
            SOURCE,
            KIND,
            self.source,
            carries=self.source.is_state,
            budget=Budget(self.clock, self.requests),
            tell=self.tell or self.told.append,
            clock=self.clock,
        )

    def files(self) -> list[LandedFile]:
        """The files that count."""
        return self.landing.files(SOURCE, "state" if self.source.is_state else "log")

    def landed(self) -> dict[str, str]:
        """What they hold, by name."""
        return {
            file.name: content_of(self.landing.path(SOURCE, file), compressed=file.is_packed).decode()
            for file in self.files()
        }

    def states(self) -> dict[str, PartState]:
        """How far each part has come."""
        newest = self.landing.newest(SOURCE)
        return newest.parts if newest else {}

    def problems(self) -> dict[str, str]:
        """What is wrong, by part."""
        return {part: state.problem for part, state in self.states().items() if state.problem is not None}
