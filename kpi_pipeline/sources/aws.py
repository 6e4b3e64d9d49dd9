"""AWS, asked through boto3 with the limits, waits and refusals of transport.py. No service's data is known here.

boto3 finds the credentials, signs, and parses. Left to itself it reads answers of any size, however slowly they come,
takes one that is cut off for a whole one, and waits by its own clock; so sending, reading and asking again are ours.
"""

import json
import logging
import re
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from importlib.metadata import version
from typing import Any, NoReturn, TypeVar
from urllib.parse import urlsplit

import boto3
import botocore.session
import urllib3
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.client import BaseClient
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    FlexibleChecksumError,
    HTTPClientError,
    IncompleteReadError,
    ParamValidationError,
)
from botocore.exceptions import ConnectionError as NoConnectionError
from botocore.httpsession import URLLib3Session
from botocore.loaders import Loader, create_loader
from botocore.parsers import ResponseParserError
from botocore.utils import get_environ_proxies

from kpi_pipeline.clock import Clock
from kpi_pipeline.errors import ConfigError, RefusedError, SourceError, UnreachableError
from kpi_pipeline.sources.transport import (
    LOOPBACK,
    AgainError,
    BadAnswerError,
    Budget,
    Reply,
    kept_headers,
    raise_if_passing,
    redacted_url,
    retry_after,
    speaks_of_a_limit,
    until_answered,
)
from kpi_pipeline.sources.walk import Made, Tools, Walk

T = TypeVar("T")
CHUNK = 1 << 20
# A large object has a second more for every MB.
SLOWEST = 1 << 20
# Where the body of an answer is put in what boto3 has parsed.
BODY = "kpi-pipeline-body"
TOO_MANY = frozenset(
    {
        *("Throttling", "ThrottlingException", "ThrottledException", "RequestThrottled", "RequestThrottledException"),
        *("TooManyRequestsException", "RequestLimitExceeded", "LimitExceededException", "SlowDown"),
    }
)
PASSING = frozenset({"RequestTimeout", "RequestTimeoutException", "InternalError", "ServiceUnavailable"})
DENIED = frozenset({"AccessDenied", "AccessDeniedException", "AllAccessDisabled", "UnauthorizedOperation"})
ACTIONS = {
    "GetCallerIdentity": "sts:GetCallerIdentity",
    "GetCostAndUsage": "ce:GetCostAndUsage",
    "ListObjectsV2": "s3:ListBucket",
    "GetObject": "s3:GetObject (and kms:Decrypt, where a key of your own encrypts the bucket)",
}
EXPIRED = frozenset({"ExpiredToken", "ExpiredTokenException", "RequestExpired"})
_WRONG = ("the credentials are not accepted", "Look at the profile, role or environment that AWS finds here.")
_ELSEWHERE = ("it is in another region", "Name it as `region` in kpi.toml.")
REFUSALS = {
    "InvalidAccessKeyId": _WRONG,
    "InvalidClientTokenId": _WRONG,
    "UnrecognizedClientException": _WRONG,
    "SignatureDoesNotMatch": _WRONG,
    "InvalidSignatureException": (
        "the signature is not accepted",
        "The secret key is wrong, or this machine's clock: set it, best by NTP.",
    ),
    "RequestTimeTooSkewed": ("this machine's clock is wrong", "Set it, best by NTP."),
    "NoSuchBucket": ("there is no such bucket", "Mend `bucket` in kpi.toml."),
    "PermanentRedirect": _ELSEWHERE,
    "AuthorizationHeaderMalformed": _ELSEWHERE,
    "InvalidObjectState": ("it is archived", "Restore it in S3, or narrow `prefix` in kpi.toml to what isn't."),
    "DataUnavailableException": (
        "there is no data yet",
        "Open Cost Explorer once in the billing console, to enable it; the data is there a day later.",
    ),
    "ValidationException": ("the question isn't accepted", "Is `since` in kpi.toml more than 14 months ago?"),
}
SHOWN_CODE = re.compile(r"[A-Za-z0-9.]{1,60}")


class AwsRefusedError(RefusedError):
    """AWS refuses; `code` is its word for why."""

    code = ""


class Session:
    """Who asks AWS, by the credentials that its own chain finds (environment, profile, role), and where.

    Args:
        source: the name in kpi.toml, for errors.
        endpoint: where to ask instead of AWS itself.
        region: default: that of AWS's own configuration.

    Raises:
        ConfigError: what is configured, here or for AWS, can't be right.
    """

    def __init__(self, source: str, tools: Tools, *, endpoint: str | None, region: str | None) -> None:
        self.source, self.tools, self.endpoint = source, tools, endpoint
        parts = urlsplit(endpoint or "")
        if parts.scheme == "http" and parts.hostname not in LOOPBACK:
            raise ConfigError(
                f"source {source}: endpoint",
                got=redacted_url(parts.geturl()),
                expected="https, since a token and the bill go that way",
                fix="Use https; AWS_CA_BUNDLE names an authority of your own.",
            )
        _keep_quiet()
        self._core = botocore.session.get_session()
        self._core.register_component("data_loader", _descriptions())
        with self._configured():
            self._session = boto3.Session(botocore_session=self._core)
            self._region = region or self._session.region_name or "us-east-1"
            self._ca_bundle = self._core.get_config_variable("ca_bundle")

    def client(self, service: str) -> BaseClient:
        """boto3's client of a service, which asks once only."""
        limits = self.tools.limits
        config = Config(
            connect_timeout=limits.connect_seconds,
            read_timeout=limits.read_seconds,
            # Who asks again, and when, is decided by until_answered().
            retries={"mode": "standard", "total_max_attempts": 1},
            user_agent_extra=f"kpi-pipeline/{version('kpi-pipeline')}",
            # Stores that aren't AWS seldom have a host name for each bucket.
            s3={"addressing_style": "path"} if self.endpoint else None,
        )
        with self._configured():
            client: BaseClient = self._session.client(
                service,  # type: ignore[call-overload]
                region_name=self._region,
                endpoint_url=self.endpoint,
                config=config,
            )
        return client

    def http(self, url: str) -> URLLib3Session:
        """How botocore sends: TLS certificates are verified, by the authorities of AWS_CA_BUNDLE if it is set."""
        limits = self.tools.limits
        return URLLib3Session(
            verify=self._ca_bundle or True,
            proxies=get_environ_proxies(url),
            timeout=(limits.connect_seconds, limits.read_seconds),  # type: ignore[arg-type]
            socket_options=[(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)],  # type: ignore[list-item]
        )

    @contextmanager
    def _configured(self) -> Iterator[None]:
        try:
            yield
        except (BotoCoreError, ValueError) as error:
            raise ConfigError(
                f"source {self.source}: AWS",
                got=type(error).__name__,
                expected="a profile and a region that exist",
                fix="Look at AWS_PROFILE, AWS_REGION and AWS's files of configuration.",
            ) from None


class Client:
    """A client of one service.

    Args:
        max_bytes: how large a streamed answer may be; others are pages.

    Raises:
        ConfigError: what is configured for AWS can't be right.
    """

    def __init__(self, session: Session, service: str, *, max_bytes: int = 0) -> None:
        self.source, self.clock, self._limits = session.source, session.tools.clock, session.tools.limits
        self._max_bytes = max_bytes
        self._client = session.client(service)
        self.url: str = self._client.meta.endpoint_url
        self._http = session.http(self.url)
        events = self._client.meta.events
        # What these give back counts, whatever the stubs say.
        events.register("before-send", self._send)  # type: ignore[arg-type]
        events.register("before-parse", _keep_body)

    def ask(self, operation: str, budget: Budget, take: Callable[[dict[str, Any], Reply], T], **parameters: Any) -> T:
        """What `take` makes of the answer to an operation, asked as often and as slowly as it takes.

        Args:
            budget: pays for every request but the first, which the walk has counted.
            take: is given what boto3 has parsed, and the bytes; raises BadAnswerError where the answer can't be one.

        Raises:
            UnreachableError: there was no right answer after all attempts, or there are no credentials just now.
            AwsRefusedError: AWS refuses.
            SourceError: it sends too much.
            BudgetSpentError: the run may ask no more.
        """

        def wait(seconds: float) -> None:
            budget.sleep(seconds)
            budget.spend()

        return until_answered(
            lambda: self._attempt(operation, parameters, take), self._named(operation), self._limits, wait
        )

    def close(self) -> None:
        """Ends the connections."""
        self._client.close()
        self._http.close()

    def _attempt(self, operation: str, parameters: Mapping[str, Any], take: Callable[[dict[str, Any], Reply], T]) -> T:
        try:
            parsed = getattr(self._client, operation)(**parameters)
            return take(parsed, self._reply(parsed))
        except ClientError as error:
            self._refuse(operation, error)
        except BadAnswerError as error:
            raise AgainError(f"an answer with {error}") from None
        except ResponseParserError:
            raise AgainError("an answer that is none") from None
        except ParamValidationError:
            raise
        except (NoConnectionError, HTTPClientError, IncompleteReadError, FlexibleChecksumError) as error:
            raise AgainError(f"no whole answer ({type(error).__name__})") from None
        except BotoCoreError as error:
            # Not its text: it may repeat what a helper printed that hands out credentials.
            raise UnreachableError(
                self._named(operation),
                got=f"{type(error).__name__}, before anything was asked",
                expected="credentials by the environment, a profile or a role",
                fix="Give the pipeline some as docs/sources/ says; kpi doctor shows whether AWS finds them.",
            ) from None

    def _send(self, request: AWSPreparedRequest, **_: object) -> AWSResponse:
        """Sends a request as botocore would, and hands over an answer that can't be read beyond the limits."""
        is_streamed = request.stream_output
        # Else all of it would be read here.
        request.stream_output = True
        response = self._http.send(request)
        is_object = is_streamed and response.status_code < 300
        if not is_object and response.headers.get("content-encoding", "identity").lower() != "identity":
            response.raw.close()
            raise AgainError("a compression that was not asked for")
        response.raw = _Limited(
            response,
            self._max_bytes if is_object else self._limits.max_bytes,
            self._limits.answer_seconds,
            self.clock,
            self._too_large,
        )
        return response

    def _reply(self, parsed: Mapping[str, Any]) -> Reply:
        meta = parsed["ResponseMetadata"]
        headers, body = kept_headers(meta["HTTPHeaders"]), parsed.get(BODY, b"")
        return Reply(redacted_url(self.url), meta["HTTPStatusCode"], headers, body, self.clock.now())

    def _refuse(self, operation: str, error: ClientError) -> NoReturn:
        reply = self._reply(error.response)
        code = str(error.response["Error"].get("Code", ""))
        is_limit = reply.status == 429 or code in TOO_MANY or (reply.status == 403 and speaks_of_a_limit(reply))
        wait = retry_after(reply, self.clock.now())
        raise_if_passing(reply.status, is_limit=is_limit, wait=wait)
        if code in PASSING:
            raise AgainError(f"status {reply.status}, {code}", wait)
        if code in EXPIRED:
            raise UnreachableError(
                self._named(operation),
                got=f"status {reply.status}: the credentials have expired",
                expected="credentials that are valid",
                fix="Log in anew, or give the pipeline a role that renews them; the next run goes on.",
            ) from None
        meaning, fix = REFUSALS.get(code, ("it won't answer that", "Look into AWS's documentation."))
        if code in DENIED:
            action = ACTIONS.get(error.operation_name, error.operation_name)
            meaning, fix = "permission is missing", f"Allow {action}, by a policy as in docs/sources/."
        shown = f", {code}" if SHOWN_CODE.fullmatch(code) else ""
        refused = AwsRefusedError(
            self._named(operation), got=f"status {reply.status}{shown}: {meaning}", expected="an answer", fix=fix
        )
        refused.code = code
        raise refused from None

    def _named(self, operation: str) -> str:
        return f"source {self.source}: {operation} at {redacted_url(self.url)}"

    def _too_large(self, limit: int) -> SourceError:
        return SourceError(
            f"source {self.source}: {redacted_url(self.url)}",
            got=f"an answer of more than {limit:,} bytes",
            expected="a page, or an object of at most max_object_bytes",
            fix="Nothing of it is taken. Raise max_object_bytes in kpi.toml if exports are that large.",
        )


class _Limited:
    """The bytes of an answer, read as botocore reads them, and no further than limits allow."""

    def __init__(
        self, response: AWSResponse, limit: int, seconds: float, clock: Clock, too_large: Callable[[int], SourceError]
    ) -> None:
        self._raw: Any = response.raw
        declared = response.headers.get("content-length", "")
        self._declared = int(declared) if declared.isdigit() else None
        self._limit, self._clock, self._too_large = limit, clock, too_large
        self._seconds = seconds + min(self._declared or 0, limit) / SLOWEST
        self._until = clock.monotonic() + self._seconds
        self._size = 0

    def read(self, amt: int | None = None) -> bytes:
        """The next bytes as they come, at most `amt`; all of them without it."""
        if amt is None:
            return b"".join(self.stream())
        if (self._declared or 0) > self._limit:
            raise self._gone(self._too_large(self._limit))
        try:
            chunk: bytes = self._raw.read1(amt)
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise self._gone(AgainError(f"no whole answer ({type(error).__name__})")) from None
        self._size += len(chunk)
        if self._size > self._limit:
            raise self._gone(self._too_large(self._limit))
        if self._clock.monotonic() > self._until:
            raise self._gone(AgainError(f"an answer that took more than {self._seconds:g} seconds"))
        if not chunk and amt and self._declared is not None and self._size != self._declared:
            raise self._gone(AgainError("an answer that is cut off"))
        return chunk

    def stream(self) -> Any:
        """All bytes, in pieces."""
        while chunk := self.read(CHUNK):
            yield chunk

    def close(self) -> None:
        """Ends the connection, since something is still to come on it."""
        self._raw.close()

    def _gone(self, error: Exception) -> Exception:
        self.close()
        return error


def account(walk: Walk, identity: Client) -> str:
    """The account that asks, by a client of STS. Nothing else of who asks is kept."""

    def take(parsed: dict[str, Any], reply: Reply) -> Made:
        if not re.fullmatch("[0-9]{12}", str(parsed.get("Account"))):
            raise BadAnswerError("no account")
        content = json.dumps({"Account": parsed["Account"]}).encode()
        return Made(content, reply.url, reply.status, reply.headers, reply.received_at)

    reply = walk.ask("GetCallerIdentity", lambda: identity.ask("get_caller_identity", walk.budget, take))
    return str(reply.json()["Account"])


@cache
def _descriptions() -> Loader:
    """What botocore knows of AWS's services, read once."""
    return create_loader()


def _keep_body(response_dict: Mapping[str, Any], customized_response_dict: dict[str, Any], **_: object) -> None:
    """Puts the bytes of an answer beside what is parsed of it; those of a stream are still to come."""
    if isinstance(response_dict["body"], bytes):
        customized_response_dict[BODY] = response_dict["body"]


def _keep_quiet() -> None:
    """In detail botocore logs whole requests, signature and session token included."""
    for name in ("botocore", "boto3"):
        logger = logging.getLogger(name)
        if logger.getEffectiveLevel() < logging.INFO:
            logger.setLevel(logging.INFO)
