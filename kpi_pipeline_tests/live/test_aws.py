"""How AWS is asked, whatever the service: bytes as they came, limits, refusals, and nothing secret anywhere."""

import json
import logging
import ssl
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from kpi_pipeline.errors import BudgetSpentError, ConfigError, RefusedError, SourceError, UnreachableError
from kpi_pipeline.sources.aws import Client, Session
from kpi_pipeline.sources.transport import BadAnswerError, Budget, Limits, Reply
from kpi_pipeline.sources.walk import Tools
from kpi_pipeline_tests.live.fetched import TOKEN, TurnedClock, utc
from kpi_pipeline_tests.live.server import Connection, Fault, Plan, Request, Response, Served, served

BODY = b'{ "ResultsByTime":[],\n "NotInTheDescription": 1.10 }  '
LIMITS = Limits(max_bytes=1000, connect_seconds=5, read_seconds=5, answer_seconds=1)
ASKED = {
    "TimePeriod": {"Start": "2026-03-01", "End": "2026-03-02"},
    "Granularity": "DAILY",
    "Metrics": ["UnblendedCost"],
}
ALICE = "User: arn:aws:iam::123456789012:user/zz-alice is not authorized to perform: ce:GetCostAndUsage"


@contextmanager
def asked(
    plan: Plan | None = None, app: Any = lambda _: Response(BODY), service: str = "ce", **more: Any
) -> Iterator[tuple[Client, TurnedClock, Served]]:
    clock = TurnedClock(utc(2026, 3, 5))
    with served(app, plan) as server:
        session = Session("costs", Tools(clock=clock, limits=LIMITS), endpoint=server.url, region="us-east-1")
        with closing(Client(session, service, **more)) as client:
            yield client, clock, server


def body(_: dict[str, Any], reply: Reply) -> bytes:
    return reply.body


def costs(client: Client, clock: TurnedClock, **budget: Any) -> bytes:
    return client.ask("get_cost_and_usage", Budget(clock, **budget), body, **ASKED)


def refusal(status: int, code: str, message: str = "") -> Fault:
    """An error as AWS's JSON services say it."""

    def fault(connection: Connection, _request: Request, _response: Response) -> None:
        connection.send(Response({"__type": f"com.amazonaws#{code}", "Message": message}, status))

    return fault


def always(fault: Fault) -> Plan:
    return Plan(dict.fromkeys(range(100), fault))


def test_what_is_given_is_the_body_byte_for_byte() -> None:
    with asked() as (client, clock, _):
        assert costs(client, clock) == BODY


@pytest.mark.parametrize("code", ["ThrottlingException", "LimitExceededException", "TooManyRequestsException"])
def test_too_many_requests_are_a_400_here(code: str) -> None:
    with asked(Plan({0: refusal(400, code)})) as (client, clock, server):
        assert costs(client, clock) == BODY
        assert clock.slept == [60]
        assert len(server.requests) == 2


def test_slow_down_of_s3() -> None:
    def slow_down(connection: Connection, _request: Request, _response: Response) -> None:
        connection.send(Response(b"<Error><Code>SlowDown</Code><Message>Reduce it</Message></Error>", 503))

    listing = b"<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>"
    with asked(Plan({0: slow_down, 1: slow_down}), lambda _: Response(listing), "s3") as (client, clock, _):
        assert client.ask("list_objects_v2", Budget(clock), body, Bucket="bills") == listing
        assert len(clock.slept) == 2


def test_requests_after_the_first_are_paid_for() -> None:
    with asked(always(refusal(500, "InternalFailure"))) as (client, clock, server):
        with pytest.raises(BudgetSpentError):
            costs(client, clock, requests=2)
        # The first was paid for by the walk.
        assert len(server.requests) == 3


def test_there_is_an_end_to_patience() -> None:
    with asked(always(refusal(500, "InternalFailure"))) as (client, clock, server):
        with pytest.raises(UnreachableError, match="status 500, at the last of 6 attempts"):
            costs(client, clock)
        assert (len(server.requests), clock.slept) == (6, [1, 2, 4, 8, 16])


def test_an_answer_that_is_never_right() -> None:
    def wrong(_parsed: dict[str, Any], _reply: Reply) -> None:
        raise BadAnswerError("nothing in it")

    with asked() as (client, clock, _), pytest.raises(UnreachableError, match="an answer with nothing in it"):
        client.ask("get_cost_and_usage", Budget(clock), wrong, **ASKED)


REFUSED = {
    "AccessDeniedException": "Allow ce:GetCostAndUsage",
    "UnrecognizedClientException": "the credentials are not accepted",
    "InvalidSignatureException": "this machine's clock",
    "DataUnavailableException": "Open Cost Explorer once",
    "ValidationException": "14 months",
    "SomethingNew": "SomethingNew",
}


@pytest.mark.parametrize("code", REFUSED)
def test_a_refusal_says_what_to_do_and_names_nobody(code: str) -> None:
    with asked(always(refusal(400, code, ALICE))) as (client, clock, server):
        with pytest.raises(RefusedError, match=REFUSED[code]) as raised:
            costs(client, clock)
        assert "alice" not in str(raised.value)
        assert len(server.requests) == 1


def test_expired_credentials_are_no_reason_to_begin_anew() -> None:
    with (
        asked(always(refusal(400, "ExpiredTokenException", ALICE))) as (client, clock, _),
        pytest.raises(UnreachableError, match="the credentials have expired") as raised,
    ):
        costs(client, clock)
    assert "alice" not in str(raised.value)


def test_a_page_that_says_it_is_too_large() -> None:
    def large(connection: Connection, _request: Request, response: Response) -> None:
        connection.head(response, 10_000_000_000)
        connection.end()

    with asked(always(large)) as (client, clock, server):
        with pytest.raises(SourceError, match="more than 1,000 bytes"):
            costs(client, clock)
        assert len(server.requests) == 1


@pytest.mark.parametrize("status", [200, 400, 500])
def test_a_page_that_becomes_too_large(status: int) -> None:
    def endless(connection: Connection, _request: Request, _response: Response) -> None:
        connection.head(Response(b"", status, {"Transfer-Encoding": "chunked"}), 0)
        for _ in range(10):
            connection.write(b"400\r\n" + b" " * 1024 + b"\r\n")
        connection.end()

    with asked(always(endless)) as (client, clock, _), pytest.raises(SourceError, match="more than 1,000 bytes"):
        costs(client, clock)


def test_a_page_that_is_cut_off_in_silence() -> None:
    """The connection ends as if all had been said, at a place where what came is JSON."""

    def cut(connection: Connection, _request: Request, _response: Response) -> None:
        connection.head(Response(BODY), len(BODY))
        connection.write(BODY.rstrip())
        connection.end()

    with asked(Plan({0: cut})) as (client, clock, server):
        assert costs(client, clock) == BODY
        assert len(server.requests) == 2


def test_a_compression_that_nobody_asked_for() -> None:
    def packed(connection: Connection, _request: Request, response: Response) -> None:
        connection.send(Response(response.content, 200, {"Content-Encoding": "gzip"}))

    with asked(Plan({0: packed})) as (client, clock, server):
        assert costs(client, clock) == BODY
        assert server.requests[0].headers["accept-encoding"] == "identity"


@pytest.mark.parametrize("status", [301, 302, 307])
def test_a_redirect_leads_nowhere(status: int) -> None:
    with served(lambda _: Response(BODY)) as elsewhere:

        def away(connection: Connection, _request: Request, _response: Response) -> None:
            connection.send(Response(b"{}", status, {"Location": elsewhere.url}))

        with asked(always(away)) as (client, clock, _), pytest.raises(RefusedError, match=f"status {status}"):
            costs(client, clock)
        assert elsewhere.requests == []


def test_nothing_secret_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    for name in ("botocore", "boto3"):
        logging.getLogger(name).setLevel(logging.NOTSET)
    with caplog.at_level(logging.DEBUG), asked(Plan({0: refusal(500, "InternalFailure")})) as (client, clock, server):
        costs(client, clock)
    assert server.requests[0].headers["x-amz-security-token"] == TOKEN
    assert TOKEN not in caplog.text
    assert "AWS4-HMAC" not in caplog.text


def test_without_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name)
    with asked() as (client, clock, server):
        with pytest.raises(UnreachableError, match="NoCredentialsError"):
            costs(client, clock)
        assert server.requests == []


def test_a_profile_that_does_not_exist(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "zz-nobody")
    with pytest.raises(ConfigError, match="ProfileNotFound"), asked():
        pass


def test_nothing_is_sent_in_the_clear() -> None:
    with pytest.raises(ConfigError, match="https, since a token"):
        Session("costs", Tools(), endpoint="http://store.example.org", region=None)


def certificate(folder: Path) -> Path:
    """A certificate of localhost that nobody vouches for, with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    made = (
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
    path = folder / "localhost.pem"
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + made.public_bytes(serialization.Encoding.PEM)
    )
    return path


@pytest.mark.parametrize("is_trusted", [False, True])
def test_certificates_are_verified(is_trusted: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """AWS_CA_BUNDLE names an authority of one's own; there is no way not to verify."""
    path = certificate(tmp_path)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.send_header("Content-Length", str(len(BODY)))
            self.end_headers()
            self.wfile.write(BODY)

        def log_message(self, *_: Any) -> None:
            """Tests are quiet."""

    class Server(HTTPServer):
        def handle_error(self, request: Any, client_address: Any) -> None:
            """Who doesn't trust us hangs up."""

    server = Server(("127.0.0.1", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    if is_trusted:
        monkeypatch.setenv("AWS_CA_BUNDLE", str(path))
    try:
        clock = TurnedClock(utc(2026, 3, 5))
        url = f"https://localhost:{server.server_address[1]}"
        session = Session("costs", Tools(clock=clock, limits=LIMITS), endpoint=url, region=None)
        with closing(Client(session, "ce")) as client:
            if is_trusted:
                assert json.loads(costs(client, clock))["ResultsByTime"] == []
            else:
                with pytest.raises(UnreachableError, match="SSLError"):
                    costs(client, clock)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
