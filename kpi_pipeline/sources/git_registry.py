"""The hub registry from a git checkout: what its cluster.yaml files said, and from when on.

What belongs here: which commits and contents are landed, and how they are written. What never does: intervals.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from hashlib import sha256
from itertools import accumulate
from typing import Literal

from kpi_pipeline.days import ONE, span
from kpi_pipeline.errors import KpiError
from kpi_pipeline.settings.sources import HubRegistryGit
from kpi_pipeline.sources import cluster_yaml
from kpi_pipeline.sources.git import Checkout, Commit
from kpi_pipeline.sources.walk import Fetched, Made, NamedParts, Seen, Tools, Walk

HISTORY = "history.jsonl"
# Contents are landed by the file of so many, oldest first: what is full stays as it is.
BLOBS_A_FILE, BYTES_A_FILE = 500, 16 << 20
# What is larger is no cluster.yaml, whatever it is called.
MAX_BLOB_BYTES = 1 << 20
# A checkout that nobody has updated for longer is worth a word.
UPDATED_DAYS = 2


@dataclass(frozen=True)
class Entry:
    """A commit that changed files: which content each has from `at` on, as git's hash; None: it isn't there any more.

    `committed_at` is what the commit says, `at` a time that can be.
    """

    commit: str
    committed_at: datetime
    at: datetime
    changes: Mapping[str, str | None]

    def line(self) -> str:
        """As it is written down; the same entry is always the same line."""
        times = {"committed_at": self.committed_at.isoformat(), "at": self.at.isoformat()}
        changes = dict(sorted(self.changes.items()))
        return json.dumps({"commit": self.commit, **times, "changes": changes}, ensure_ascii=False) + "\n"


def read_history(content: bytes) -> list[Entry]:
    """The entries of a landed history, oldest first."""
    lines = map(json.loads, content.decode().splitlines())
    return [
        Entry(
            line["commit"],
            datetime.fromisoformat(line["committed_at"]),
            datetime.fromisoformat(line["at"]),
            line["changes"],
        )
        for line in lines
    ]


def read_blobs(content: bytes) -> Iterator[tuple[str, bytes]]:
    """The contents in a landed file, each with git's hash; they lie there as `git cat-file --batch` writes them."""
    place = 0
    while place < len(content):
        end = content.index(b"\n", place)
        blob, _, size = content[place:end].split(b" ")
        begin, place = end + 1, end + 1 + int(size) + 1
        yield blob.decode(), content[begin : place - 1]


class Registry(NamedParts):
    """The history of a checkout, whole at each fetch: `history.jsonl`, and `blobs/<number>.batch` with the contents."""

    at_once = 1

    def __init__(self, source: str, configured: HubRegistryGit, tools: Tools) -> None:
        self.source, self.configured, self._clock = source, configured, tools.clock
        self._path = (tools.folder / configured.path).resolve()

    def parts(self, walk: Walk) -> list[str]:  # noqa: ARG002
        """The folder: it is there as a whole, or it isn't."""
        return [self.configured.folder or self._path.name]

    def fetch(self, walk: Walk) -> Fetched:
        """Lands the history up to now. Where nothing is new, that is what was landed before, byte for byte."""
        with self._checkout() as checkout:
            commit, known_until = self._head(walk, checkout)
            history = walk.ask(
                f"history of {commit}: {' '.join(self._pathspecs)}",
                partial(self._history, checkout, commit, walk.started_at),
            )
            entries = read_history(history.body)
            walk.land(HISTORY, history, len(entries))
            for number, blobs in enumerate(_portions(checkout.sizes(_blobs(entries))), 1):
                asked = f"blobs {sha256(' '.join(blobs).encode()).hexdigest()}"
                contents = walk.ask(asked, partial(self._contents, checkout, commit, blobs))
                walk.land(f"blobs/{number:04d}.batch", contents, len(blobs))
        covered = span(entries[0].at.date(), known_until.date() - ONE)
        return Fetched({"commit": commit}, covered)

    def examine(self, walk: Walk) -> Iterator[Seen]:
        try:
            with self._checkout() as checkout:
                yield from self._look(checkout, walk.started_at)
        except KpiError as error:
            yield Seen("problem", str(error))

    def quota(self) -> int | None:
        return None

    def close(self) -> None:
        """Nothing stays open between two fetches."""

    @property
    def _pathspecs(self) -> list[str]:
        folder = "".join(f"\\{sign}" if sign in "*?[\\" else sign for sign in self.configured.folder)
        return [f":(glob){folder}/{file}" if folder else f":(glob){file}" for file in self.configured.files]

    def _checkout(self) -> Checkout:
        return Checkout(f"source {self.source}: {self._path}", self._path)

    def _head(self, walk: Walk, checkout: Checkout) -> tuple[str, datetime]:
        """The commit to read, and up to when the checkout knows of all that happened."""
        ref, fetches = self.configured.ref, self.configured.fetch

        def ask() -> Made:
            if fetches:
                checkout.fetch(ref)
            updated_at = None if fetches else checkout.updated_at()
            commit = checkout.commit(ref)
            known_until = _known_until(checkout, ref, commit, updated_at, walk.started_at)
            head = {"commit": commit, "known_until": known_until.isoformat()}
            return self._made(commit, json.dumps(head).encode())

        head = walk.ask(f"commit of {ref}" + (", fetched" if fetches else ""), ask).json()
        return head["commit"], datetime.fromisoformat(head["known_until"])

    def _history(self, checkout: Checkout, commit: str, now: datetime) -> Made:
        entries = self._entries(checkout, commit, now)
        return self._made(commit, "".join(entry.line() for entry in entries).encode())

    def _contents(self, checkout: Checkout, commit: str, blobs: Sequence[str]) -> Made:
        return self._made(commit, checkout.contents(blobs))

    def _made(self, commit: str, content: bytes) -> Made:
        return Made(content, f"git:{commit}", 0, {}, self._clock.now())

    def _entries(self, checkout: Checkout, commit: str, now: datetime) -> list[Entry]:
        """The history up to a commit.

        Raises:
            SourceError: there is no registry in it any more.
        """
        entries = dated(checkout.history(commit, self._pathspecs), now)
        if not files_now(entries):
            folder = self.configured.folder
            is_elsewhere = bool(folder) and checkout.is_in_submodule(commit, folder)
            where = f"below {folder!r}" + (", which is a submodule's" if is_elsewhere else "") if folder else "in it"
            raise checkout.wrong(
                f"no {' or '.join(self.configured.files)} {where} now",
                "at least one; a registry without clusters is a mistake",
                "Make the submodule's own checkout the path." if is_elsewhere else "Mend folder or files in kpi.toml.",
            )
        return entries

    def _look(self, checkout: Checkout, now: datetime) -> Iterator[Seen]:
        ref = self.configured.ref
        if self.configured.fetch:
            checkout.reach(ref)
            yield Seen("ok", f"the remote of {ref} answers")
        commit = checkout.commit(ref)
        committed_at = checkout.committed_at(commit)
        of = f"{committed_at:%Y-%m-%d %H:%M} UTC"
        yield Seen("ok", f"{checkout.version}; {ref} is {commit[:12]} of {of}, {_ago(now - committed_at)}")
        if committed_at > now:
            yield Seen(
                "note", f"{commit[:12]} is dated in the future: it counts from then on, or from the next commit on"
            )
        if not self.configured.fetch:
            yield from _looked_how_current(checkout, ref, commit, now)
        yield from _looked_into(checkout, files_now(self._entries(checkout, commit, now)))


def files_now(entries: Iterable[Entry]) -> dict[str, str]:
    """What is there after the last entry: the content of each file, as git's hash."""
    found: dict[str, str | None] = {}
    for entry in entries:
        found.update(entry.changes)
    return {name: blob for name, blob in found.items() if blob is not None}


def dated(commits: Sequence[Commit], now: datetime) -> list[Entry]:
    """The commits that changed files, each with a time that can be: none is before the one that it follows."""
    times = accumulate(_believable(commits, now), max)
    return [
        Entry(commit.id, commit.committed_at, at, {_shown(path): blob for path, blob in commit.changes.items()})
        for commit, at in zip(commits, times, strict=True)
        if commit.changes
    ]


def _believable(commits: Sequence[Commit], now: datetime) -> list[datetime]:
    """When commits were made; where one says that it will be made, the next one tells."""
    times: list[datetime] = []
    following: datetime | None = None
    for commit in reversed(commits):
        if commit.committed_at <= now:
            following = commit.committed_at
        times.append(following or commit.committed_at)
    return times[::-1]


def _shown(path: bytes) -> str:
    """A path as text, whatever its bytes are; two paths are never the same text."""
    return path.replace(b"\\", b"\\\\").decode(errors="backslashreplace")


def _blobs(entries: Iterable[Entry]) -> list[str]:
    """Every content there ever was, in the order of appearance."""
    return list(dict.fromkeys(blob for entry in entries for blob in sorted(filter(None, entry.changes.values()))))


def _portions(sizes: Mapping[str, int]) -> Iterator[list[str]]:
    """Contents by the file; those that are too large are left out."""
    portion: list[str] = []
    total = 0
    for blob, size in sizes.items():
        if size > MAX_BLOB_BYTES:
            continue
        if len(portion) == BLOBS_A_FILE or total + size > BYTES_A_FILE:
            yield portion
            portion, total = [], 0
        portion.append(blob)
        total += size
    if portion:
        yield portion


def _known_until(checkout: Checkout, ref: str, commit: str, updated_at: datetime | None, now: datetime) -> datetime:
    """Up to when a checkout knows of all that happened: nobody may have updated it for long.

    Args:
        updated_at: None: just now, or it is the original.
    """
    if updated_at is None:
        return now
    committed_at, behind_since = checkout.committed_at(commit), checkout.behind_since(ref, commit)
    # What is in it was made before it came.
    known = max(updated_at, committed_at) if committed_at <= now else updated_at
    return min(known, behind_since or now, now)


def _looked_how_current(checkout: Checkout, ref: str, commit: str, now: datetime) -> Iterator[Seen]:
    updated_at, behind_since = checkout.updated_at(), checkout.behind_since(ref, commit)
    if behind_since is not None:
        yield Seen(
            "problem", f"{ref} lacks commits of its remote since {behind_since:%Y-%m-%d}: git merge there, or set ref"
        )
    if updated_at is None:
        yield Seen("ok", "it has no remote, so it is taken for the original")
        return
    state: Literal["ok", "note"] = "ok" if now - updated_at < timedelta(days=UPDATED_DAYS) else "note"
    yield Seen(
        state, f"it heard of its remote {_ago(now - updated_at)}; days since then are missing, unless fetch = true"
    )


def _looked_into(checkout: Checkout, files: Mapping[str, str]) -> Iterator[Seen]:
    """How many clusters and hubs there are, and which files are none."""
    fit = [blob for blob, size in checkout.sizes(sorted(set(files.values()))).items() if size <= MAX_BLOB_BYTES]
    contents = dict(read_blobs(checkout.contents(fit)))
    hubs = 0
    for name, blob in sorted(files.items()):
        try:
            if blob not in contents:
                raise ValueError(f"more than {MAX_BLOB_BYTES:,} bytes")
            hubs += len(cluster_yaml.parse(name, contents[blob]))
        except ValueError as error:
            yield Seen("problem", f"{name} is no cluster.yaml: {error}; mend it, or leave it out by files in kpi.toml")
    yield Seen("ok", f"{len(files)} file(s) with {hubs} hub(s)")


def _ago(time: timedelta) -> str:
    if time < timedelta():
        return "in the future"
    return f"{time.days} day(s) ago" if time >= ONE else f"{time // timedelta(hours=1)} hour(s) ago"
