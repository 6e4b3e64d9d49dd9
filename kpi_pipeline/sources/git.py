"""git, safely: a checkout is read as data. What is in its files is no affair of this module.

Its objects are read through an empty repository of our own, so that nothing in its configuration, its hooks or its
attributes can run a program, and nobody has to trust it (safe.directory). Its working tree is never touched. Every
program is bounded in time, and in what it may say; arguments are lists, and there is no shell.
"""

import os
import re
import selectors
import signal
import subprocess
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from kpi_pipeline import settings
from kpi_pipeline.clock import SYSTEM
from kpi_pipeline.errors import SourceError
from kpi_pipeline.sources.transport import MAX_BYTES, REDACTED, shown_url

# GIT_CONFIG_GLOBAL is known from here on.
OLDEST = (2, 32)
READ_SECONDS, FETCH_SECONDS, REACH_SECONDS, LOOK_SECONDS = 300.0, 900.0, 30.0, 1.0
CHUNK = 1 << 16
KEPT_ERRORS = 4096
SHOWN_WORDS = 200
# The last one of the year 9999.
LAST_SECOND = 253_402_300_799
# What git itself needs to run.
NEEDED = ("PATH", "LD_LIBRARY_PATH", "GIT_EXEC_PATH")
# Asks nobody for a password, and speaks English.
QUIETLY = {"GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}
# Reading knows nobody's configuration, and gets nothing that isn't there.
READING = {
    **QUIETLY,
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_ATTR_NOSYSTEM": "1",
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_OPTIONAL_LOCKS": "0",
}
# Fetching goes by the configuration of whoever runs us (keys, helpers that know passwords, proxies): that is theirs.
FETCHING = {**QUIETLY, "GIT_ALLOW_PROTOCOL": "https:ssh:file"}
OURS = (
    "HOME", "XDG_CONFIG_HOME", "SSH_AUTH_SOCK", "GIT_SSH_COMMAND", "GIT_SSL_CAINFO", "SSL_CERT_FILE", "SSL_CERT_DIR",
    "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY", "no_proxy", "NO_PROXY",
)  # fmt: skip
ALWAYS = ("git", "--no-pager", "-c", f"core.hooksPath={os.devnull}", "-c", "core.fsmonitor=false")
LOG = (
    "log", "-z", "--first-parent", "--diff-merges=first-parent", "--sparse", "--reverse", "--root", "--raw",
    "--no-abbrev", "--no-renames", "--no-ext-diff", "--no-textconv", "--no-show-signature", "--format=%H %ct",
)  # fmt: skip
A_FILE = (b"100", b"120")


class _FailedError(Exception):
    """git ended with an error, or had to be ended; the text says why, and nothing secret."""


@dataclass(frozen=True)
class Commit:
    """One commit of the first-parent line, and what it did to files: which blob is there from now on; None: none."""

    id: str
    committed_at: datetime
    changes: Mapping[bytes, str | None]


class Checkout:
    """A checkout or a bare clone, open to be read.

    Args:
        culprit: how errors name it.
    """

    def __init__(self, culprit: str, path: Path) -> None:
        self._culprit, self._path = culprit, path

    def __enter__(self) -> Self:
        """Looks where everything is.

        Raises:
            SourceError: there is no git, it is too old, or there is no repository, or only a part of one.
        """
        self._temporary = tempfile.TemporaryDirectory(prefix="kpi-git-")
        own = Path(self._temporary.name) / "repository"
        # How git sees our own repository, and the checkout.
        self._own, self._there = {"GIT_DIR": str(own)}, dict[str, str]()
        try:
            self.version = self._version()
            self._git_dir = self._find()
            self._there = {"GIT_DIR": str(self._git_dir)}
            asked = ("--is-shallow-repository", "--show-object-format", "--git-common-dir", "--git-path", "objects")
            shallow, object_format, common, objects = os.fsdecode(self._in_checkout("rev-parse", *asked)).splitlines()
            if shallow == "true":
                raise self.wrong(
                    "a shallow clone: its history is cut off",
                    "the whole history, which says since when things are as they are",
                    "git fetch --unshallow there; in CI, check out with a depth of 0.",
                )
            self._common_dir = self._git_dir / common
            self._read("init", "--quiet", "--bare", "--template=", f"--object-format={object_format}", str(own))
            self._own["GIT_OBJECT_DIRECTORY"] = str(self._git_dir / objects)
        except BaseException:
            self._temporary.cleanup()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._temporary.cleanup()

    def commit(self, ref: str) -> str:
        """The commit that a branch or tag names now.

        Raises:
            SourceError: nothing is named so.
        """
        found = self._named(ref)
        if found is None:
            is_empty = not self._in_checkout("for-each-ref", "--count=1", "--format=%(refname)")
            raise self.wrong(
                f"no {ref!r} in it" + (": it has no commits yet" if is_empty else ""),
                "a branch, a tag or a commit",
                "Mend ref in kpi.toml (git branch --all lists branches), or fetch it there.",
            )
        return self._read("rev-parse", "--verify", f"{found}^{{commit}}").decode().strip()

    def committed_at(self, commit: str) -> datetime:
        """When a commit says that it was made."""
        return _moment(self._read("log", "-1", "--no-show-signature", "--format=%ct", commit))

    def updated_at(self) -> datetime | None:
        """When it last heard of its remote, or was cloned; None: it has no remote, so there is nothing to hear."""
        places = {self._git_dir / "FETCH_HEAD", self._common_dir / "FETCH_HEAD"}
        heard = [place.stat() for place in places if place.is_file()]
        if not heard and not self.remotes():
            return None
        # A fetch that failed leaves an empty one.
        times = [found.st_mtime for found in heard if found.st_size] or [(self._git_dir / "HEAD").stat().st_mtime]
        return datetime.fromtimestamp(max(times), UTC)

    def behind_since(self, ref: str, commit: str) -> datetime | None:
        """When the oldest of the commits was made that a branch's upstream has and the branch hasn't; None: no such."""
        upstream = self._named(f"{ref}@{{upstream}}")
        if upstream is None:
            return None
        lacking = self._read("log", "--first-parent", "--no-show-signature", "--format=%ct", f"{commit}..{upstream}")
        return min(map(_moment, lacking.split()), default=None)

    def remotes(self) -> dict[str, str]:
        """Where it was cloned from, by the name of the remote: may hold a password."""
        asked = ("config", "--file", str(self._common_dir / "config"), "-z", "--get-regexp", r"^remote\..*\.url$")
        found: dict[str, str] = {}
        try:
            lines = os.fsdecode(_run(*asked, variables=self._own)).split("\0")
        except _FailedError:
            return found
        for line in filter(None, lines):
            key, _, url = line.partition("\n")
            found.setdefault(key.removeprefix("remote.").removesuffix(".url"), url)
        return found

    def fetch(self, ref: str) -> None:
        """Asks the remote of `<remote>/<branch>` for news: objects come, and that one ref moves.

        Raises:
            SourceError: it isn't reached, or refuses.
        """
        name, branch, url = self._remote(ref)
        # What is here already needn't come again.
        for number, known in enumerate(filter(None, map(self._named, (ref, "HEAD")))):
            self._read("update-ref", f"refs/kpi/known{number}", known)
        quietly = ("--quiet", "--no-tags", "--no-recurse-submodules", "--no-auto-maintenance", "--no-write-fetch-head")
        self._at_remote(name, url, FETCH_SECONDS, "fetch", *quietly, "kpi", f"+refs/heads/{branch}:refs/kpi/fetched")
        fetched = self._read("rev-parse", "--verify", "refs/kpi/fetched").decode().strip()
        self._in_checkout("update-ref", "-m", "fetch: by kpi", f"refs/remotes/{name}/{branch}", fetched)

    def reach(self, ref: str) -> None:
        """Looks whether the remote of `<remote>/<branch>` has that branch, and changes nothing.

        Raises:
            SourceError: it isn't reached, or refuses, or has no such branch.
        """
        name, branch, url = self._remote(ref)
        if not self._at_remote(name, url, REACH_SECONDS, "ls-remote", "kpi", f"refs/heads/{branch}"):
            raise self.wrong(f"no branch {branch!r} at {shown_url(url)}", "that branch", "Mend ref in kpi.toml.")

    def history(self, commit: str, pathspecs: Iterable[str]) -> list[Commit]:
        """The first-parent line up to a commit, oldest first, with what it did to files that pathspecs name."""
        return _commits(self._read(*LOG, commit, "--", *pathspecs))

    def sizes(self, blobs: Iterable[str]) -> dict[str, int]:
        """How large blobs are.

        Raises:
            SourceError: one isn't there.
        """
        found: dict[str, int] = {}
        for line in self._read("cat-file", "--batch-check", stdin=_lines(blobs)).decode().splitlines():
            blob, kind, *size = line.split()
            if kind != "blob":
                raise self.wrong(
                    f"object {blob[:12]} {kind}",
                    "a clone that has all contents",
                    "git fsck there tells more. A partial clone (--filter) lacks contents: clone it without.",
                )
            found[blob] = int(size[0])
        return found

    def contents(self, blobs: Iterable[str]) -> bytes:
        """Blobs one after the other, as `git cat-file --batch` writes them."""
        return self._read("cat-file", "--batch", stdin=_lines(blobs))

    def is_in_submodule(self, commit: str, folder: str) -> bool:
        """Whether a folder is another repository's, or is in one that is."""
        parts = folder.split("/")
        above = ["/".join(parts[: n + 1]) for n in range(len(parts))]
        listed = self._read("ls-tree", "-z", "--full-tree", commit, "--", *above)
        return any(entry.startswith(b"160000 ") for entry in listed.split(b"\0"))

    def wrong(self, got: str, expected: str, fix: str) -> SourceError:
        """An error about the checkout."""
        return SourceError(self._culprit, got=got, expected=expected, fix=fix)

    def _version(self) -> str:
        text = self._read("version").decode().strip()
        found = re.search(r"(\d+)\.(\d+)", text)
        if found is None or tuple(map(int, found.groups())) < OLDEST:
            oldest = ".".join(map(str, OLDEST))
            raise SourceError("git", got=text, expected=f"{oldest} or later", fix="Install a newer git.")
        return text

    def _find(self) -> Path:
        """Where git keeps it: in a folder .git, where a file .git says, or in the folder itself."""
        for place in (self._path / ".git", self._path):
            try:
                return Path(os.fsdecode(_run("rev-parse", "--resolve-git-dir", str(place)).removesuffix(b"\n")))
            except _FailedError:
                continue
        raise self.wrong(
            "no git repository, or one that may not be read",
            "a checkout or a bare clone",
            "Mend path in kpi.toml (it is relative to kpi.toml), or git clone it there.",
        )

    def _named(self, name: str) -> str | None:
        try:
            return _run("rev-parse", "--verify", "--quiet", name, variables=self._there).decode().strip()
        except _FailedError:
            return None

    def _remote(self, ref: str) -> tuple[str, str, str]:
        """Name of a ref's remote, the branch there, and the remote's address."""
        remotes = self.remotes()
        name = max((name for name in remotes if ref.startswith(f"{name}/")), key=len, default=None)
        if name is None or remotes[name].startswith("-"):
            raise self.wrong(
                f"ref {ref!r}, and no remote that it could be of",
                "<remote>/<branch>, such as origin/main",
                "Mend ref in kpi.toml; git remote --verbose lists the remotes there.",
            )
        return name, ref.removeprefix(f"{name}/"), remotes[name]

    def _at_remote(self, name: str, url: str, seconds: float, *arguments: str) -> bytes:
        # By the environment: arguments are seen by every user of the machine.
        configured = {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "remote.kpi.url", "GIT_CONFIG_VALUE_0": url}
        variables = {**settings.passed_on(OURS), **FETCHING, **configured, **self._own}
        try:
            # An address may be a path, and is relative to the checkout then.
            return _run(*arguments, variables=variables, base={}, folder=self._path, seconds=seconds)
        except _FailedError as error:
            raise self.wrong(
                f"of remote {name}, {shown_url(url)}: {error}",
                "its news",
                f"Try git fetch {name} there, as the user who runs kpi. What was fetched before stays.",
            ) from None

    def _in_checkout(self, *arguments: str) -> bytes:
        return self._said(*arguments, variables=self._there)

    def _read(self, *arguments: str, stdin: bytes = b"") -> bytes:
        return self._said(*arguments, variables=self._own, stdin=stdin)

    def _said(self, *arguments: str, variables: Mapping[str, str], stdin: bytes = b"") -> bytes:
        try:
            return _run(*arguments, variables=variables, stdin=stdin)
        except _FailedError as error:
            raise self.wrong(
                f"git {arguments[0]}: {error}",
                "a whole repository that may be read",
                "git fsck there tells more. A partial clone (--filter) lacks contents: clone it without.",
            ) from None


def _commits(log: bytes) -> list[Commit]:
    """What LOG says: per commit a header, and per file its modes and blobs, then its path."""
    found: list[Commit] = []
    changes: dict[bytes, str | None] = {}
    parts = iter(log.split(b"\0"))
    for part in parts:
        if part.lstrip(b"\n").startswith(b":"):
            _, mode, _, blob, _ = part.split()
            changes[next(parts)] = blob.decode() if mode.startswith(A_FILE) else None
        elif part:
            changes = {}
            commit, _, at = part.partition(b" ")
            found.append(Commit(commit.decode(), _moment(at), changes))
    return found


def _moment(seconds: bytes) -> datetime:
    """A time in seconds since 1970, which may be any nonsense."""
    return datetime.fromtimestamp(min(int(seconds or 0), LAST_SECOND), UTC)


def _lines(names: Iterable[str]) -> bytes:
    return "".join(f"{name}\n" for name in names).encode()


def _run(
    *arguments: str,
    variables: Mapping[str, str] | None = None,
    base: Mapping[str, str] = READING,
    folder: Path | None = None,
    stdin: bytes = b"",
    seconds: float = READ_SECONDS,
) -> bytes:
    """What git says to its standard output.

    Raises:
        _FailedError: it ended with an error, took too long, or said too much.
        SourceError: there is no git.
    """
    environment = {**settings.passed_on(NEEDED), **base, **(variables or {})}
    with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as errors:
        given.write(stdin)
        given.seek(0)
        try:
            process = subprocess.Popen(  # noqa: S603
                [*ALWAYS, *arguments],
                stdin=given,
                stdout=subprocess.PIPE,
                stderr=errors,
                env=environment,
                cwd=folder,
                start_new_session=True,
            )
        except OSError as error:
            raise SourceError(
                "git",
                got=f"it can't be run: {error.strerror}",
                expected=f"git {'.'.join(map(str, OLDEST))} or later",
                fix="Install git, so that PATH finds it.",
            ) from None
        with process:
            try:
                content = _said_by(process, errors, seconds)
            finally:
                _end(process)
        if process.returncode:
            errors.seek(max(errors.seek(0, os.SEEK_END) - KEPT_ERRORS, 0))
            raise _FailedError(_words(errors.read()) or f"exit status {process.returncode}")
    return content


def _said_by(process: "subprocess.Popen[bytes]", errors: IO[bytes], seconds: float) -> bytes:
    """All that a process says until it ends."""
    assert process.stdout is not None  # noqa: S101
    until = SYSTEM.monotonic() + seconds
    chunks: list[bytes] = []
    size = 0
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while (left := until - SYSTEM.monotonic()) > 0:
            if max(size, os.fstat(errors.fileno()).st_size) > MAX_BYTES:
                raise _FailedError(f"more than {MAX_BYTES:,} bytes")
            if not selector.select(min(left, LOOK_SECONDS)):
                continue
            chunk = os.read(process.stdout.fileno(), CHUNK)
            if not chunk and _has_ended(process):
                return b"".join(chunks)
            chunks.append(chunk)
            size += len(chunk)
    raise _FailedError(f"no end after {seconds:g} seconds")


def _has_ended(process: "subprocess.Popen[bytes]") -> bool:
    """Whether a process that says no more ends."""
    try:
        process.wait(LOOK_SECONDS)
    except subprocess.TimeoutExpired:
        return False
    return True


def _end(process: "subprocess.Popen[bytes]") -> None:
    """Ends a process that still runs, and those that it has started."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)


def _words(errors: bytes) -> str:
    """What of git's complaints says most, without anything secret and on one line."""
    lines = [line.strip() for line in errors.decode(errors="replace").splitlines() if line.strip()]
    said = next((line for line in lines if line.startswith(("fatal:", "error:"))), lines[-1] if lines else "")
    plain = re.sub(r"://[^/\s]*@", "://", "".join(filter(str.isprintable, said)))
    return re.sub(r"([?&][^=\s]+)=[^&\s']+", rf"\1={REDACTED}", plain)[:SHOWN_WORDS]
