"""A web server on loopback that answers as a vendor would, and goes wrong as told. No vendor and no test is here."""

import json
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit


@dataclass(frozen=True)
class Request:
    """What was asked."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes = b""


@dataclass(frozen=True)
class Response:
    """What is answered. `body` is sent as it is; anything else as JSON."""

    body: Any = b""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def content(self) -> bytes:
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()


class Connection:
    """The way back to who asked: what a fault sends on, or tears."""

    def __init__(self, handler: BaseHTTPRequestHandler) -> None:
        self._handler = handler

    def send(self, response: Response, length: int | None = None) -> None:
        """Sends an answer; with `length`: one that claims another size."""
        self.head(response, len(response.content) if length is None else length)
        self._handler.wfile.write(response.content if length is None else response.content[:length])
        self._handler.wfile.flush()

    def head(self, response: Response, length: int) -> None:
        self._handler.send_response_only(response.status)
        headers = {"Date": format_datetime(datetime.now(UTC), usegmt=True), "Content-Type": "application/json"}
        for name, value in {**headers, **response.headers, "Content-Length": str(length)}.items():
            self._handler.send_header(name, value)
        self._handler.end_headers()

    def write(self, content: bytes) -> None:
        self._handler.wfile.write(content)
        self._handler.wfile.flush()

    def end(self) -> None:
        """Ends the connection as if all had been said."""
        self._handler.close_connection = True

    def tear(self) -> None:
        """Ends the connection with a reset, in the middle of whatever it is."""
        self._handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._handler.close_connection = True
        self._handler.connection.close()


App = Callable[[Request], Response]
# Does something else than sending the answer.
Fault = Callable[[Connection, Request, Response], None]


def too_many(*, retry_after: str | None = None, status: int = 429, **headers: str) -> Fault:
    """Too many requests, as vendors say it; GitHub's secondary limits are a 403."""
    body = {"message": "You have exceeded a secondary rate limit. Please wait a few minutes before you try again."}
    more = {name.replace("_", "-"): value for name, value in headers.items()}
    if retry_after is not None:
        more["Retry-After"] = retry_after

    def fault(connection: Connection, _request: Request, _response: Response) -> None:
        connection.send(Response(body, status, more))

    return fault


def http_date(seconds: float, skew: timedelta = timedelta()) -> str:
    """A moment from now, as headers have it."""
    return format_datetime(datetime.now(UTC) + skew + timedelta(seconds=seconds), usegmt=True)


def status(code: int) -> Fault:
    def fault(connection: Connection, _request: Request, _response: Response) -> None:
        connection.send(Response(b"<html>Bad Gateway</html>", code, {"Content-Type": "text/html"}))

    return fault


def torn(connection: Connection, _request: Request, response: Response) -> None:
    """A reset in the middle of the body."""
    connection.head(response, len(response.content))
    connection.write(response.content[: len(response.content) // 2])
    connection.tear()


def short_length(connection: Connection, _request: Request, response: Response) -> None:
    """A Content-Length that is too small."""
    connection.send(response, len(response.content) // 2)


def cut_off(connection: Connection, _request: Request, response: Response) -> None:
    """A whole answer of broken JSON."""
    connection.send(Response(response.content[: len(response.content) * 2 // 3], response.status, response.headers))


def an_error_object(connection: Connection, _request: Request, response: Response) -> None:
    """200, with an object that says that something is wrong."""
    connection.send(Response({"message": "Something went wrong"}, 200, response.headers))


def slow(connection: Connection, _request: Request, response: Response) -> None:
    """Byte by byte, until nobody listens any more."""
    connection.head(response, 1_000_000)
    try:
        for _ in range(400):
            connection.write(b" ")
            time.sleep(0.01)
        connection.tear()
    except OSError:
        return


@dataclass
class Plan:
    """What goes wrong when: faults by the number of the request (from 0) that `applies` counts, each once."""

    faults: dict[int, Fault] = field(default_factory=dict)
    applies: Callable[[Request], bool] = lambda _: True
    # Called after the answer to request n was worked out.
    after: dict[int, Callable[[], None]] = field(default_factory=dict)
    headers: Callable[[], Mapping[str, str]] = dict


class Served:
    """A server that runs."""

    def __init__(self, app: App, plan: Plan) -> None:
        self.app, self.plan = app, plan
        self.requests: list[Request] = []
        self._counted = 0
        self._lock = threading.Lock()
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def handle(self, request: Request, connection: Connection) -> None:
        with self._lock:
            self.requests.append(request)
            number = None
            if self.plan.applies(request):
                number, self._counted = self._counted, self._counted + 1
            answer = self.app(request)
            response = Response(answer.body, answer.status, {**answer.headers, **self.plan.headers()})
            if number is not None and number in self.plan.after:
                self.plan.after.pop(number)()
        fault = self.plan.faults.pop(number, None) if number is not None else None
        if fault is None:
            connection.send(response)
        else:
            fault(connection, request, response)


@contextmanager
def served(app: App, plan: Plan | None = None) -> Iterator[Served]:
    """Serves an app on a free port of loopback, and stops."""
    running = Served(app, plan or Plan())

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        # Head and body are two writes: without this the second waits for the first to be acknowledged.
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            query = {name: values[-1] for name, values in parse_qs(parts.query, keep_blank_values=True).items()}
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            request = Request(self.command, parts.path, query, headers, body)
            running.handle(request, Connection(self))

        do_POST = do_GET  # noqa: N815

        def log_message(self, *_: Any) -> None:
            """Tests are quiet."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: Any, client_address: Any) -> None:
            """Who asked may have gone."""

    server = Server(("127.0.0.1", 0), Handler)
    running.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield running
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
