"""A real JupyterHub with its real proxy, on loopback, for as long as the tests need it. No test is here."""

import os
import secrets
import sqlite3
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx

from kpi_pipeline_tests.live.fake_jupyterhub import SCOPES
from kpi_pipeline_tests.live.processes import PATIENCE, free_ports, guarded, wait_for

HUB = Path(sys.executable).parent / "jupyterhub"
PROXY = Path(__file__).resolve().parents[1] / "npm" / "node_modules" / ".bin" / "configurable-http-proxy"
# Of the tokens that there are, what each may do.
TOKENS = {
    "kpis": SCOPES,
    "names": ("list:users",),
    "narrow": ("read:users:activity",),
    "one": ("list:users!user=zz-001", "read:users:activity"),
    "one-activity": ("list:users", "read:users:activity!user=zz-001"),
    "admin": ("admin:users", "users:activity"),
}
CONFIG = """
for section, values in {settings!r}.items():
    for name, value in values.items():
        setattr(c[section], name, value)
"""


class RealHub:
    """A hub that runs; what a test asks of it by itself goes past the code under test."""

    def __init__(self, url: str, folder: Path, tokens: dict[str, str], client: httpx.Client) -> None:
        self.url, self.folder, self.tokens, self._client = url, folder, tokens, client
        # Those that hub and proxy listen on.
        self.ports: tuple[int, ...] = ()

    def get(self, path: str, token: str | None = None, **headers: str) -> httpx.Response:
        """What it answers to a token of that name, or to nobody."""
        if token is not None:
            headers["authorization"] = f"token {self.tokens.get(token, 'zz-unknown')}"
        return self._client.get(f"{self.url}{path}", headers=headers)

    def change(self, method: str, path: str, body: Any = None) -> Any:
        """Has the administrator do something below /hub/api, which must succeed."""
        headers = {"authorization": f"token {self.tokens['admin']}"}
        done = self._client.request(method, f"{self.url}/hub/api/{path}", json=body, headers=headers)
        assert done.is_success, done.text
        return done.json() if done.content else None

    def add(self, names: Sequence[str]) -> list[str]:
        """Makes users; their names as the hub spells them."""
        return [user["name"] for user in self.change("POST", "users", {"usernames": names})]

    def delete(self, names: Iterable[str]) -> None:
        for name in names:
            self.change("DELETE", f"users/{quote(name, safe='')}")

    def was_active(self, name: str, at: datetime) -> None:
        """Reports activity, as a user's server would."""
        self.change("POST", f"users/{quote(name, safe='')}/activity", {"last_activity": at.isoformat()})

    def log_in(self, name: str) -> None:
        """As a person does, in a browser."""
        with httpx.Client(base_url=self.url, follow_redirects=False) as browser:
            browser.get("/hub/login")
            form = {"username": name, "password": "zz", "_xsrf": browser.cookies["_xsrf"]}
            assert browser.post("/hub/login", data=form).status_code == 302
            assert browser.get("/hub/home").status_code == 200

    def held(self) -> list[tuple[str, datetime | None]]:
        """Its users and when they were last active, by id, as they stand in its own database."""
        with closing(sqlite3.connect(f"file:{self.folder / 'hub.sqlite'}?mode=ro", uri=True)) as con:
            rows = con.execute("select name, last_activity from users order by id").fetchall()
        return [(name, datetime.fromisoformat(at).replace(tzinfo=UTC) if at else None) for name, at in rows]

    def active_users(self) -> dict[str, int]:
        """Its gauge jupyterhub_active_users, by period."""
        lines = self.get("/hub/metrics").text.splitlines()
        begin = 'jupyterhub_active_users{period="'
        found = (line.removeprefix(begin).split('"} ') for line in lines if line.startswith(begin))
        return {period: int(float(value)) for period, value in found}


@contextmanager
def running(folder: Path) -> Iterator[RealHub]:
    """Starts a hub and its proxy, and stops both."""
    assert PROXY.exists(), "configurable-http-proxy is not installed: make test installs it, from npm"
    ports = public, private, hub_port = free_ports(3)
    tokens = {name: secrets.token_hex(16) for name in TOKENS}
    proxy_token = secrets.token_hex(16)
    settings = {
        "JupyterHub": {
            "bind_url": f"http://127.0.0.1:{public}",
            "hub_bind_url": f"http://127.0.0.1:{hub_port}",
            "db_url": f"sqlite:///{folder / 'hub.sqlite'}",
            "cookie_secret_file": str(folder / "cookie_secret"),
            "authenticator_class": "dummy",
            "spawner_class": "simple",
            "authenticate_prometheus": False,
            "services": [{"name": name, "api_token": token} for name, token in tokens.items()],
            "load_roles": [
                {"name": f"{name}-role", "scopes": list(scopes), "services": [name]} for name, scopes in TOKENS.items()
            ],
        },
        "Authenticator": {"allow_all": True},
        # Ours, so that it ends with us: the hub would give it a session of its own.
        "ConfigurableHTTPProxy": {
            "should_start": False,
            "api_url": f"http://127.0.0.1:{private}",
            "auth_token": proxy_token,
        },
        # Not once an hour.
        "PeriodicMetricsCollector": {"active_users_update_interval": 1},
    }
    (folder / "jupyterhub_config.py").write_text(CONFIG.format(settings=settings))
    proxy = [
        str(PROXY), "--ip", "127.0.0.1", "--port", str(public), "--api-ip", "127.0.0.1", "--api-port", str(private),
        "--error-target", f"http://127.0.0.1:{hub_port}/hub/error",
    ]  # fmt: skip
    own = {name: value for name, value in os.environ.items() if not name.startswith(("JUPYTERHUB", "CONFIGPROXY"))}
    with ExitStack() as stack:
        client = stack.enter_context(httpx.Client(timeout=PATIENCE))
        hub = RealHub(f"http://127.0.0.1:{public}", folder, tokens, client)
        hub.ports = ports
        stack.enter_context(guarded(proxy, folder / "proxy.log", {**own, "CONFIGPROXY_AUTH_TOKEN": proxy_token}))
        log = folder / "hub.log"
        wait_for(stack.enter_context(guarded([HUB], log, own)), f"{hub.url}/hub/api/", log)
        yield hub
