"""An end to every answer of httpx, however it trickles: headers, too, and hints before them. Nothing else of HTTP.

httpx bounds the wait for the next bytes, not for all of them, and has no place for such a bound: so the streams
that its connections are made of are wrapped here.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from ssl import SSLContext
from typing import Any

import httpcore
import httpx


class Deadline:
    """Until when the request of each thread must have its answer."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic, self._own = monotonic, threading.local()

    @contextmanager
    def within(self, seconds: float) -> Iterator[None]:
        """What is asked inside must be answered by then."""
        self._own.until = self._monotonic() + seconds
        try:
            yield
        finally:
            del self._own.until

    def left(self, timeout: float | None) -> float | None:
        """How long may be waited for the next bytes.

        Raises:
            httpcore.ReadTimeout: no longer.
        """
        until: float | None = getattr(self._own, "until", None)
        if until is None:
            return timeout
        seconds = until - self._monotonic()
        if seconds <= 0:
            raise httpcore.ReadTimeout("the whole answer took too long")
        return seconds if timeout is None else min(timeout, seconds)

    def bound(self, client: httpx.Client) -> None:
        """Has all connections of a client keep it, those through a proxy included."""
        transports = [client._transport, *client._mounts.values()]
        for transport in transports:
            pool: Any = getattr(transport, "_pool", None)
            if pool is not None:
                pool._network_backend = _Backend(pool._network_backend, self)


class _Backend(httpcore.NetworkBackend):
    def __init__(self, inner: httpcore.NetworkBackend, deadline: Deadline) -> None:
        self._inner, self._deadline = inner, deadline

    def connect_tcp(self, *args: Any, **more: Any) -> httpcore.NetworkStream:
        return _Stream(self._inner.connect_tcp(*args, **more), self._deadline)

    def connect_unix_socket(self, *args: Any, **more: Any) -> httpcore.NetworkStream:
        return _Stream(self._inner.connect_unix_socket(*args, **more), self._deadline)

    def sleep(self, seconds: float) -> None:
        self._inner.sleep(seconds)


class _Stream(httpcore.NetworkStream):
    def __init__(self, inner: httpcore.NetworkStream, deadline: Deadline) -> None:
        self._inner, self._deadline = inner, deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._inner.read(max_bytes, self._deadline.left(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._inner.write(buffer, self._deadline.left(timeout))

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self, ssl_context: SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        inner = self._inner.start_tls(ssl_context, server_hostname, self._deadline.left(timeout))
        return _Stream(inner, self._deadline)

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)
