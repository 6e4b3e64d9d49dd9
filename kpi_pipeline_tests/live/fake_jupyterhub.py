"""JupyterHub's API as far as it is asked for users: two hubs, some people. Held to the real one in
test_real_jupyterhub."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.utils import format_datetime
from typing import Any
from urllib.parse import urlencode

import duckdb

from kpi_pipeline.landing import Landing
from kpi_pipeline.settings.base import Live
from kpi_pipeline.settings.sources import HubActivityJupyterHub
from kpi_pipeline.stages import activity
from kpi_pipeline_tests.bad_input.organisation import key_of
from kpi_pipeline_tests.live.fetched import SECRET, TOKEN, utc
from kpi_pipeline_tests.live.server import Request, Response

PAGINATION = "application/jupyterhub-pagination+json"
SCOPES = ("list:users", "read:users:activity")
# What a scope lets be seen of a user.
SHOWN = {"list:users": ("kind", "name", "admin", "user_info"), "read:users:activity": ("kind", "name", "last_activity")}
# Where a hub that doesn't know how it is reached believes to be.
ELSEWHERE = "http://hub.invalid:8081"


@dataclass
class User:
    name: str
    last_activity: datetime | None = None

    def model(self) -> dict[str, Any]:
        active = self.last_activity
        return {
            "kind": "user",
            "name": self.name,
            "admin": False,
            "user_info": None,
            "last_activity": active.replace(tzinfo=None).isoformat() + "Z" if active else None,
        }


class FakeJupyterHub:
    """Two hubs, `coral/prod` and `coral/lab`, below one address. Users stand in the order in which they were made."""

    source = "hub_activity"
    night = utc(2026, 3, 6, 2, 30)

    def __init__(self) -> None:
        self.users = {
            hub: [
                User(f"zz-{hub}-{n}", self.night - timedelta(hours=7 * n, minutes=n) if n % 3 else None)
                for n in range(people)
            ]
            for hub, people in (("prod", 9), ("lab", 5))
        }
        self.tokens: dict[str, tuple[str, ...]] = {TOKEN: SCOPES}
        self.version = "6.1.1"
        self.default_limit, self.max_limit = 2, 4
        self.now = lambda: self.night

    def settings(self, url: str) -> HubActivityJupyterHub:
        return HubActivityJupyterHub.model_validate(
            {
                "kind": "jupyterhub",
                "hubs": [
                    {"cluster": "coral", "hub": hub, "url": f"{url}/{hub}", "token_env": f"TOKEN_{hub.upper()}"}
                    for hub in self.users
                ],
                "at_once": 1,
            }
        )

    def is_page(self, request: Request) -> bool:
        return request.path.endswith("/hub/api/users")

    def app(self, request: Request) -> Response:
        _, hub, *path = request.path.split("/")
        answer = self.answer(hub, "/".join(path), request)
        headers = {"Date": format_datetime(self.now(), usegmt=True), "X-JupyterHub-Version": self.version}
        return Response(answer.body, answer.status, headers)

    def answer(self, hub: str, path: str, request: Request) -> Response:
        kind, _, token = request.headers.get("authorization", "").partition(" ")
        scopes = self.tokens.get(token) if kind.lower() in ("token", "bearer") else None
        if path == "hub/api/":
            return Response({"version": self.version})
        if path == "hub/api/user":
            return _refused(None) if scopes is None else Response(_owner(scopes))
        if path != "hub/api/users":
            return Response({"status": 404, "message": None}, 404)
        if scopes is None:
            return _refused("Missing or invalid credentials.")
        if not any(scope.startswith("list:users") for scope in scopes):
            return _refused("Action is not authorized with current scopes; requires any of [list:users]")
        return self._listed(hub, request, scopes)

    def _listed(self, hub: str, request: Request, scopes: tuple[str, ...]) -> Response:
        asked = request.query
        order = asked.get("sort", "id")
        if int(self.version.split(".")[0]) < 5:
            order = "id"
        if order.removeprefix("-") not in ("id", "name", "last_activity"):
            return _bad(f"sort must be 'id', 'name', or 'last_activity', not '{order}'")
        is_paged = PAGINATION in request.headers.get("accept", "")
        try:
            offset = abs(int(asked.get("offset", 0)))
            limit = abs(int(asked.get("limit", self.default_limit if is_paged else self.max_limit)))
        except ValueError:
            return _bad("Invalid argument type, offset and limit must be integers")
        limit = max(1, min(limit, self.max_limit))
        seen = [user for user in _sorted(self.users[hub], order) if _sees("list:users", scopes, user)]
        some = [_filtered(user, scopes) for user in seen[offset : offset + limit]]
        if not is_paged:
            return Response(some)
        place: dict[str, Any] = {"offset": offset, "limit": limit, "total": len(seen), "next": None}
        if offset + limit < len(seen):
            query = urlencode({**asked, "offset": offset + limit, "limit": limit})
            url = f"{ELSEWHERE}{request.path}?{query}"
            place["next"] = {"offset": offset + limit, "limit": limit, "url": url}
        return Response({"items": some, "_pagination": place})

    def rows(self) -> list[tuple[Any, ...]]:
        return sorted(
            (user.last_activity.date(), "coral", hub, key_of(user.name, "coral"))
            for hub, users in self.users.items()
            for user in users
            if user.last_activity
        )

    def load(self, con: duckdb.DuckDBPyConnection, landing: Landing, configured: Live) -> None:
        assert isinstance(configured, HubActivityJupyterHub)
        activity.load(con, landing, configured, SECRET)

    def loaded(self, con: duckdb.DuckDBPyConnection) -> list[tuple[Any, ...]]:
        return con.execute(
            "select distinct date, cluster, hub, person_key from raw.hub_activity order by all"
        ).fetchall()

    def update_a_row(self) -> None:
        """Somebody is active for the first time."""
        self.users["prod"][3].last_activity = self.night - timedelta(minutes=10)

    def delete_a_row(self) -> None:
        """The first user goes, who never was active, so that all others move up."""
        self.users["prod"].pop(0)


def _sorted(users: Iterable[User], order: str) -> list[User]:
    """In an order; whoever has nothing to sort by comes last, or first where the order is ascending."""
    found = list(users)
    if order.endswith("last_activity"):
        found.sort(key=lambda user: (user.last_activity is not None, user.last_activity or utc(1, 1, 1)))
    if order.endswith("name"):
        found.sort(key=lambda user: user.name)
    if order.startswith("-"):
        # Those who are equal stay in the order of their ids.
        equal: dict[object, list[User]] = {}
        for user in found:
            equal.setdefault(user.last_activity if order == "-last_activity" else id(user), []).append(user)
        found = [user for group in reversed(equal.values()) for user in group]
    return found


def _sees(scope: str, scopes: tuple[str, ...], user: User) -> bool:
    """Whether a scope is among those given, perhaps for this user only."""
    return scope in scopes or f"{scope}!user={user.name}" in scopes


def _filtered(user: User, scopes: tuple[str, ...]) -> dict[str, Any]:
    keys = {key for scope, shown in SHOWN.items() if _sees(scope, scopes, user) for key in shown}
    return {key: value for key, value in user.model().items() if key in keys}


def _owner(scopes: tuple[str, ...]) -> dict[str, Any]:
    names = [scope.replace("list:users", "read:users:name") for scope in scopes if scope.startswith("list:users")]
    return {
        "kind": "service",
        "name": "kpis",
        "admin": False,
        "token_id": "a1",
        "session_id": None,
        "scopes": sorted([*scopes, *names]),
    }


def _refused(message: str | None) -> Response:
    return Response({"status": 403, "message": message}, 403)


def _bad(message: str) -> Response:
    return Response({"status": 400, "message": message}, 400)
