"""Who we are on GitHub: tokens, an app whose tokens are renewed, and what kpi doctor says of either."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import timedelta
from functools import cache
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from pydantic import SecretStr

from kpi_pipeline import fetching
from kpi_pipeline.errors import ConfigError, SourceError
from kpi_pipeline.fetching import Glance
from kpi_pipeline.landing import Landing
from kpi_pipeline.sources.connectors import connector
from kpi_pipeline.sources.transport import Budget
from kpi_pipeline.sources.walk import Seen, Tools
from kpi_pipeline_tests.live.fake_github import GitHub
from kpi_pipeline_tests.live.fetched import LIMITS, TOKEN, TurnedClock, utc
from kpi_pipeline_tests.live.server import Request, Response, Served, served

NOON = utc(2026, 3, 6, 12)
APP, INSTALLATION = 4711, 42


@cache
def key(kind: str = "rsa") -> rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey:
    return rsa.generate_private_key(65537, 2048) if kind == "rsa" else ec.generate_private_key(ec.SECP256R1())


def pem(private: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> str:
    encoding, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    return private.private_bytes(encoding, form, serialization.NoEncryption()).decode()


class App:
    """A world that an app is installed in, asked by that app."""

    def __init__(self, folder: Path, skew: timedelta = timedelta(), secret: str | None = None) -> None:
        login = {"id": APP, "installation": INSTALLATION, "private_key_env": "KEY"}
        self.world = GitHub(NOON, app=login)
        self.world.tokens.clear()
        self.world.app_login = (APP, INSTALLATION, key().public_key())
        self.world.create("own/app")
        self.world.open("own/app")
        self.clock = TurnedClock(NOON)
        self.world.clock = lambda: self.clock.now() + skew
        self.folder = folder
        self.tools = Tools(lambda _name, _purpose: SecretStr(secret or pem(key())), self.clock, LIMITS)
        self.told: list[str] = []

    def fetch(self, server: Served) -> fetching.Outcome:
        with closing(connector("github", self.world.settings(server.url), self.tools)) as asked:
            return fetching.fetch(
                Landing(self.folder / "landing"), "github", "github_api", asked, carries=False,
                budget=Budget(self.clock), tell=self.told.append, clock=self.clock,
            )  # fmt: skip


def tokens_made(server: Served) -> int:
    return sum(request.method == "POST" for request in server.requests)


@pytest.mark.parametrize("hours", [-2, 0, 2])
def test_an_app_gets_a_token_by_githubs_own_clock(hours: int, tmp_path: Path) -> None:
    app = App(tmp_path, timedelta(hours=hours))
    with served(app.world.app) as server:
        assert app.fetch(server).finished == ("own/app",)
        assert tokens_made(server) == (2 if hours else 1)


def test_a_token_is_renewed_before_it_ends(tmp_path: Path) -> None:
    """A fetch that takes hours: with one connector, and no question that is refused."""
    app = App(tmp_path)
    app.tools = replace(app.tools, limits=replace(LIMITS, answer_seconds=1000))
    for _ in range(30):
        app.world.open("own/app")

    def slow(request: Request) -> Response:
        app.clock.sleep(240)
        answer = app.world.app(request)
        assert answer.status < 400
        return answer

    with served(slow) as server:
        assert app.fetch(server).finished == ("own/app",)
        # Almost three hours, and a new one every fifty minutes or so.
        assert 160 < len(server.requests) * 4 < 180
        assert tokens_made(server) in (3, 4)


def test_neither_key_nor_token_is_written_down(tmp_path: Path) -> None:
    app = App(tmp_path)
    with served(app.world.app) as server:
        app.fetch(server)
    (token,) = app.world.tokens
    words = (token, pem(key())[100:140], "eyJ")
    for path in tmp_path.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            assert not any(word.encode() in content for word in words), path
    assert not any(word in " ".join(app.told) for word in words)


def test_a_key_of_another_app_is_refused(tmp_path: Path) -> None:
    app = App(tmp_path)
    app.world.app_login = (APP, INSTALLATION, rsa.generate_private_key(65537, 2048).public_key())
    with served(app.world.app) as server, pytest.raises(SourceError, match="its key is not accepted"):
        app.fetch(server)


def test_an_app_that_is_not_installed(tmp_path: Path) -> None:
    app = App(tmp_path)
    app.world.app_login = (APP, 43, key().public_key())
    with served(app.world.app) as server, pytest.raises(SourceError, match="status 404"):
        app.fetch(server)


@pytest.mark.parametrize("secret", ["not a key", pem(key("ec"))])
def test_what_is_no_private_key_is_said_to_be_none(secret: str, tmp_path: Path) -> None:
    app = App(tmp_path, secret=secret)
    with pytest.raises(ConfigError, match="no private key that signs") as caught:
        connector("github", app.world.settings("http://127.0.0.1:9"), app.tools)
    assert secret not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_key_may_be_on_one_line(tmp_path: Path) -> None:
    app = App(tmp_path, secret=pem(key()).strip().replace("\n", "\\n"))
    with served(app.world.app) as server:
        assert app.fetch(server).finished == ("own/app",)


def test_one_login_and_no_more() -> None:
    for login in ({"token_env": "TOKEN", "app": {"id": 1, "installation": 1, "private_key_env": "KEY"}}, {}):
        settings = GitHub(NOON).settings("https://api.github.com").model_dump(exclude={"token_env", "app"})
        with pytest.raises(ValueError, match="one of them"):
            GitHub(NOON, **settings).settings("x").model_validate({**settings, **login})


# What kpi doctor says


@contextmanager
def examined(world: GitHub, *, token: str = TOKEN) -> Iterator[list[Seen]]:
    clock = TurnedClock(NOON)
    with served(world.app) as server:
        tools = Tools(lambda _name, _purpose: SecretStr(token), clock, LIMITS)
        with closing(connector("github", world.settings(server.url), tools)) as asked:
            yield list(asked.examine(Glance(clock.now(), Budget(clock))))


def words(seen: list[Seen], state: str) -> str:
    return "\n".join(found.words for found in seen if found.state == state)


def organisation(**more: object) -> GitHub:
    world = GitHub(NOON, repositories=["own/*", "up/stream"], **more)  # type: ignore[arg-type]
    world.create("own/app")
    world.create("up/stream")
    world.open("own/app")
    return world


def test_all_is_well() -> None:
    with examined(organisation()) as seen:
        assert {found.state for found in seen} == {"ok"}
        said = words(seen, "ok")
    assert "4,321 of 5,000 requests left until 12:30 UTC" in said
    assert "fine-grained" in said
    assert "2 repositories" in said
    assert "own/app: can read issues, pulls, releases, deployments, runs" in said
    assert "up/stream: can read issues, pulls, releases" in said
    assert "newest push" in said


@pytest.mark.parametrize(
    ("scopes", "says"),
    [("", "the scopes (none): it sees public repositories only"), ("read:org, repo", "it may write too")],
)
def test_a_classic_token(scopes: str, says: str) -> None:
    world = organisation()
    world.headers = {
        "X-OAuth-Scopes": scopes,
        "GitHub-Authentication-Token-Expiration": "2026-03-10 12:00:00 UTC",
    }
    with examined(world) as seen:
        assert says in words(seen, "note")
        assert "the token ends on 2026-03-10" in words(seen, "note")


def test_a_token_that_is_not_accepted() -> None:
    with examined(organisation(), token="another") as seen:
        assert len(seen) == 1
        assert seen[0].state == "problem"
        assert "the token is not accepted" in seen[0].words
        assert "another" not in seen[0].words


def test_repositories_that_can_not_be_seen_and_permissions_that_are_missing() -> None:
    world = organisation()
    world.configured["repositories"] = ["own/*", "own/secret", "up/former"]
    world.create("up/former")
    world.rename("up/former", "up/present")
    world.create("own/fork", has_issues=False, archived=True)
    app = world.app

    def refuses(request: Request) -> Response:
        forbidden = Response({"message": "Resource not accessible by personal access token"}, 403)
        return forbidden if request.path.endswith("/deployments") else app(request)

    world.app = refuses  # type: ignore[method-assign]
    with examined(world) as seen:
        problems = words(seen, "problem")
    assert "own/app: deployments can't be read: give the login 'Deployments: read-only'" in problems
    assert "own/secret" in problems
    assert "status 404" in problems
    assert "called up/present now" in problems
    # One of a kind is enough, of those that a listing has.
    assert "own/fork" not in problems


def test_the_doctor_and_an_app(tmp_path: Path) -> None:
    app = App(tmp_path)
    glance = Glance(app.clock.now(), Budget(app.clock))
    with (
        served(app.world.app) as server,
        closing(connector("github", app.world.settings(server.url), app.tools)) as asked,
    ):
        seen = list(asked.examine(glance))
    assert "the app is installed for 1 repositories" in words(seen, "ok")
    assert {found.state for found in seen} == {"ok"}
