"""Git repositories with a history that is told, made by git itself. No expectation and no test is here."""

import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

MAIN = "refs/heads/main"
WHO = b"A Person <person@example.org>"
ALONE = {
    "PATH": os.environ["PATH"],
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_AUTHOR_NAME": "A Person",
    "GIT_AUTHOR_EMAIL": "person@example.org",
    "GIT_COMMITTER_NAME": "A Person",
    "GIT_COMMITTER_EMAIL": "person@example.org",
}


@dataclass(frozen=True)
class Told:
    """One commit: when, and the files that it writes (None: removes).

    `merges`: branches that come in. `parent`: where a new branch begins.
    """

    at: datetime
    files: Mapping[str | bytes, str | bytes | None] = field(default_factory=dict)
    branch: str = MAIN
    merges: Sequence[str] = ()
    parent: str | None = None
    mode: str = "100644"
    zone: str = "+0000"


def git(folder: Path, *arguments: str, at: datetime | None = None, **variables: str) -> str:
    """What git says in a folder, undisturbed by anybody's configuration."""
    dates = {} if at is None else {"GIT_AUTHOR_DATE": at.isoformat(), "GIT_COMMITTER_DATE": at.isoformat()}
    done = subprocess.run(
        ["git", *arguments],
        cwd=folder,
        env={**ALONE, **dates, **variables},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"git {arguments[0]}: {done.stderr}"
    return done.stdout.strip()


def repository(folder: Path, *told: Told, bare: bool = False, object_format: str = "sha1") -> Path:
    """A new repository with these commits; nothing of them is checked out."""
    folder.mkdir(parents=True)
    git(folder, "init", "-q", "-b", "main", f"--object-format={object_format}", *(["--bare"] if bare else []))
    tell(folder, *told)
    return folder


def tell(folder: Path, *told: Told) -> None:
    """Adds commits, all by one process: a commit each takes far too long where there are many."""
    # Branches that are there already, and that this process hasn't seen yet.
    there = set(git(folder, "for-each-ref", "--format=%(refname)").splitlines())
    stream = bytearray()
    for commit in told:
        stream += _commit(commit, commit.branch in there)
        there.discard(commit.branch)
    done = subprocess.run(
        ["git", "fast-import", "--quiet", "--force"], cwd=folder, env=ALONE, input=bytes(stream), check=False,
        capture_output=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def _commit(told: Told, continues: bool) -> bytes:
    at = b"%d %s" % (int(told.at.timestamp()), told.zone.encode())
    lines = [b"commit " + told.branch.encode(), b"committer %s %s" % (WHO, at), b"data 0"]
    if told.parent is not None:
        lines.append(b"from " + told.parent.encode())
    elif continues:
        lines.append(b"from " + told.branch.encode() + b"^0")
    lines += [b"merge " + branch.encode() for branch in told.merges]
    for path, content in told.files.items():
        name = path.encode() if isinstance(path, str) else path
        if content is None:
            lines.append(b"D " + name)
            continue
        written = content.encode() if isinstance(content, str) else content
        if told.mode == "160000":
            lines.append(b"M 160000 %s %s" % (written, name))
        else:
            lines += [b"M %s inline %s" % (told.mode.encode(), name), b"data %d\n%s" % (len(written), written)]
    return b"\n".join(lines) + b"\n\n"
