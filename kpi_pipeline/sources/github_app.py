"""The login of a GitHub App: tokens of its installation, made when they are needed. They are never written down."""

import threading
from collections.abc import Mapping
from datetime import datetime, timedelta

import jwt
from pydantic import SecretStr

from kpi_pipeline.errors import ConfigError, RefusedError
from kpi_pipeline.settings.sources import GitHubApp
from kpi_pipeline.sources.github_pages import moment
from kpi_pipeline.sources.transport import BadAnswerError, Budget, Question, Reply, Transport
from kpi_pipeline.sources.walk import Tools

# GitHub takes no assertion that is valid for longer than ten minutes, nor one from the future.
BACKDATED, VALID = timedelta(seconds=60), timedelta(minutes=9)
# How long before its end a token is renewed: a question may take a while, and be asked again.
EARLY = timedelta(minutes=10)
# Clocks that are further apart than this are told to be.
APART = timedelta(seconds=30)


class AppLogin:
    """The headers that say that we are the app's installation. Threads may share it.

    Raises:
        ConfigError: the variable holds no private key.
    """

    def __init__(self, source: str, url: str, app: GitHubApp, tools: Tools) -> None:
        self._app, self._clock = app, tools.clock
        self._key = _private_key(app, tools)
        self._transport = Transport(source, url, secret_headers=self._assertion, clock=tools.clock, limits=tools.limits)
        # By how much GitHub's clock is ahead of ours.
        self._ahead = timedelta()
        self._token = SecretStr("")
        self._renew_at = float("-inf")
        self._lock = threading.Lock()
        self._assertion()

    def __call__(self) -> Mapping[str, SecretStr]:
        """The header of each request; now and then this makes a new token.

        Raises:
            SourceError: GitHub gives none.
        """
        with self._lock:
            if self._clock.monotonic() >= self._renew_at:
                self._renew()
            return {"authorization": SecretStr(f"Bearer {self._token.get_secret_value()}")}

    def close(self) -> None:
        """Ends its connections."""
        self._transport.close()

    def _renew(self) -> None:
        reply = self._ask()
        if reply.status == 401 and self._sets_clock(reply):
            reply = self._ask()
        if reply.status == 401:
            raise RefusedError(
                f"source {self._transport.source}: the GitHub App {self._app.id}",
                got="status 401: its key is not accepted",
                expected="a token of its installation",
                fix=f"Look whether {self._app.private_key_env} holds a private key of this app, and 'id' is the app's.",
            )
        self._sets_clock(reply)
        found = reply.json()
        lifetime = moment(found["expires_at"]) - self._now()
        self._token = SecretStr(found["token"])
        self._renew_at = self._clock.monotonic() + (lifetime - EARLY).total_seconds()

    def _ask(self) -> Reply:
        url = self._transport.url(f"app/installations/{self._app.installation}/access_tokens")
        asked = Question(url, accept="application/vnd.github+json", statuses=frozenset({201, 401}), check=_a_token,
                         method="POST")  # fmt: skip
        # Not through a walk: the answer is secret, and is asked for anew by each run.
        return self._transport.send(asked, Budget(self._clock))

    def _sets_clock(self, reply: Reply) -> bool:
        """Learns how far GitHub's clock is from ours; whether that is news."""
        if reply.server_time is None:
            return False
        ahead = reply.server_time - self._clock.now()
        is_news = abs(ahead - self._ahead) > APART
        self._ahead = ahead if is_news else self._ahead
        return is_news

    def _now(self) -> datetime:
        return self._clock.now() + self._ahead

    def _assertion(self) -> Mapping[str, SecretStr]:
        """The header of the app itself, which gets it a token and nothing else."""
        now = self._now()
        claims = {"iat": now - BACKDATED, "exp": now + VALID, "iss": str(self._app.id)}
        try:
            assertion = jwt.encode(claims, self._key.get_secret_value(), algorithm="RS256")
        except (jwt.PyJWTError, ValueError, TypeError):
            # Not `from error`: who knows what it repeats.
            raise ConfigError(
                f"environment variable {self._app.private_key_env}",
                got="no private key that signs",
                expected="the app's private key as GitHub gave it: PEM, RSA, not encrypted",
                fix="Generate one on the app's page, and export the content of the file.",
            ) from None
        return {"authorization": SecretStr(f"Bearer {assertion}")}


def _private_key(app: GitHubApp, tools: Tools) -> SecretStr:
    key = tools.secret(app.private_key_env, f"the private key of the GitHub App {app.id}")
    # Where a variable can't have lines, they are written so.
    return SecretStr(key.get_secret_value().replace("\\n", "\n"))


def _a_token(reply: Reply) -> None:
    if reply.status != 201:
        return
    found = reply.json()
    if not isinstance(found, dict) or not isinstance(found.get("token"), str) or not found["token"]:
        raise BadAnswerError("no token")
    if not isinstance(found.get("expires_at"), str):
        raise BadAnswerError("no end of the token")
    moment(found["expires_at"])
