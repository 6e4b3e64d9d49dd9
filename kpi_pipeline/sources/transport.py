"""HTTP, safely: a question is answered whole, or an error says why not. What an answer means is a connector's affair.

Every limit and every refusal is here: retries and waits, sizes, slow answers, redirects, tokens, what of an answer may
be written down. TLS certificates are always verified; an authority of one's own is named by SSL_CERT_FILE.
"""

import json
import ssl
import threading
from base64 import b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cache
from importlib.metadata import version
from typing import Any, Literal, NoReturn, TypeVar
from urllib.parse import parse_qsl, urlencode, urljoin, urlsplit, urlunsplit

import httpx
from pydantic import SecretStr
from tenacity import Retrying, retry_if_exception_type

from kpi_pipeline.clock import SYSTEM, Clock
from kpi_pipeline.errors import BudgetSpentError, ConfigError, RefusedError, SourceError, UnreachableError
from kpi_pipeline.settings.base import Login

# A page of an API is some hundred kilobytes.
MAX_BYTES = 64 << 20
# Seconds to wait for a connection, and for the next bytes.
CONNECT_SECONDS, READ_SECONDS = 10.0, 30.0
# However steadily it trickles.
ANSWER_SECONDS = 300.0
ATTEMPTS = 6
REDIRECTS = 5
# Where a vendor doesn't say how long to wait after too many requests.
LIMIT_SECONDS = 60.0
LONGEST_WAIT = 3600.0
# Of the headers of an answer, those that say something of it and nothing of us.
KEPT_HEADERS = frozenset(
    {"content-type", "content-length", "date", "etag", "last-modified", "link", "location", "retry-after"}
    # What GitHub says of a token: what it may do, and until when. Not the token.
    | {"x-oauth-scopes", "github-authentication-token-expiration"}
)
KEPT_PREFIXES = ("x-ratelimit-", "x-hubspot-ratelimit-")
SECRET_WORDS = ("token", "secret", "passw", "signature", "api_key", "apikey", "credential", "x-amz-")
SECRET_NAMES = ("sig", "key", "code", "auth")
REDACTED = "REDACTED"
SHOWN_URL = 160
LOOPBACK = ("localhost", "127.0.0.1", "::1")

Check = Callable[["Reply"], None]
T = TypeVar("T")


class BadAnswerError(Exception):
    """An answer that came whole, and yet can't be one: it is asked for again. Says what is wrong, and no content."""


@dataclass(frozen=True)
class Reply:
    """An answer. `url` and `headers` hold nothing secret; `body` is what the server said, decompressed.

    `kept` belongs to whoever keeps answers.
    """

    url: str
    status: int
    headers: Mapping[str, str]
    body: bytes
    received_at: datetime
    kept: object = field(default=None, repr=False, compare=False)

    def json(self) -> Any:
        """The body's JSON.

        Raises:
            BadAnswerError: it is none, or cut off.
        """
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError) as error:
            raise BadAnswerError("no JSON, or cut off") from error

    @property
    def server_time(self) -> datetime | None:
        """What the server says the time is."""
        return _http_date(self.headers.get("date", ""))

    @property
    def next_url(self) -> str | None:
        """The page that the header Link names as the next."""
        links = httpx.Response(200, headers={"link": self.headers.get("link", "")}).links
        following = links.get("next", {}).get("url")
        return urljoin(self.url, following) if following else None


def any_answer(_: Reply) -> None:
    """No check but that of the status."""


def a_list(reply: Reply) -> None:
    """Checks that an answer is a JSON list of objects."""
    found = reply.json()
    if not isinstance(found, list) or not all(isinstance(item, dict) for item in found):
        raise BadAnswerError(f"{_kind(found)} where a list of objects belongs")


def an_object(*lists: str) -> Check:
    """A check that an answer is a JSON object that has lists under these keys."""

    def check(reply: Reply) -> None:
        found = reply.json()
        if not isinstance(found, dict):
            raise BadAnswerError(f"{_kind(found)} where an object belongs")
        for key in lists:
            if not isinstance(found.get(key), list):
                raise BadAnswerError(f"no list {key!r}")

    return check


def _kind(value: object) -> str:
    kinds: dict[type, str] = {dict: "an object", list: "a list of something else", str: "text"}
    return kinds.get(type(value), "something else")


@dataclass(frozen=True)
class Question:
    """What is asked of a server.

    Args:
        statuses: those that are an answer; a redirect among them isn't followed.
        check: raises BadAnswerError where an answer can't be one.
        method: POST for what vendors don't answer otherwise, such as a token; it is sent without a body.
    """

    url: str
    params: tuple[tuple[str, str], ...] = ()
    accept: str = "application/json"
    statuses: frozenset[int] = frozenset({200})
    check: Check = any_answer
    method: Literal["GET", "POST"] = "GET"

    @property
    def address(self) -> str:
        """The URL with its parameters."""
        if not self.params:
            return self.url
        parts = urlsplit(self.url)
        query = urlencode([*parse_qsl(parts.query, keep_blank_values=True), *self.params])
        return urlunsplit(parts._replace(query=query))

    @property
    def key(self) -> str:
        """Tells questions apart; holds nothing secret."""
        return f"{self.accept} {redacted_url(self.address)}"


@dataclass
class Budget:
    """What one run may ask of a source: requests, and seconds. Threads share it."""

    clock: Clock = SYSTEM
    requests: int | None = None
    seconds: float | None = None
    spent: int = 0
    # Set from outside: nothing more is asked, and whoever waits is woken.
    is_stopped: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def __post_init__(self) -> None:
        self.began = self.clock.monotonic()

    def spend(self) -> None:
        """Counts a request that is about to be made.

        Raises:
            BudgetSpentError: none is left, or no time.
        """
        with self._lock:
            if self.is_stopped.is_set():
                self._refuse("an end from outside")
            if self.requests is not None and self.spent >= self.requests:
                self._refuse(f"{self.spent:,} requests")
            if self.seconds is not None and self.elapsed >= self.seconds:
                self._refuse(f"{self.elapsed:,.0f} seconds")
            self.spent += 1

    def sleep(self, seconds: float) -> None:
        """Waits, if there is time for it.

        Raises:
            BudgetSpentError: there isn't.
        """
        if self.seconds is not None and self.elapsed + seconds > self.seconds:
            self._refuse(f"{self.elapsed:,.0f} seconds, and {seconds:,.0f} more to wait")
        self.clock.sleep(seconds, self.is_stopped)

    @property
    def elapsed(self) -> float:
        return self.clock.monotonic() - self.began

    def _refuse(self, got: str) -> NoReturn:
        raise BudgetSpentError(
            "budget", got=got, expected="what kpi.toml allows a run", fix="The next run goes on where this one stopped."
        )


class AgainError(Exception):
    """It is worth asking again, perhaps after a while."""

    def __init__(self, fault: str, wait: float | None = None) -> None:
        self.fault, self.wait = fault, wait
        super().__init__(fault)


@dataclass(frozen=True)
class Limits:
    """How a transport behaves; tests make it less patient."""

    max_bytes: int = MAX_BYTES
    connect_seconds: float = CONNECT_SECONDS
    read_seconds: float = READ_SECONDS
    answer_seconds: float = ANSWER_SECONDS
    attempts: int = ATTEMPTS
    # How often in a row a vendor may say that there were too many requests.
    limited: int = 20


def until_answered(attempt: Callable[[], T], asked: str, limits: Limits, sleep: Callable[[float], None]) -> T:
    """What an attempt gives, after as many and as much patience as it takes; one that is in vain raises AgainError.

    Args:
        asked: what is asked of which source, for errors.
        sleep: waits before another attempt, or raises where there is no time for it.

    Raises:
        UnreachableError: all attempts were in vain.
    """
    state = _Attempts(limits)
    retrying = Retrying(
        retry=retry_if_exception_type(AgainError),
        stop=lambda _: state.is_over,
        wait=lambda _: state.seconds,
        sleep=sleep,
        reraise=True,
    )
    try:
        return retrying(lambda: state.counted(attempt))
    except AgainError as error:
        raise UnreachableError(
            asked,
            got=f"{error.fault}, at the last of {state.made} attempts",
            expected="an answer",
            fix="Look whether the server is well; the next run asks again.",
        ) from None


def raise_if_passing(status: int, *, is_limit: bool, wait: float | None) -> None:
    """Raises AgainError where a status that is no answer may pass.

    Args:
        is_limit: there were too many requests.
        wait: seconds that the server wants us to wait, if it says so.
    """
    if is_limit:
        raise AgainError(f"status {status}: too many requests", LIMIT_SECONDS if wait is None else wait)
    if status >= 500 or status in (408, 425):
        raise AgainError(f"status {status}", wait)


def retry_after(reply: Reply, now: datetime) -> float | None:
    """Seconds to wait by the header Retry-After; a date in it is by the server's own clock."""
    text = reply.headers.get("retry-after", "").strip()
    if text.isdigit():
        return _bounded(float(text))
    until = _http_date(text)
    return None if until is None else _bounded((until - (reply.server_time or now)).total_seconds())


def speaks_of_a_limit(reply: Reply) -> bool:
    """Whether a 403 says that there were too many requests."""
    return "retry-after" in reply.headers or b"rate limit" in reply.body[:4096].lower()


def login_headers(
    login: Login, secret: Callable[[str, str], SecretStr], purpose: str
) -> Callable[[], dict[str, SecretStr]] | None:
    """The header that says who we are, from the variables that kpi.toml names; None: it names none.

    Raises:
        ConfigError: a variable holds nothing.
    """
    if login.token_env is not None:
        value = f"Bearer {secret(login.token_env, f'the token of {purpose}').get_secret_value()}"
    elif login.user_env is not None and login.password_env is not None:
        user = secret(login.user_env, f"the name of {purpose}")
        return basic_login(user, secret(login.password_env, f"the password of {purpose}"))
    else:
        return None
    headers = {"authorization": SecretStr(value)}
    return lambda: headers


def basic_login(user: SecretStr, password: SecretStr) -> Callable[[], dict[str, SecretStr]]:
    """The header of a user's name and password; some vendors' keys are user names."""
    pair = f"{user.get_secret_value()}:{password.get_secret_value()}"
    headers = {"authorization": SecretStr("Basic " + b64encode(pair.encode()).decode())}
    return lambda: headers


class Transport:
    """Asks the servers of one source. Threads may share it.

    Args:
        source: the name in kpi.toml, for errors.
        base: where the source is; a token goes to this origin only.
        secret_headers: the headers that say who we are, asked for at each request: a token may be renewed.
        remaining: the header that says how many requests are left.
        reset: the header that says when there will be more, in seconds since 1970.
        is_used_up: whether a refusal is of a quota for longer than a run may wait, such as a day's.
        headers: what else to send with each request; nothing secret.
        a_minute: how many requests a minute the vendor bears, where that is few.

    Raises:
        ConfigError: a token would be sent in the clear.
    """

    def __init__(
        self,
        source: str,
        base: str,
        *,
        secret_headers: Callable[[], Mapping[str, SecretStr]] | None = None,
        remaining: str = "x-ratelimit-remaining",
        reset: str = "x-ratelimit-reset",
        is_used_up: Callable[[Reply], bool] = lambda _: False,
        headers: Mapping[str, str] | None = None,
        a_minute: int | None = None,
        clock: Clock = SYSTEM,
        limits: Limits | None = None,
    ) -> None:
        self.source, self.base, self.clock = source, base.rstrip("/"), clock
        self.limits = limits or Limits()
        self._secret_headers = secret_headers
        self._remaining_header, self._reset_header, self._is_used_up = remaining, reset, is_used_up
        self.remaining: int | None = None
        self._pause_until = 0.0
        # When the next request may be made, and how far apart they are.
        self._turn, self._apart = 0.0, 60 / a_minute if a_minute else 0.0
        self._lock = threading.Lock()
        # Cookies are nobody's business here, and redirects are followed below.
        self._client = httpx.Client(
            verify=_authorities(),
            timeout=httpx.Timeout(self.limits.read_seconds, connect=self.limits.connect_seconds),
            follow_redirects=False,
            headers={
                **(headers or {}),
                "user-agent": f"kpi-pipeline/{version('kpi-pipeline')}",
                "accept-encoding": "gzip",
            },
        )
        parts = urlsplit(self.base)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ConfigError(
                f"source {source}: url", got=redacted_url(base), expected="https://...", fix="Mend it in kpi.toml."
            )
        if secret_headers and parts.scheme == "http" and parts.hostname not in LOOPBACK:
            raise ConfigError(
                f"source {source}: url",
                got=redacted_url(base),
                expected="https, since a token is sent there",
                fix="Use https, or take the token out of kpi.toml if the server asks for none.",
            )

    def url(self, path: str) -> str:
        """The address of a path below the base."""
        return f"{self.base}/{path.lstrip('/')}"

    def check_place(self, url: str) -> str:
        """The address, if it is on the source's own server: what an answer names as the next page may be elsewhere.

        Raises:
            SourceError: it is.
        """
        if _origin(url) != _origin(self.base):
            raise self._hostile(f"a next page on another server, {shown_url(url)}", "one on the server that was asked")
        return url

    def send(self, question: Question, budget: Budget) -> Reply:
        """Asks, as often and as slowly as it takes.

        Raises:
            UnreachableError: there was no right answer after all attempts.
            RefusedError: the server refuses.
            SourceError: the server sends what no honest one would: too much, or a redirect that goes nowhere.
            BudgetSpentError: the run may ask no more, or the vendor allows no more today.
        """
        asked = f"source {self.source}: {shown_url(question.address)}"
        return until_answered(lambda: self._attempt(question, budget), asked, self.limits, budget.sleep)

    def close(self) -> None:
        """Closes the connections."""
        self._client.close()

    def _attempt(self, question: Question, budget: Budget) -> Reply:
        pause = self._until_my_turn()
        if pause > 0:
            budget.sleep(pause)
        budget.spend()
        reply = self._follow(question)
        self._note_quota(reply)
        if reply.status not in question.statuses or self._is_limit(reply):
            self._refuse(question, reply)
        try:
            question.check(reply)
        except BadAnswerError as error:
            raise AgainError(f"status {reply.status} with {error}") from None
        return reply

    def _until_my_turn(self) -> float:
        """Seconds until a request may be made; who asks next comes after it."""
        with self._lock:
            now = self.clock.monotonic()
            turn = max(now, self._pause_until, self._turn)
            self._turn = turn + self._apart
        return turn - now

    def _follow(self, question: Question) -> Reply:
        url = question.address
        for _ in range(REDIRECTS + 1):
            reply, location = self._ask_once(url, question)
            if location is None or reply.status in question.statuses:
                return reply
            following = urljoin(url, location)
            if urlsplit(url).scheme == "https" and urlsplit(following).scheme != "https":
                raise self._hostile(f"a redirect from https to {shown_url(following)}", "one that stays with https")
            url = following
        raise self._hostile(f"more than {REDIRECTS} redirects from {shown_url(question.address)}", "an answer")

    def _ask_once(self, url: str, question: Question) -> tuple[Reply, str | None]:
        headers = {"accept": question.accept}
        if self._secret_headers is not None and _origin(url) == _origin(self.base):
            headers |= {name: value.get_secret_value() for name, value in self._secret_headers().items()}
        until = self.clock.monotonic() + self.limits.answer_seconds
        try:
            with self._client.stream(question.method, url, headers=headers) as response:
                self._client.cookies.clear()
                body = self._read(response, until)
        except (httpx.InvalidURL, httpx.UnsupportedProtocol):
            raise self._hostile(f"a redirect to {shown_url(url)}", "an address") from None
        except httpx.HTTPError as error:
            # Not its text: it may repeat an address.
            raise AgainError(f"no whole answer ({type(error).__name__})") from None
        reply = Reply(redacted_url(url), response.status_code, kept_headers(response.headers), body, self.clock.now())
        return reply, response.headers.get("location") if response.has_redirect_location else None

    def _read(self, response: httpx.Response, until: float) -> bytes:
        if response.headers.get("content-encoding", "identity").lower() not in ("identity", "gzip"):
            raise AgainError("a compression that was not asked for")
        declared = response.headers.get("content-length", "")
        if declared.isdigit() and int(declared) > self.limits.max_bytes:
            raise self._too_large()
        chunks, size = [], 0
        for chunk in response.iter_bytes():
            size += len(chunk)
            if size > self.limits.max_bytes:
                raise self._too_large()
            if self.clock.monotonic() > until:
                raise AgainError(f"an answer that took more than {self.limits.answer_seconds:g} seconds")
            chunks.append(chunk)
        return b"".join(chunks)

    def _note_quota(self, reply: Reply) -> None:
        # Some count in floats.
        left = reply.headers.get(self._remaining_header, "").partition(".")[0]
        if left.isdigit():
            self.remaining = int(left)
        if self.remaining == 0 and (wait := self._wait(reply)) is not None:
            # The next question would only be refused.
            self._pause_until = self.clock.monotonic() + wait

    def _refuse(self, question: Question, reply: Reply) -> NoReturn:
        """Raises what fits a status that is no answer."""
        is_limit = self._is_limit(reply)
        if is_limit and self._is_used_up(reply):
            raise BudgetSpentError(
                f"source {self.source}: {shown_url(self.base)}",
                got="its quota used up",
                expected="more requests, which it allows another day",
                fix="The next run goes on where this one stopped.",
            )
        wait = self._wait(reply) if is_limit else retry_after(reply, self.clock.now())
        if is_limit and wait is not None:
            self._pause_until = self.clock.monotonic() + wait
        raise_if_passing(reply.status, is_limit=is_limit, wait=wait)
        meaning, fix = REFUSALS.get(reply.status, ("it won't answer that", "Look into the vendor's documentation."))
        raise RefusedError(
            f"source {self.source}: {shown_url(question.address)}",
            got=f"status {reply.status}: {meaning}",
            expected=" or ".join(f"status {status}" for status in sorted(question.statuses)),
            fix=fix,
        )

    def _is_limit(self, reply: Reply) -> bool:
        """Whether it speaks of too many requests; GitHub's secondary limits are a 403. That is never an answer."""
        if reply.status != 403:
            return reply.status == 429
        out_of_quota = reply.headers.get(self._remaining_header) == "0"
        return out_of_quota or speaks_of_a_limit(reply)

    def _wait(self, reply: Reply) -> float | None:
        """Seconds that a vendor wants us to wait; by its own clock where it names a time."""
        if (seconds := retry_after(reply, self.clock.now())) is not None:
            return seconds
        reset = reply.headers.get(self._reset_header, "")
        if reply.headers.get(self._remaining_header) == "0" and reset.isdigit():
            server = reply.server_time or self.clock.now()
            return _bounded(int(reset) - server.timestamp() + 1)
        return None

    def _too_large(self) -> SourceError:
        return self._hostile(f"an answer of more than {self.limits.max_bytes:,} bytes", "a page")

    def _hostile(self, got: str, expected: str) -> SourceError:
        return SourceError(
            f"source {self.source}: {shown_url(self.base)}",
            got=got,
            expected=expected,
            fix="Nothing of it is taken. Look whether the address in kpi.toml is right, and what answers there.",
        )


@cache
def _authorities() -> ssl.SSLContext:
    """Who vouches for servers. Loaded once: that takes longer than many a question."""
    return httpx.create_ssl_context()


REFUSALS = {
    401: ("the token is not accepted", "Make a new one, and put it where kpi.toml says (kpi doctor tells more)."),
    403: ("the token may not see this", "Give it the scopes that docs/sources/ names (kpi doctor tells more)."),
    404: ("there is no such thing, or the token may not see it", "Mend its name in kpi.toml, or the token's scopes."),
    410: ("it is gone", "Take it out of kpi.toml."),
}


class _Attempts:
    """Counts attempts of one question: faults are few, being told to wait may go on for long."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._faults = self._limited = 0
        self._asked: float | None = None

    def counted(self, attempt: Callable[[], T]) -> T:
        try:
            return attempt()
        except AgainError as error:
            self._asked = error.wait
            if error.wait is None:
                self._faults += 1
            else:
                self._limited += 1
            raise

    @property
    def made(self) -> int:
        return self._faults + self._limited

    @property
    def is_over(self) -> bool:
        return self._faults >= self._limits.attempts or self._limited >= self._limits.limited

    @property
    def seconds(self) -> float:
        """How long to wait before the next: as told, and longer each time where that was to no avail."""
        if self._asked is None:
            return min(2.0 ** (self._faults - 1), LIMIT_SECONDS)
        is_late = self._limited > 1 and self._asked >= LIMIT_SECONDS
        return _bounded(self._asked * 2.0 ** (self._limited - 1) if is_late else self._asked)


def _bounded(seconds: float) -> float:
    return min(max(seconds, 0.0), LONGEST_WAIT)


def _http_date(text: str) -> datetime | None:
    try:
        found = parsedate_to_datetime(text)
    except (ValueError, IndexError, TypeError):
        return None
    return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    try:
        port = parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    except ValueError:
        port = None
    return parts.scheme, parts.hostname, port


def redacted_url(url: str) -> str:
    """A URL without what may be secret in it: who logs in, and parameters that are named like secrets."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    query = [
        (name, REDACTED if _is_secret(name.lower()) else value)
        for name, value in parse_qsl(parts.query, keep_blank_values=True)
    ]
    return urlunsplit((parts.scheme, host, parts.path, urlencode(query), ""))


def shown_url(url: str) -> str:
    """A URL for people: without what may be secret in it, and no longer than a line."""
    shown = redacted_url(url)
    return shown if len(shown) <= SHOWN_URL else f"{shown[:SHOWN_URL]}..."


def _is_secret(name: str) -> bool:
    return name in SECRET_NAMES or any(word in name for word in SECRET_WORDS)


def kept_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """The headers of an answer that may be written down."""
    kept = {}
    for name, value in headers.items():
        lower = name.lower()
        if lower in KEPT_HEADERS or lower.startswith(KEPT_PREFIXES):
            kept[lower] = _redacted_link(value) if lower in ("link", "location") else value
    return kept


def _redacted_link(value: str) -> str:
    """URLs in a header, without what may be secret in them."""
    pieces = value.replace("<", "\0<").replace(">", ">\0").split("\0")
    shown = [f"<{redacted_url(p[1:-1])}>" if p.startswith("<") and p.endswith(">") else p for p in pieces]
    return "".join(shown) if "<" in value else redacted_url(value)
