"""One question over HTTP: how long is waited, what is refused, and that a token goes nowhere but to its own server."""

import gzip
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pydantic import SecretStr

from kpi_pipeline.errors import BudgetSpentError, ConfigError, KpiError, RefusedError, SourceError, UnreachableError
from kpi_pipeline.sources.transport import (
    BadAnswerError,
    Budget,
    Limits,
    Question,
    Reply,
    Transport,
    a_list,
    an_object,
    basic_login,
    redacted_url,
)
from kpi_pipeline_tests.live.fetched import TOKEN, TurnedClock, utc
from kpi_pipeline_tests.live.server import (
    Connection,
    Fault,
    Plan,
    Request,
    Response,
    Served,
    http_date,
    served,
    status,
    too_many,
)

QUICK = Limits(connect_seconds=2, read_seconds=2, answer_seconds=1, max_bytes=100_000)


def transport(url: str, clock: TurnedClock | None = None, limits: Limits = QUICK) -> Transport:
    headers = {"authorization": SecretStr(f"Bearer {TOKEN}")}
    return Transport(
        "github", url, secret_headers=lambda: headers, clock=clock or TurnedClock(utc(2026, 3, 1)), limits=limits
    )


def ask(server: Served, path: str = "/x", clock: TurnedClock | None = None, **more: object) -> Reply:
    clock = clock or TurnedClock(utc(2026, 3, 1))
    asked = transport(server.url, clock)
    return asked.send(Question(asked.url(path), **more), Budget(clock))  # type: ignore[arg-type]


def hello(_: Request) -> Response:
    return Response([{"id": 1}])


WAITS: dict[str, tuple[Fault, float]] = {
    "Retry-After in seconds": (too_many(retry_after="17"), 17),
    "Retry-After as a date": (too_many(retry_after=http_date(40), Date=http_date(0)), 40),
    "a date by a server whose clock is two hours ahead": (
        too_many(retry_after=http_date(40, timedelta(hours=2)), Date=http_date(0, timedelta(hours=2))),
        40,
    ),
    "reset by the server's own clock": (
        too_many(X_RateLimit_Remaining="0", X_RateLimit_Reset="1767227450", Date="Thu, 01 Jan 2026 00:30:00 GMT"),
        51,
    ),
    "no word how long": (too_many(), 60),
    "403 that is a limit": (too_many(status=403), 60),
    "longer than an hour is an hour": (too_many(retry_after="99999"), 3600),
    "a date that has passed": (too_many(retry_after=http_date(-40), Date=http_date(0)), 0),
}


@pytest.mark.parametrize("what", WAITS)
def test_how_long_a_limit_is_waited_for(what: str) -> None:
    fault, seconds = WAITS[what]
    clock = TurnedClock(utc(2026, 3, 1))
    with served(hello, Plan({0: fault})) as server:
        assert ask(server, clock=clock).json() == [{"id": 1}]
    assert clock.slept
    assert clock.slept[0] == pytest.approx(seconds, abs=1.5)


def test_a_limit_that_goes_on_is_waited_for_longer_each_time() -> None:
    clock = TurnedClock(utc(2026, 3, 1))
    with served(hello, Plan(dict.fromkeys(range(3), too_many()))) as server:
        ask(server, clock=clock)
    assert [round(seconds) for seconds in clock.slept] == [60, 120, 240]


def test_faults_are_waited_for_ever_longer_and_not_for_ever() -> None:
    clock = TurnedClock(utc(2026, 3, 1))
    with served(hello, Plan(dict.fromkeys(range(9), status(502)))) as server:
        with pytest.raises(UnreachableError, match=r"status 502, at the last of 6 attempts"):
            ask(server, clock=clock)
        assert len(server.requests) == 6
    assert clock.slept == [1, 2, 4, 8, 16]


def test_a_limit_is_no_answer_even_where_its_status_is_one() -> None:
    with served(hello, Plan({0: too_many(status=403), 1: status(403)})) as server:
        clock = TurnedClock(utc(2026, 3, 1))
        assert ask(server, clock=clock, statuses=frozenset({200, 403})).status == 403
        assert clock.slept == [60]


def test_a_quota_of_the_day_that_is_used_up_ends_a_run() -> None:
    clock = TurnedClock(utc(2026, 3, 1))
    with served(hello, Plan({0: too_many(), 1: too_many()})) as server:
        asked = Transport("deals", server.url, is_used_up=lambda _: len(server.requests) > 1, clock=clock)
        with pytest.raises(BudgetSpentError, match="its quota used up"):
            asked.send(Question(asked.url("/x")), Budget(clock))
    assert clock.slept == [60]


@pytest.mark.parametrize(("said", "left"), [("49", 49), ("49.0", 49), ("", None), ("many", None)])
def test_how_many_requests_are_left(said: str, left: int | None) -> None:
    clock = TurnedClock(utc(2026, 3, 1))
    with served(lambda _: Response([], 200, {"X-RateLimit-Remaining": said})) as server:
        asked = transport(server.url, clock)
        asked.send(Question(asked.url("/x")), Budget(clock))
    assert asked.remaining == left


def test_a_login_by_name_and_password() -> None:
    """As RFC 7617 has it."""
    headers = basic_login(SecretStr("Aladdin"), SecretStr("open sesame"))()
    assert headers["authorization"].get_secret_value() == "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="
    assert "QWxhZGRpb" not in str(headers)


def test_nothing_listens() -> None:
    with served(hello) as server:
        url = server.url
    asked = transport(url)
    with pytest.raises(UnreachableError, match="no whole answer"):
        asked.send(Question(asked.url("x")), Budget(TurnedClock(utc(2026, 3, 1))))


def test_when_none_is_left_all_threads_wait_before_they_ask() -> None:
    """The last request that was allowed says so: nobody is sent into a refusal."""
    clock = TurnedClock(utc(2026, 3, 1))
    reset = str(int(datetime.now(UTC).timestamp()) + 25)
    headers = iter([{"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": reset}, {}, {}])
    with served(hello, Plan(headers=lambda: next(headers))) as server:
        asked, budget = transport(server.url, clock), Budget(clock)
        asked.send(Question(asked.url("x")), budget)
        assert asked.remaining == 0
        asked.send(Question(asked.url("x")), budget)
    assert clock.slept == [pytest.approx(26, abs=2)]


@pytest.mark.parametrize(
    ("code", "says"), [(401, "token is not accepted"), (403, "may not see"), (404, "no such thing")]
)
def test_refusals_are_not_repeated_and_say_what_to_do(code: int, says: str) -> None:
    with served(lambda _: Response({"message": "no"}, code)) as server:
        with pytest.raises(RefusedError, match=says):
            ask(server)
        assert len(server.requests) == 1


def test_a_budget_ends_it_cleanly() -> None:
    clock = TurnedClock(utc(2026, 3, 1))
    with served(hello, Plan({2: too_many(retry_after="500")})) as server:
        asked = transport(server.url, clock)
        few = Budget(clock, requests=1)
        asked.send(Question(asked.url("x")), few)
        with pytest.raises(BudgetSpentError, match="1 requests"):
            asked.send(Question(asked.url("x")), few)
        short = Budget(clock, seconds=100)
        asked.send(Question(asked.url("x")), short)
        with pytest.raises(BudgetSpentError, match="500 more to wait"):
            asked.send(Question(asked.url("x")), short)


# Hostile servers: each is stopped, with an error that says what it did.


def big(_: Request) -> Response:
    return Response(b"[" + b" " * 200_000 + b"]")


def bomb(_: Request) -> Response:
    """Ten gigabytes would be ten megabytes on the wire; here a smaller one."""
    return Response(gzip.compress(b" " * 50_000_000), headers={"Content-Encoding": "gzip"})


def loop(request: Request) -> Response:
    return Response(b"", 302, {"Location": request.path})


@pytest.mark.parametrize(
    ("app", "says"),
    [(big, "more than 100,000 bytes"), (bomb, "more than 100,000 bytes"), (loop, "more than 5 redirects")],
)
def test_hostile_answers_are_stopped(app: Callable[[Request], Response], says: str) -> None:
    with served(app) as server, pytest.raises(SourceError, match=says) as caught:
        ask(server)
    assert "Nothing of it is taken" in caught.value.fix


def test_a_page_of_ten_gigabytes_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither one that says so, nor one that doesn't and goes on and on."""

    def claims(connection: object, _request: Request, response: Response) -> None:
        connection.head(response, 10_000_000_000)  # type: ignore[attr-defined]

    def goes_on(connection: object, _request: Request, response: Response) -> None:
        connection.head(response, 10_000_000_000)  # type: ignore[attr-defined]
        for _ in range(1000):
            connection.write(b" " * 65536)  # type: ignore[attr-defined]

    for fault in (claims, goes_on):
        with served(hello, Plan({0: fault})) as server, pytest.raises(SourceError, match="more than"):
            ask(server)


def test_an_unasked_compression_is_no_answer() -> None:
    with (
        served(lambda _: Response(b"x", headers={"Content-Encoding": "br"})) as server,
        pytest.raises(UnreachableError, match="not asked for"),
    ):
        ask(server)


def test_a_next_page_elsewhere_is_refused() -> None:
    asked = transport("http://127.0.0.1:9")
    assert asked.check_place("http://127.0.0.1:9/x?page=2") == "http://127.0.0.1:9/x?page=2"
    for url in (
        "http://127.0.0.1:10/x",
        "http://127.0.0.1.evil.example/x",
        "https://127.0.0.1:9/x",
        "ftp://127.0.0.1:9/",
    ):
        with pytest.raises(SourceError, match="another server"):
            asked.check_place(url)


def test_a_redirect_to_another_host_carries_no_token() -> None:
    with served(hello) as other, served(lambda _: Response(b"", 307, {"Location": f"{other.url}/y"})) as server:
        assert ask(server).json() == [{"id": 1}]
        assert server.requests[0].headers["authorization"] == f"Bearer {TOKEN}"
        assert "authorization" not in other.requests[0].headers
        assert TOKEN not in str(other.requests[0].headers)


def test_a_redirect_on_the_same_server_keeps_it() -> None:
    app = lambda r: hello(r) if r.path == "/y" else Response(b"", 301, {"Location": "/y"})  # noqa: E731
    with served(app) as server:
        reply = ask(server)
        assert reply.url == f"{server.url}/y"
        assert server.requests[1].headers["authorization"] == f"Bearer {TOKEN}"


def test_a_redirect_can_be_an_answer() -> None:
    with served(lambda _: Response(b"", 301, {"Location": "https://elsewhere.example/z?token=abc"})) as server:
        reply = ask(server, statuses=frozenset({200, 301}))
    assert reply.status == 301
    assert reply.headers["location"] == "https://elsewhere.example/z?token=REDACTED"


def test_cookies_are_not_kept() -> None:
    with served(lambda _: Response([], headers={"Set-Cookie": "session=secret"})) as server:
        asked, budget = transport(server.url), Budget(TurnedClock(utc(2026, 3, 1)))
        for _ in range(2):
            reply = asked.send(Question(asked.url("x")), budget)
        assert "cookie" not in server.requests[1].headers
    assert "set-cookie" not in reply.headers


def test_certificates_are_verified(tmp_path: Path) -> None:
    """A server with a certificate that nobody vouches for gets no question at all."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key, name = (
        ec.generate_private_key(ec.SECP256R1()),
        x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")]),
    )
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    (tmp_path / "pem").write_bytes(
        certificate.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "pem")
    import socket

    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            while True:
                try:
                    raw, _ = listening.accept()
                    with context.wrap_socket(raw, server_side=True) as connection:
                        seen.append(connection.recv(1000))
                except (ssl.SSLError, ConnectionError):
                    continue
                except OSError:
                    return

        seen: list[bytes] = []
        threading.Thread(target=serve, daemon=True).start()
        asked = transport(f"https://localhost:{listening.getsockname()[1]}")
        with pytest.raises(UnreachableError):
            asked.send(Question(asked.url("x")), Budget(TurnedClock(utc(2026, 3, 1))))
    assert not any(seen)


def test_a_token_is_never_sent_in_the_clear() -> None:
    with pytest.raises(ConfigError, match="https, since a token is sent there"):
        transport("http://hub.example.org")
    Transport("github", "http://prometheus.support.svc:9090")


def test_shapes() -> None:
    clock = TurnedClock(utc(2026, 3, 1))
    answers = iter([b'{"items": []', b'{"message": "x"}', b"[1]", b"[]"])
    with served(lambda _: Response(next(answers))) as server:
        assert ask(server, clock=clock, check=a_list).json() == []
        assert len(server.requests) == 4
    answers = iter([b"[]", b'{"items": {}}', b'{"items": [1]}'])
    with served(lambda _: Response(next(answers))) as server:
        assert ask(server, clock=clock, check=an_object("items")).json() == {"items": [1]}
        assert len(server.requests) == 3


def test_what_is_secret_in_an_address_is_not_shown() -> None:
    url = "https://me:pw@host.example:8443/a/b?page=2&access_token=abc&X-Amz-Signature=1&key=9&q=x#frag"
    assert redacted_url(url) == (
        "https://host.example:8443/a/b?page=2&access_token=REDACTED&X-Amz-Signature=REDACTED&key=REDACTED&q=x"
    )


def test_errors_never_hold_the_token() -> None:
    """Whatever a server does with it: it may send it back in headers, addresses and bodies."""
    echo = Response({"message": TOKEN}, 404, {"X-RateLimit-Note": "5", "Location": f"/?token={TOKEN}"})
    with served(lambda _: echo) as server, pytest.raises(KpiError) as caught:
        ask(server)
    assert TOKEN not in str(caught.value)
    with (
        served(lambda _: Response(b"", 302, {"Location": f"ftp://x/?token={TOKEN}"})) as server,
        pytest.raises(KpiError) as caught,
    ):
        ask(server)
    assert TOKEN not in str(caught.value)


def hints_without_end(connection: Connection, _request: Request, _response: Response) -> None:
    """Hints before an answer that never comes; no pause between them."""
    try:
        while True:
            connection.write(b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>\r\n\r\n")
    except OSError:
        return


def slow_headers(connection: Connection, _request: Request, _response: Response) -> None:
    try:
        connection.write(b"HTTP/1.1 200 OK\r\n")
        for n in range(400):
            connection.write(f"X-Header-{n}: {n}\r\n".encode())
            time.sleep(0.02)
    except OSError:
        return


@pytest.mark.parametrize("fault", [hints_without_end, slow_headers])
def test_an_answer_that_never_begins_has_an_end(fault: Fault) -> None:
    limits = replace(QUICK, answer_seconds=0.4, attempts=2)
    with served(hello, Plan({0: fault, 1: fault})) as server:
        asked, began = transport(server.url, limits=limits), time.monotonic()
        with pytest.raises(UnreachableError, match="no whole answer"):
            asked.send(Question(asked.url("x")), Budget(TurnedClock(utc(2026, 3, 1))))
        assert time.monotonic() - began < 5


def test_numbers_that_are_none() -> None:
    """A server may write what it likes: it is no number, and no fault of ours."""
    odd = {"X-RateLimit-Remaining": "\N{SUPERSCRIPT TWO}", "X-RateLimit-Reset": "9" * 400}
    headers = {name: value.encode().decode("latin-1") for name, value in odd.items()}
    named = {name.replace("-", "_"): value for name, value in headers.items()}
    with served(hello, Plan({0: too_many(retry_after="9" * 400, **named)})) as server:
        clock = TurnedClock(utc(2026, 3, 1))
        assert ask(server, clock=clock).json() == [{"id": 1}]
    assert clock.slept == [60]


def test_a_limit_without_a_wait_is_waited_for_all_the_same() -> None:
    clock = TurnedClock(utc(2026, 3, 1))
    with served(hello, Plan(dict.fromkeys(range(4), too_many(retry_after="0")))) as server:
        ask(server, clock=clock)
    assert clock.slept == [1, 2, 4, 8]


def test_whoever_waits_is_woken_when_the_run_ends() -> None:
    budget = Budget()
    threading.Timer(0.1, budget.is_stopped.set).start()
    began = time.monotonic()
    budget.sleep(30)
    assert time.monotonic() - began < 5
    with pytest.raises(BudgetSpentError):
        budget.spend()


@pytest.mark.parametrize("place", ["http://169.254.169.254/latest", "http://10.0.0.1/x", "https://db.internal/"])
def test_a_server_of_the_world_leads_nobody_into_our_network(place: str) -> None:
    """The redirect is refused before anything is asked there."""
    asked = transport("https://api.example.org")
    asked._ask_once = lambda url, _: (Reply(url, 302, {}, b"", utc(2026, 3, 1)), place)  # type: ignore[method-assign]
    with pytest.raises(SourceError, match="redirect"):
        asked.send(Question(asked.url("x")), Budget(TurnedClock(utc(2026, 3, 1))))


def test_a_next_page_that_holds_a_secret_is_not_asked_for_without_it() -> None:
    link = {"Link": '<https://api.example.org/x?page_token=abc>; rel="next"'}
    with served(lambda _: Response([], headers=link)) as server:
        reply = ask(server)
    assert "abc" not in str(reply.headers)
    with pytest.raises(BadAnswerError, match="secret"):
        _ = reply.next_url
