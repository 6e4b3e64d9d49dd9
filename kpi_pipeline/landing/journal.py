"""A fetch from a live source while it is under way: every answer is kept as it comes, and counts once all is there.

`open.jsonl` says which question was answered by which content. A run that was killed, or that has used up its budget,
leaves it behind; the next one asks the same questions and gets the same answers from here, so that it goes on where the
other stopped. Who asks, and why, is no affair of this module.
"""

import json
import os
import tempfile
import threading
from collections import Counter, defaultdict, deque
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from types import TracebackType
from typing import Self

from pydantic import BaseModel, ConfigDict, JsonValue, ValidationError

from kpi_pipeline.days import Days
from kpi_pipeline.errors import LandingError
from kpi_pipeline.landing import manifests
from kpi_pipeline.landing.disk import (
    FULL,
    TEMPORARY,
    copy,
    hashed,
    on_our_disk,
    place_of,
    sync,
    write_packed,
    written_aside,
)
from kpi_pipeline.landing.model import LandedFile, Manifest, PartState

OPEN = "open.jsonl"
# A walk that nobody has gone on with for so long begins anew: its first pages would stand beside much newer ones. One
# that gets something of a budget every night goes on for as many as it takes.
OLDEST_WALK = timedelta(days=3)


class _Line(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Begun(_Line):
    """A part was begun: when, and from where it continues."""

    part: str
    started_at: datetime
    cursor: dict[str, JsonValue]


class Answer(_Line):
    """An answer that came: to which question of which part, and where its bytes lie. Nothing in it is secret."""

    part: str
    question: str
    url: str
    status: int
    headers: dict[str, str]
    received_at: datetime
    sha256: str
    bytes: int
    object: str
    # Whether we packed the bytes; else they lie as they came.
    is_packed: bool = True

    def landed(self, name: str) -> LandedFile:
        """The answer as a file of its fetch."""
        return LandedFile(
            name=name,
            sha256=self.sha256,
            bytes=self.bytes,
            object=self.object,
            encoding="gzip" if self.is_packed else "identity",
            fetched_at=self.received_at,
            part=self.part,
            url=self.url,
            status=self.status,
            headers=self.headers,
        )


class _Header(_Line):
    kind: str


class _JournalLine(_Line):
    header: _Header | None = None
    begun: Begun | None = None
    answer: Answer | None = None


@dataclass(frozen=True)
class Finished:
    """A part that got through: its files, where the next fetch continues, and what of it is landed by now."""

    files: tuple[LandedFile, ...]
    cursor: dict[str, JsonValue]
    covered: Days
    first_day: date | None = None
    lag_days: int = 0


@dataclass
class _Part:
    begun: Begun
    answers: list[Answer] = field(default_factory=list)
    # By question, those that were not asked for again yet.
    to_come: dict[str, deque[Answer]] = field(default_factory=lambda: defaultdict(deque))


class OpenFetch:
    """One fetch of a source that hasn't been committed yet. Threads may share it, each with parts of its own."""

    def __init__(self, folder: Path, source: str, kind: str) -> None:
        self.folder, self.source, self.kind = folder, source, kind
        self.previous = manifests.newest(folder, kind)
        self._lock = threading.Lock()
        self._parts: dict[str, _Part] = {}
        # Parts that this run has asked something of.
        self._asked: set[str] = set()

    def __enter__(self) -> Self:
        self._read()
        # Written anew: a torn last line would spoil what is appended to it.
        self._rewrite(self._parts)
        self._journal = (self.folder / OPEN).open("ab")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        # A line for which there was no room is still waiting to be written: whoever wrote it was told.
        with suppress(OSError):
            self._journal.close()

    def state(self, part: str) -> PartState:
        """How far a part had come before this fetch."""
        return self.previous.parts.get(part, PartState()) if self.previous else PartState()

    def begin(self, part: str, now: datetime, oldest: timedelta = OLDEST_WALK) -> tuple[Begun, bool]:
        """Begins a part, or goes on with it as it was begun; and whether it goes on.

        One that had no answer yet begins anew: it would only be told what was so when it was asked in vain.

        Raises:
            LandingError: the disk is full.
        """
        with self._lock, on_our_disk(self.folder):
            known = self._parts.get(part)
            if known is not None and known.answers and now - known.answers[-1].received_at <= oldest:
                return known.begun, True
            begun = Begun(part=part, started_at=now, cursor=self.state(part).cursor)
            self._append(_JournalLine(begun=begun))
            self._parts[part] = _Part(begun)
            return begun, False

    def has_asked(self, part: str) -> bool:
        """Whether this run has asked something of a part, and was answered."""
        return part in self._asked

    def answered(self, part: str, question: str) -> Answer | None:
        """The answer that a question got before this run was started; of several, one after the other."""
        with self._lock:
            waiting = self._parts[part].to_come.get(question)
            return waiting.popleft() if waiting else None

    def keep(
        self,
        part: str,
        question: str,
        content: bytes | Path,
        *,
        url: str,
        status: int,
        headers: Mapping[str, str],
        received_at: datetime,
    ) -> Answer:
        """Keeps an answer: its bytes first, then the line that names them.

        Raises:
            LandingError: the disk is full.
        """
        with on_our_disk(self.folder):
            if isinstance(content, bytes):
                digest, size, as_is = sha256(content).hexdigest(), len(content), False
            else:
                (digest, size), as_is = hashed(content), content.name.lower().endswith((".gz", ".parquet"))
            target = place_of(self.folder, digest, as_is=as_is)
            if not target.exists():
                if isinstance(content, bytes):
                    write_packed(target, content)
                else:
                    copy(content, target, digest, as_is=as_is)
            answer = Answer(
                part=part,
                question=question,
                url=url,
                status=status,
                headers=dict(headers),
                received_at=received_at,
                sha256=digest,
                bytes=size,
                object=target.relative_to(self.folder).as_posix(),
                is_packed=not as_is,
            )
            with self._lock:
                self._append(_JournalLine(answer=answer))
                self._parts[part].answers.append(answer)
                self._asked.add(part)
        return answer

    @contextmanager
    def aside(self, suffix: str) -> Iterator[Path]:
        """A place for a file until it is kept. What a killed run leaves there goes with the next fetch.

        Raises:
            LandingError: the disk is full.
        """
        with on_our_disk(self.folder):
            descriptor, name = tempfile.mkstemp(suffix, TEMPORARY, self.folder)
            os.close(descriptor)
        path = Path(name)
        try:
            # What is written there comes from elsewhere, where something else may go wrong.
            with on_our_disk(self.folder, FULL):
                yield path
        finally:
            path.unlink(missing_ok=True)

    def place(self, answer: Answer) -> Path:
        """Where an answer's bytes lie."""
        return self.folder / answer.object

    def commit(
        self,
        finished: Mapping[str, Finished],
        problems: Mapping[str, str],
        wanted: Collection[str],
        at: datetime,
        *,
        carries: bool,
        goes_on: Collection[str],
    ) -> Manifest:
        """Writes the manifest: from here on what the finished parts landed counts, and their cursors have moved.

        Args:
            problems: why other parts didn't get through, by part.
            wanted: the parts that the configuration names.
            carries: files of parts that didn't get through stay: what isn't in the newest manifest doesn't count.
            goes_on: parts whose answers so far are of use to the next fetch; those of others are forgotten.
        """
        landed = [file for part in sorted(finished) for file in finished[part].files]
        if carries and self.previous:
            landed += self._carried(finished, wanted)
        self._refuse_doubled(landed)
        before = self.previous.parts if self.previous else {}
        manifest = Manifest(
            source=self.source,
            kind=self.kind,
            fetched_at=at,
            files=tuple(landed),
            parts={
                part: self._state(part, finished.get(part), problems.get(part), at, is_wanted=part in wanted)
                for part in sorted({*before, *wanted})
            },
        )
        for path in sorted({(self.folder / file.object).parent for file in landed} | {self.folder / "objects"}):
            sync(path)
        manifests.add(self.folder, manifest)
        self.forget(self._parts.keys() - set(goes_on))
        self.previous = manifest
        return manifest

    def restart(self, parts: Collection[str], problem: str, at: datetime, *, carries: bool) -> None:
        """Writes a manifest by which these parts were never fetched; what is landed of them stays."""
        before = self.previous.parts if self.previous else {}
        manifest = Manifest(
            source=self.source,
            kind=self.kind,
            fetched_at=at,
            files=self.previous.files if carries and self.previous else (),
            parts={
                part: PartState(started_at=state.started_at, problem=problem, problem_since=at)
                if part in parts
                else state
                for part, state in before.items()
            },
        )
        # First: what an earlier run was answered would go on from where it was, and not from the beginning.
        self.forget(parts)
        manifests.add(self.folder, manifest)
        self.previous = manifest

    def forget(self, parts: Collection[str]) -> None:
        """Forgets what parts were answered; the next fetch of them begins anew."""
        self._journal.close()
        self._parts = {part: kept for part, kept in self._parts.items() if part not in parts}
        self._rewrite(self._parts)
        self._journal = (self.folder / OPEN).open("ab")

    def _carried(self, finished: Mapping[str, Finished], wanted: Collection[str]) -> list[LandedFile]:
        """The files of parts that didn't get through.

        Those of parts that nobody names any more go with the first new one that does: a part that is renamed leaves
        nothing behind, and never nothing at all.
        """
        assert self.previous is not None  # noqa: S101
        is_replaced = bool(finished) or any(self.state(part).started_at for part in wanted)
        return [
            file
            for file in self.previous.files
            if file.part not in finished and (file.part in wanted or not is_replaced)
        ]

    def _refuse_doubled(self, landed: Sequence[LandedFile]) -> None:
        """Two files of one name would count as one, and the other's rows would be lost.

        Raises:
            LandingError: there are such.
        """
        names = Counter(file.name for file in landed)
        if doubled := sorted(name for name, count in names.items() if count > 1):
            parts = sorted({file.part or "" for file in landed if file.name == doubled[0]})
            raise LandingError(
                self.folder,
                got=f"the name {doubled[0]!r} from the parts {', '.join(parts)}",
                expected="a name for each file",
                fix="Name these parts apart in kpi.toml; if they are, please report it.",
            )

    def _state(
        self, part: str, finished: Finished | None, problem: str | None, at: datetime, *, is_wanted: bool
    ) -> PartState:
        before = self.state(part)
        if finished is not None:
            return PartState(
                started_at=self._parts[part].begun.started_at,
                cursor=finished.cursor,
                covered=finished.covered,
                first_day=finished.first_day,
                lag_days=finished.lag_days,
                is_wanted=is_wanted,
            )
        if problem is None:
            update: dict[str, object] = {"is_wanted": is_wanted}
            if part in self._asked:
                # It is under way, and answers.
                update |= {"problem": None, "problem_since": None}
            return before.model_copy(update=update)
        since = before.problem_since or at
        return before.model_copy(update={"is_wanted": is_wanted, "problem": problem, "problem_since": since})

    def _append(self, line: _JournalLine) -> None:
        self._journal.write(_encoded(line))
        self._journal.flush()
        os.fsync(self._journal.fileno())

    def _read(self) -> None:
        """What an earlier run left. A part that a manifest has since then is through: its lines are of no use."""
        path = self.folder / OPEN
        lines = list(_lines(path)) if path.is_file() else []
        if not lines or lines[0].header != _Header(kind=self.kind):
            return
        torn: set[str] = set()
        for line in lines[1:]:
            if line.begun is not None:
                through = self.state(line.begun.part).started_at
                torn.discard(line.begun.part)
                self._parts.pop(line.begun.part, None)
                if through is None or line.begun.started_at > through:
                    self._parts[line.begun.part] = _Part(line.begun)
            elif line.answer is not None and line.answer.part in self._parts and line.answer.part not in torn:
                if not self.place(line.answer).is_file():
                    # Lost in a power cut: what was asked after it may rest on it.
                    torn.add(line.answer.part)
                    continue
                part = self._parts[line.answer.part]
                part.answers.append(line.answer)
                part.to_come[line.answer.question].append(line.answer)

    def _rewrite(self, parts: Mapping[str, _Part]) -> None:
        with written_aside(self.folder / OPEN) as out:
            out.write(_encoded(_JournalLine(header=_Header(kind=self.kind))))
            for part in parts.values():
                out.write(_encoded(_JournalLine(begun=part.begun)))
                for answer in part.answers:
                    out.write(_encoded(_JournalLine(answer=answer)))
        sync(self.folder)


def objects_of_open_fetch(folder: Path) -> set[str]:
    """The contents that an open fetch needs."""
    path = folder / OPEN
    lines = _lines(path) if path.is_file() else ()
    return {line.answer.object for line in lines if line.answer is not None}


def _encoded(line: _JournalLine) -> bytes:
    return line.model_dump_json(exclude_unset=True).encode() + b"\n"


def _lines(path: Path) -> Iterator[_JournalLine]:
    """The lines of a journal up to the first that is torn: what comes after it was never written."""
    for line in path.read_bytes().split(b"\n"):
        try:
            yield _JournalLine.model_validate(json.loads(line))
        except (ValueError, ValidationError):
            return
