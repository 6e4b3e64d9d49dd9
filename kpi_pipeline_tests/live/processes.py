"""Programs that tests start: on loopback, on a free port, and stopped whatever happens. No test is here.

Each is watched by a shell that holds a pipe to this process. Once the pipe is closed, by us or because we are no more,
however we ended, the shell kills its process group: the program, what that has started, and itself.
"""

import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

PATIENCE = 60.0
GUARD = '("$@" </dev/null; echo "ended with $?"; kill -KILL 0) & cat >/dev/null; kill -KILL 0'


def program(name: str) -> str:
    """Where a program is.

    Raises:
        AssertionError: it isn't installed; `make test` installs it.
    """
    found = shutil.which(name)
    assert found, f"{name} is not installed: run scripts/install-system-packages"
    return found


def free_port() -> int:
    """A port of loopback that nobody uses."""
    return free_ports(1)[0]


def free_ports(count: int) -> tuple[int, ...]:
    """Several, each another."""
    with ExitStack() as stack:
        listening = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in listening:
            one.bind(("127.0.0.1", 0))
        return tuple(int(one.getsockname()[1]) for one in listening)


@contextmanager
def started(
    command: Sequence[str | Path], log: Path, ready: str, environment: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """Runs a program until it answers at `ready`, and ends it and all that it started.

    Raises:
        AssertionError: it ended by itself, or never answered; with the end of what it said.
    """
    with guarded(command, log, environment) as process:
        wait_for(process, ready, log)
        yield process


@contextmanager
def guarded(
    command: Sequence[str | Path], log: Path, environment: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """Runs a program, in the folder of its log, and ends it and all that it started."""
    with log.open("wb") as out:
        guard = subprocess.Popen(
            ["sh", "-c", GUARD, "guard", *map(str, command)],
            stdout=out,
            stderr=subprocess.STDOUT,
            stdin=subprocess.PIPE,
            env=dict(environment) if environment is not None else None,
            cwd=log.parent,
            start_new_session=True,
        )
    try:
        yield guard
    finally:
        assert guard.stdin is not None
        guard.stdin.close()
        guard.wait(timeout=PATIENCE)


def wait_for(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    """Waits until a program answers."""
    until = time.monotonic() + PATIENCE
    while True:
        assert process.poll() is None, f"it ended:\n{_end_of(log)}"
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except (urllib.error.URLError, OSError):
            assert time.monotonic() < until, f"never answered at {url}:\n{_end_of(log)}"
            time.sleep(0.05)


def _end_of(log: Path) -> str:
    return log.read_text(errors="replace")[-3000:]
