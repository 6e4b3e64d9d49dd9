"""Fetches a live source: part by part, several at a time, within a budget, and into the landing zone as one fetch.

What belongs here: the order of things, and what becomes of a part that fails. What never does: a vendor, or a page.
"""

import tempfile
import time
import traceback
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Lock

from kpi_pipeline.clock import SYSTEM, Clock
from kpi_pipeline.days import Days
from kpi_pipeline.errors import BudgetSpentError, KpiError, LandingError, SourceError, UnreachableError
from kpi_pipeline.landing import OLDEST_WALK, Answer, Finished, LandedFile, Landing, OpenFetch, content_of
from kpi_pipeline.sources.transport import (
    MAX_BYTES,
    BadAnswerError,
    Budget,
    Question,
    Reply,
    Transport,
    kept_headers,
    redacted_url,
)
from kpi_pipeline.sources.walk import Connector, Cursor, Made

# What comes before the parts: which of them there are. Asked anew by every run.
PARTS = "(parts)"
# Unless a run had no budget left for the list or for anything else, or was killed.
OLDEST_LIST = timedelta(hours=36)
NOT_LISTED = (
    "the source doesn't list it any more, though kpi.toml names it: if it has gone for good, name it in leave_out; "
    "if not, look what the token may see"
)
FROM_THE_BEGINNING = "is to be fetched from the beginning, as kpi refetch asked for: run kpi run"
# What a walk that was begun longer ago shows is of an earlier night.
OF_THIS_NIGHT = timedelta(hours=12)
TELL_SECONDS = 5.0
SHOWN_PROBLEMS = 3
Tell = Callable[[str], None]


@dataclass(frozen=True)
class Outcome:
    """What a fetch did.

    Args:
        parts: those that the configuration names.
        finished: those that got through.
        notes: what is to be known of those, by part.
        problems: why others didn't, by part.
        unfinished: those that the next run goes on with, since the budget was used up.
    """

    parts: tuple[str, ...]
    finished: tuple[str, ...]
    notes: dict[str, tuple[str, ...]]
    problems: dict[str, str]
    unfinished: tuple[str, ...]
    pages: int
    rows: int
    bytes: int
    requests: int
    seconds: float


@dataclass
class Progress:
    """Counts what has come; threads share it."""

    source: str
    budget: Budget
    quota: Callable[[], int | None]
    parts: int = 0
    through: set[str] = field(default_factory=set)
    pages: int = 0
    rows: int = 0
    bytes: int = 0
    _lock: Lock = field(default_factory=Lock, repr=False)

    def add(self, answer: Answer, rows: int | None) -> None:
        with self._lock:
            self.pages += 1
            self.rows += rows or 0
            self.bytes += answer.bytes

    def add_part(self, part: str) -> None:
        with self._lock:
            self.through.add(part)

    def words(self) -> str:
        """How far it is, for people."""
        left = self.quota()
        minutes, seconds = divmod(int(self.budget.elapsed), 60)
        said = f"{self.source}: {len(self.through)} of {self.parts} parts, {self.pages:,} pages, {self.rows:,} rows"
        return said + (f", {left:,} requests left" if left is not None else "") + f", {minutes}:{seconds:02}"


class _Walk:
    """A walk through one part, whose answers an open fetch keeps."""

    def __init__(self, fetch: OpenFetch, part: str, budget: Budget, progress: Progress, now: datetime) -> None:
        begun, self.goes_on = fetch.begin(part, now, OLDEST_LIST if part == PARTS else OLDEST_WALK)
        self.part, self.started_at, self.cursor = part, begun.started_at, dict(begun.cursor)
        self.covered = fetch.state(part).covered
        self.files: dict[str, LandedFile] = {}
        self.budget, self._fetch, self._progress = budget, fetch, progress

    def get(self, transport: Transport, question: Question) -> Reply:
        if known := self._fetch.answered(self.part, question.key):
            return self._repeated(known)
        reply = transport.send(question, self.budget)
        made = Made(reply.body, reply.url, reply.status, reply.headers, reply.received_at)
        return replace(reply, kept=self._keep(question.key, made))

    def ask(self, question: str, answer: Callable[[], Made]) -> Reply:
        if known := self._fetch.answered(self.part, question):
            return self._repeated(known)
        self.budget.spend()
        made = answer()
        kept = self._keep(question, made)
        if isinstance(made.content, bytes):
            return Reply(kept.url, kept.status, kept.headers, made.content, kept.received_at, kept)
        return self._repeated(kept)

    def aside(self, suffix: str) -> AbstractContextManager[Path]:
        return self._fetch.aside(suffix)

    def land(self, name: str, reply: Reply, rows: int | None = None) -> None:
        assert isinstance(reply.kept, Answer), "only what was asked through a walk can be landed"  # noqa: S101
        if name not in self.files:
            self._progress.add(reply.kept, rows)
        self.files[name] = reply.kept.landed(name)

    def _keep(self, question: str, made: Made) -> Answer:
        return self._fetch.keep(
            self.part,
            question,
            made.content,
            url=redacted_url(made.url),
            status=made.status,
            headers=kept_headers(made.headers),
            received_at=made.received_at,
        )

    def _repeated(self, known: Answer) -> Reply:
        """An answer that is on disk; the bytes of a large one stay there."""
        body = content_of(self._fetch.place(known), compressed=known.is_packed) if known.bytes <= MAX_BYTES else b""
        return Reply(known.url, known.status, known.headers, body, known.received_at, known)


class Glance:
    """A walk that keeps nothing, to look at a source without fetching it."""

    part = PARTS

    def __init__(self, now: datetime, budget: Budget) -> None:
        self.started_at = now
        self.cursor: Cursor = {}
        self.covered: Days = ()
        self.budget = budget

    def get(self, transport: Transport, question: Question) -> Reply:
        return transport.send(question, self.budget)

    def ask(self, question: str, answer: Callable[[], Made]) -> Reply:  # noqa: ARG002
        self.budget.spend()
        made = answer()
        body = made.content if isinstance(made.content, bytes) else b""
        return Reply(made.url, made.status, made.headers, body, made.received_at)

    @contextmanager
    def aside(self, suffix: str) -> Iterator[Path]:
        with tempfile.TemporaryDirectory() as folder:
            yield Path(folder) / f"answer{suffix}"

    def land(self, name: str, reply: Reply, rows: int | None = None) -> None:
        """Nothing is landed."""


def fetch(
    landing: Landing,
    source: str,
    kind: str,
    connector: Connector,
    *,
    carries: bool,
    budget: Budget,
    tell: Tell,
    clock: Clock = SYSTEM,
) -> Outcome:
    """Fetches what is new of a source, and lands it as one fetch.

    A part that fails doesn't hold the others up: it stays as it was, and the manifest says why. So a fetch of which
    everything fails succeeds too, as long as there was one before; what rests on it is marked.

    Args:
        carries: what isn't in the newest fetch doesn't count, so what a failed part had landed before is carried on.
        tell: is told how far it is, every few seconds.

    Raises:
        SourceError: nothing of the source could be fetched, neither now nor ever before.
    """
    with landing.fetch(source, kind) as open_fetch:
        return _Fetch(open_fetch, source, connector, carries, budget, tell, clock).run()


def refetch(landing: Landing, source: str, kind: str, parts: Collection[str], *, carries: bool, at: datetime) -> int:
    """Has the next fetch ask for everything again; until then all days of these parts are missing.

    Args:
        parts: those to ask again; none: all.

    Returns:
        How many parts that are.

    Raises:
        SourceError: one was never fetched.
    """
    with landing.fetch(source, kind) as open_fetch:
        before = open_fetch.previous.parts if open_fetch.previous else {}
        known = {part for part, state in before.items() if state.is_wanted}
        if not known or (unknown := sorted(set(parts) - known)):
            raise SourceError(
                f"source {source}",
                got=f"the part {unknown[0]!r}" if known else "no fetch of it so far",
                expected=f"one of: {', '.join(sorted(known))}" if known else "one that can be repeated",
                fix="The table source_parts has the parts of every live source.",
            )
        wanted = set(parts) or known
        open_fetch.restart(wanted, FROM_THE_BEGINNING, at, carries=carries)
        return len(wanted)


class _Fetch:
    """One run of fetch()."""

    def __init__(
        self,
        open_fetch: OpenFetch,
        source: str,
        connector: Connector,
        carries: bool,
        budget: Budget,
        tell: Tell,
        clock: Clock,
    ) -> None:
        self.open_fetch, self.source, self.connector, self.carries = open_fetch, source, connector, carries
        self.budget, self.tell, self.clock = budget, tell, clock
        self.progress = Progress(source, budget, connector.quota)
        self.finished: dict[str, Finished] = {}
        self.notes: dict[str, tuple[str, ...]] = {}
        self.problems: dict[str, str] = {}
        # Of these the answers so far are of no use to the next run.
        self.over: set[str] = {PARTS}
        # These were begun on an earlier night.
        self.went_on: set[str] = set()

    def run(self) -> Outcome:
        parts = self._parts()
        self._fetch_all(self._by_age([part for part in parts if part not in self.problems]))
        self._refuse_if_nothing_ever_came(parts)
        self._keep_a_list_that_left_nothing(parts)
        self._commit(parts)
        self._fetch_again(parts)
        self.tell(self.progress.words())
        for part, notes in sorted(self.notes.items()):
            self.tell(f"{self.source}: {part}: {' '.join(notes)}")
        return Outcome(
            parts=tuple(parts),
            finished=tuple(sorted(self.finished)),
            notes=self.notes,
            problems=self.problems,
            unfinished=self._unfinished(parts),
            pages=self.progress.pages,
            rows=self.progress.rows,
            bytes=self.progress.bytes,
            requests=self.budget.spent,
            seconds=self.budget.elapsed,
        )

    def _parts(self) -> list[str]:
        """The parts there are; where the source doesn't say, those of the last time, each with this problem.

        One that is no longer listed, though kpi.toml names it, has gone, or can't be seen any more: it stays.
        """
        before = self.open_fetch.previous.parts if self.open_fetch.previous else {}
        known = [part for part, state in before.items() if state.is_wanted]
        try:
            walk = self._walk(PARTS)
            found = sorted(set(self.connector.parts(walk)))
            vanished = [part for part in known if part not in found and self.connector.names(walk, part)]
        except BudgetSpentError:
            # The next run goes on with the list.
            self.over.discard(PARTS)
            self.budget.is_stopped.set()
            return known
        except LandingError:
            raise
        except Exception as error:
            self.problems = dict.fromkeys(known or [PARTS], _words(error))
            return known
        self.problems |= dict.fromkeys(vanished, NOT_LISTED)
        if not found and not vanished:
            self.problems = {PARTS: "the source lists nothing: look at what kpi.toml names, and what the token may see"}
        return sorted([*found, *vanished])

    def _commit(self, parts: list[str]) -> None:
        goes_on = {PARTS, *parts} - self.over
        self.open_fetch.commit(
            self.finished, self.problems, parts, self.clock.now(), carries=self.carries, goes_on=goes_on
        )

    def _unfinished(self, parts: list[str]) -> tuple[str, ...]:
        return tuple(part for part in parts if part not in self.finished and part not in self.problems)

    def _keep_a_list_that_left_nothing(self, parts: list[str]) -> None:
        """Where the list took the whole budget, the next run has it: else each would ask for it, and for no more."""
        if self._unfinished(parts) and not any(map(self.open_fetch.has_asked, parts)):
            self.over.discard(PARTS)

    def _fetch_again(self, parts: list[str]) -> None:
        """Parts that were begun on an earlier night show what was there then: once more, for what is new since."""
        again = [part for part in self.finished if part in self.went_on]
        if not again or self.budget.is_stopped.is_set():
            return
        first = self.finished
        self.finished, self.over = {}, self.over & {PARTS}
        self._fetch_all(self._by_age(again))
        self._commit(parts)
        self.finished = first | self.finished

    def _refuse_if_nothing_ever_came(self, parts: list[str]) -> None:
        before = self.open_fetch.previous.parts.values() if self.open_fetch.previous else ()
        is_under_way = any(part not in self.problems for part in parts) or self.budget.is_stopped.is_set()
        if is_under_way and not self.finished:
            return
        if self.problems and not self.finished and not any(state.started_at for state in before):
            # What was answered may be what is wrong, as below.
            self.open_fetch.forget(self.over)
            shown = [f"{part}: {problem}" for part, problem in sorted(self.problems.items())][:SHOWN_PROBLEMS]
            raise SourceError(
                f"source {self.source}",
                got=f"{len(self.problems)} problem(s), and nothing else: {' '.join(shown)}",
                expected="at least one part of it that can be fetched",
                fix="kpi doctor looks at each. What was fetched before would have been kept; there is nothing yet.",
            )

    def _by_age(self, parts: list[str]) -> list[str]:
        """Those first that have waited longest, so that a budget that is too small starves none."""
        never = datetime.min.replace(tzinfo=UTC)
        return sorted(parts, key=lambda part: (self.open_fetch.state(part).started_at or never, part))

    def _fetch_all(self, parts: list[str]) -> None:
        self.progress.parts = max(self.progress.parts, len(parts))
        with ThreadPoolExecutor(self.connector.at_once) as pool:
            jobs = {pool.submit(self._fetch_part, part): part for part in parts}
            try:
                waiting: set[Future[None]] = set(jobs)
                told = time.monotonic()
                while waiting:
                    _, waiting = wait(waiting, TELL_SECONDS, FIRST_COMPLETED)
                    if waiting and time.monotonic() - told >= TELL_SECONDS:
                        told = time.monotonic()
                        self.tell(self.progress.words())
                for job in jobs:
                    job.result()
            except BaseException:
                self.budget.is_stopped.set()
                pool.shutdown(cancel_futures=True)
                raise

    def _fetch_part(self, part: str) -> None:
        try:
            walk = self._walk(part)
            if walk.goes_on and self.clock.now() - walk.started_at > OF_THIS_NIGHT:
                self.went_on.add(part)
            fetched = self.connector.fetch(walk)
        except BudgetSpentError:
            return
        except LandingError:
            # Nobody else is asked what can't be kept.
            self.budget.is_stopped.set()
            raise
        except UnreachableError as error:
            self.problems[part] = _words(error)
        except Exception as error:
            # One part must not hold up the others, whatever is wrong with it. Its answers may be what is wrong.
            self.problems[part] = _words(error)
            self.over.add(part)
        else:
            self.finished[part] = Finished(
                tuple(walk.files.values()), fetched.cursor, fetched.covered, fetched.first_day, fetched.lag_days
            )
            self.over.add(part)
            self.progress.add_part(part)
            if fetched.notes:
                self.notes[part] = fetched.notes

    def _walk(self, part: str) -> _Walk:
        return _Walk(self.open_fetch, part, self.budget, self.progress, self.clock.now())


def _words(error: Exception) -> str:
    """What is wrong, in words that hold nothing secret: of an error that isn't ours, only where it came from."""
    if isinstance(error, KpiError):
        return str(error)
    if isinstance(error, BadAnswerError):
        return f"an answer that can't be one: {error}"
    last = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__} in {Path(last.filename).name}, line {last.lineno}: please report it"
