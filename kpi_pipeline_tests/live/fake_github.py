"""GitHub as far as it is asked: repositories whose issues, pull requests and deployments people change as they like.

Objects have all that GitHub's own description says they must have; test_github holds every answer to it.
"""

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from itertools import count
from typing import Any
from urllib.parse import urlencode

import duckdb
import jwt

from kpi_pipeline.landing import Landing
from kpi_pipeline.settings.base import Live
from kpi_pipeline.settings.sources import GitHubApi
from kpi_pipeline.stages import github
from kpi_pipeline_tests.live.fetched import SECRET, TOKEN, utc
from kpi_pipeline_tests.live.github_described import description
from kpi_pipeline_tests.live.server import Request, Response

Row = dict[str, Any]
NOT_FOUND = Response({"message": "Not Found", "documentation_url": "x", "status": "404"}, 404)
BAD_LOGIN = Response({"message": "Bad credentials", "documentation_url": "x", "status": "401"}, 401)
DELETED = Response({"message": "This issue was deleted", "documentation_url": "x", "status": "410"}, 410)
# Objects that facts are made of; GitHub has many more kinds of events.
EVENT_SCHEMAS = {
    "labeled": "labeled-issue-event",
    "unlabeled": "unlabeled-issue-event",
    "assigned": "timeline-assigned-issue-event",
    "unassigned": "timeline-unassigned-issue-event",
    "commented": "timeline-comment-event",
    "renamed": "renamed-issue-event",
}
LISTED = (
    "select stream, repository, o.id, coalesce(o.event, o.state), strftime(happened_at, '%Y-%m-%dT%H:%M:%SZ') "
    "from staged.github_objects o left join staged.issues i using (repository, number) "
    "where i.left_at is null or stream not in ('issues', 'events', 'comments')"
)


@dataclass
class Thing:
    """An issue, or a pull request, which is one too."""

    number: int
    id: int
    author: str
    created: datetime
    updated: datetime
    state: str = "open"
    reason: str | None = None
    closed: datetime | None = None
    is_pull: bool = False
    merged: datetime | None = None
    labels: list[str] = field(default_factory=list)
    assignees: list[str] = field(default_factory=list)
    events: list[Row] = field(default_factory=list)
    reviews: list[Row] = field(default_factory=list)
    # What changed the number of open issues of its present repository, and when.
    flows: list[tuple[str, str]] = field(default_factory=list)

    def flows_as(self, flow: str) -> None:
        self.flows.append((flow, stamp(self.updated)))


@dataclass
class Repository:
    name: str
    id: int
    things: dict[int, Thing] = field(default_factory=dict)
    top: int = 0
    # Numbers that were transferred away, and where to.
    moved: dict[int, tuple[str, int]] = field(default_factory=dict)
    deleted: set[int] = field(default_factory=set)
    releases: list[Row] = field(default_factory=list)
    deployments: dict[int, tuple[Row, list[Row]]] = field(default_factory=dict)
    runs: list[Row] = field(default_factory=list)
    has_issues: bool = True
    archived: bool = False


class GitHub:
    """A GitHub without anything in it, as a vendor that can be fetched.

    Args:
        rows_a_page: how many rows a page has at most, whatever is asked for: small worlds have pages too.
        is_exclusive: `since` leaves out what changed at that very second.
        has_cursors: long listings go on by a cursor of their own, and under the repository's id.
        most_runs: of a filtered listing of runs there are no more.
        configured: what kpi.toml says otherwise than `settings` does.
    """

    source = "github"

    def __init__(
        self,
        now: datetime,
        *,
        rows_a_page: int = 100,
        is_exclusive: bool = False,
        has_cursors: bool = False,
        most_runs: int = 1000,
        **configured: Any,
    ) -> None:
        self.now = self.night = now
        self.configured = configured
        self.query = LISTED
        self.rows_a_page, self.is_exclusive, self.has_cursors = rows_a_page, is_exclusive, has_cursors
        self.most_runs = most_runs
        self.repositories: dict[str, Repository] = {}
        # Former names of repositories.
        self.renamed: dict[str, str] = {}
        self.organisations: set[str] = set()
        # Until when each token is accepted.
        self.tokens = {TOKEN: datetime.max.replace(tzinfo=UTC)}
        # Of the app that may make tokens: its id, installation, and public key.
        self.app_login: tuple[int, int, Any] | None = None
        # What GitHub's own clock says; what people do has times of its own.
        self.clock: Callable[[], datetime] = lambda: self.now
        self.headers: dict[str, str] = {}
        self.asked = 0
        self._ids = {kind: count(start) for kind, start in (("issue", 1000), ("event", 50_000), ("other", 900))}
        self._routes: list[tuple[re.Pattern[str], Callable[..., Response]]] = [
            (re.compile(pattern), answer)
            for pattern, answer in (
                (r"/repos/([^/]+/[^/]+)", self._about),
                (r"/repositories/(\d+)", self._about_id),
                (r"/repos/([^/]+/[^/]+)/issues", self._issues),
                (r"/repositories/(\d+)/issues", self._issues_of_id),
                (r"/repos/([^/]+/[^/]+)/issues/(\d+)", self._issue),
                (r"/repos/([^/]+/[^/]+)/issues/(\d+)/timeline", self._timeline),
                (r"/repos/([^/]+/[^/]+)/pulls", self._pulls),
                (r"/repos/([^/]+/[^/]+)/pulls/(\d+)/reviews", self._reviews),
                (r"/repos/([^/]+/[^/]+)/releases", self._releases),
                (r"/repos/([^/]+/[^/]+)/deployments", self._deployments),
                (r"/repos/([^/]+/[^/]+)/deployments/(\d+)/statuses", self._statuses),
                (r"/repos/([^/]+/[^/]+)/actions/runs", self._runs),
                (r"/orgs/([^/]+)/repos", self._repositories_of_organisation),
                (r"/users/([^/]+)/repos", self._repositories_of_user),
                (r"/rate_limit", self._limits),
                (r"/installation/repositories", self._installed),
            )
        ]

    # What people do. Each takes a while.

    def create(self, name: str, *, organisation: bool = True, **more: Any) -> Repository:
        made = self.repositories[name] = Repository(name, next(self._ids["other"]), **more)
        if organisation:
            self.organisations.add(name.partition("/")[0])
        return made

    def rename(self, name: str, to: str) -> None:
        made = self.repositories[to] = self.repositories.pop(name)
        made.name, self.renamed[name] = to, to

    def open(self, name: str, author: str = "zz-alice", *, is_pull: bool = False) -> int:
        repository = self.repositories[name]
        repository.top += 1
        number, at = repository.top, self._later()
        thing = Thing(number, next(self._ids["issue"]), author, at, at, is_pull=is_pull)
        thing.flows_as("opened")
        repository.things[number] = thing
        return number

    def discuss(self, name: str) -> int:
        """A discussion takes a number too."""
        self.repositories[name].top += 1
        return self.repositories[name].top

    def happens(self, name: str, number: int, event: str, who: str = "zz-bobby", **more: Any) -> Row:
        """An event in the life of an issue or pull request, which then has changed."""
        thing = self.repositories[name].things[number]
        thing.updated = self._later()
        row = description().template(EVENT_SCHEMAS.get(event, "state-change-issue-event"))
        row |= {"id": next(self._ids["event"]), "event": event, "created_at": stamp(thing.updated)}
        row |= {"actor": account(who), **more}
        if event == "commented":
            row |= {"user": account(who), "updated_at": stamp(thing.updated)}
        thing.events.append(row)
        return row

    def close(self, name: str, number: int, reason: str = "completed") -> None:
        self.happens(name, number, "closed", state_reason=reason)
        thing = self.repositories[name].things[number]
        thing.state, thing.reason, thing.closed = "closed", reason, thing.updated
        thing.flows_as(reason)

    def reopen(self, name: str, number: int) -> None:
        self.happens(name, number, "reopened", state_reason=None)
        thing = self.repositories[name].things[number]
        thing.state, thing.reason, thing.closed = "open", "reopened", None
        thing.flows_as("reopened")

    def label(self, name: str, number: int, label: str) -> None:
        self.happens(name, number, "labeled", label={"name": label, "color": "x"})
        self.repositories[name].things[number].labels.append(label)

    def unlabel(self, name: str, number: int, label: str) -> None:
        self.happens(name, number, "unlabeled", label={"name": label, "color": "x"})
        self.repositories[name].things[number].labels.remove(label)

    def assign(self, name: str, number: int, who: str) -> None:
        self.happens(name, number, "assigned", assignee=account(who))
        self.repositories[name].things[number].assignees.append(who)

    def comment(self, name: str, number: int, who: str = "zz-carol") -> None:
        self.happens(name, number, "commented", who)

    def merge(self, name: str, number: int) -> None:
        self.close(name, number)
        thing = self.repositories[name].things[number]
        thing.reason, thing.merged = None, thing.updated

    def review(self, name: str, number: int, who: str = "zz-carol") -> None:
        self.happens(name, number, "renamed", rename={"from": "x", "to": "y"})
        row = description().template("pull-request-review")
        thing = self.repositories[name].things[number]
        row |= {"id": next(self._ids["other"]), "user": account(who), "state": "APPROVED"}
        thing.reviews.append(row | {"submitted_at": stamp(thing.updated)})

    def delete(self, name: str, number: int) -> None:
        self._later()
        del self.repositories[name].things[number]
        self.repositories[name].deleted.add(number)

    def transfer(self, name: str, number: int, to: str) -> int:
        """To another repository: with its history, opening time and author, but another id and number."""
        thing = self.repositories[name].things.pop(number)
        target = self.repositories[to]
        target.top += 1
        self.repositories[name].moved[number] = (to, target.top)
        copy = deepcopy(thing)
        copy.number, copy.id = target.top, next(self._ids["issue"])
        for event in copy.events:
            event["id"] = next(self._ids["event"])
        copy.flows = []
        target.things[target.top] = copy
        self.happens(to, target.top, "transferred", thing.author)
        if copy.state == "open":
            copy.flows_as("transferred_in")
        return target.top

    def release(self, name: str, author: str = "zz-alice") -> None:
        row = description().template("release")
        at = stamp(self._later())
        row |= {"id": next(self._ids["other"]), "author": account(author), "created_at": at, "published_at": at}
        self.repositories[name].releases.insert(0, row)

    def deploy(self, name: str, environment: str = "reef/coral") -> int:
        row = description().template("deployment")
        at, identity = stamp(self._later()), next(self._ids["other"])
        row |= {"id": identity, "environment": environment, "creator": account("zz-alice")}
        self.repositories[name].deployments[identity] = row | {"created_at": at, "updated_at": at}, []
        return identity

    def report(self, name: str, deployment: int, state: str) -> None:
        row = description().template("deployment-status")
        at = stamp(self._later())
        row |= {"id": next(self._ids["other"]), "state": state, "creator": account("zz-alice")}
        self.repositories[name].deployments[deployment][1].insert(0, row | {"created_at": at, "updated_at": at})

    def run(self, name: str, conclusion: str | None = "success") -> Row:
        row = description().template("workflow-run")
        at = stamp(self._later())
        row |= {"id": next(self._ids["other"]), "conclusion": conclusion, "actor": account("zz-alice")}
        row |= {"created_at": at, "updated_at": at}
        self.repositories[name].runs.insert(0, row)
        return row

    def _later(self) -> datetime:
        self.now += timedelta(seconds=1)
        return self.now

    # What makes it a vendor

    def settings(self, url: str) -> GitHubApi:
        """kpi.toml for it."""
        login = {} if "app" in self.configured else {"token_env": "TOKEN"}
        usual = {"own": ["own/*"], "repositories": ["own/*"], "since": "2026-03-01", "at_once": 1}
        return GitHubApi.model_validate({"kind": "github_api", "url": url, **usual, **login, **self.configured})

    def load(self, con: duckdb.DuckDBPyConnection, landing: Landing, configured: Live) -> None:
        assert isinstance(configured, GitHubApi)
        github.load(con, landing, SECRET)
        github.stage(con, landing, configured, SECRET)

    def loaded(self, con: duckdb.DuckDBPyConnection) -> list[tuple[Any, ...]]:
        return sorted(con.execute(self.query).fetchall())

    def rows(self) -> list[tuple[Any, ...]]:
        return sorted(objects(self))

    def is_page(self, request: Request) -> bool:
        return request.path.count("/") > 3

    # What is answered

    def app(self, request: Request) -> Response:
        """Answers a request."""
        self.asked += 1
        answer = self._token(request) if request.method == "POST" else self._answer(request)
        headers = {
            "Date": format_datetime(self.clock(), usegmt=True),
            "X-RateLimit-Limit": "5000",
            "X-RateLimit-Remaining": str(max(5000 - self.asked, 1)),
            "X-RateLimit-Reset": str(int(self.clock().timestamp()) + 3600),
        }
        return Response(answer.body, answer.status, {**headers, **self.headers, **answer.headers})

    def _token(self, request: Request) -> Response:
        """Makes a token of an installation for the app that says who it is."""
        assert self.app_login is not None
        app, installation, key = self.app_login
        if request.path != f"/app/installations/{installation}/access_tokens":
            return NOT_FOUND
        try:
            # Checked by GitHub's clock, not by the one of this machine.
            options = {"verify_exp": False, "verify_iat": False, "require": ["iat", "exp", "iss"]}
            assertion = request.headers["authorization"].removeprefix("Bearer ")
            claims = jwt.decode(assertion, key, algorithms=["RS256"], issuer=str(app), options=options)  # type: ignore[arg-type]
        except jwt.PyJWTError:
            return BAD_LOGIN
        now = self.clock().timestamp()
        if not claims["iat"] <= now < claims["exp"] <= now + 600:
            return BAD_LOGIN
        until = self.clock() + timedelta(hours=1)
        token = f"ghs_{TOKEN}_{len(self.tokens)}"
        self.tokens[token] = until
        return Response({"token": token, "expires_at": stamp(until)}, 201)

    def _answer(self, request: Request) -> Response:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme != "Bearer" or token not in self.tokens or self.tokens[token] <= self.clock():
            return BAD_LOGIN
        for pattern, answer in self._routes:
            if found := pattern.fullmatch(request.path):
                return answer(request, *found.groups())
        return NOT_FOUND

    def _about(self, request: Request, name: str) -> Response:
        if (to := self.renamed.get(name)) is not None:
            place = f"http://{request.headers['host']}/repositories/{self.repositories[to].id}"
            return Response({"message": "Moved Permanently", "url": place, "documentation_url": "x"}, 301,
                            {"Location": place})  # fmt: skip
        found = self.repositories.get(name.lower())
        return Response(repository_row(found, "full-repository")) if found else NOT_FOUND

    def _about_id(self, _: Request, identity: str) -> Response:
        found = next((r for r in self.repositories.values() if r.id == int(identity)), None)
        return Response(repository_row(found, "full-repository")) if found else NOT_FOUND

    def _issues_of_id(self, request: Request, identity: str) -> Response:
        found = next((r.name for r in self.repositories.values() if r.id == int(identity)), "")
        return self._issues(request, found)

    def _issues(self, request: Request, name: str) -> Response:
        repository = self.repositories.get(name)
        if repository is None:
            return NOT_FOUND
        if not repository.has_issues:
            return Response({"message": "Issues has been disabled in this repository."}, 410)
        things = list(repository.things.values())
        if since := request.query.get("since"):
            at = datetime.fromisoformat(since)
            things = [t for t in things if t.updated > at or (t.updated == at and not self.is_exclusive)]
        things = sorted_as_asked(request, things)
        rows = [issue_row(name, thing) for thing in things]
        return self._paged(request, rows, repository.id)

    def _issue(self, request: Request, name: str, number: str) -> Response:
        repository = self.repositories[name]
        if (to := repository.moved.get(int(number))) is not None:
            place = f"http://{request.headers['host']}/repositories/{self.repositories[to[0]].id}/issues/{to[1]}"
            return Response({"message": "Moved Permanently", "url": place, "documentation_url": "x"}, 301,
                            {"Location": place})  # fmt: skip
        if int(number) in repository.deleted:
            return DELETED
        thing = repository.things.get(int(number))
        return Response(issue_row(name, thing)) if thing else NOT_FOUND

    def _timeline(self, request: Request, name: str, number: str) -> Response:
        thing = self.repositories[name].things.get(int(number))
        return self._paged(request, thing.events) if thing else NOT_FOUND

    def _pulls(self, request: Request, name: str) -> Response:
        things = [thing for thing in self.repositories[name].things.values() if thing.is_pull]
        return self._paged(request, [pull_row(thing) for thing in sorted_as_asked(request, things)])

    def _reviews(self, request: Request, name: str, number: str) -> Response:
        thing = self.repositories[name].things.get(int(number))
        return self._paged(request, thing.reviews) if thing else NOT_FOUND

    def _releases(self, request: Request, name: str) -> Response:
        return self._paged(request, self.repositories[name].releases)

    def _deployments(self, request: Request, name: str) -> Response:
        rows = [row for row, _ in self.repositories[name].deployments.values()]
        return self._paged(request, rows[::-1])

    def _statuses(self, request: Request, name: str, deployment: str) -> Response:
        found = self.repositories[name].deployments.get(int(deployment))
        return self._paged(request, found[1]) if found else NOT_FOUND

    def _runs(self, request: Request, name: str) -> Response:
        first, _, last = request.query.get("created", "0..9").partition("..")
        rows = [row for row in self.repositories[name].runs if first <= row["created_at"] <= last]
        answer = self._paged(request, rows[: self.most_runs])
        return Response({"total_count": len(rows), "workflow_runs": answer.body}, 200, answer.headers)

    def _repositories_of_organisation(self, request: Request, owner: str) -> Response:
        return self._owned(request, owner) if owner in self.organisations else NOT_FOUND

    def _repositories_of_user(self, request: Request, owner: str) -> Response:
        found = self._owned(request, owner)
        return found if found.body else NOT_FOUND

    def _owned(self, request: Request, owner: str) -> Response:
        names = sorted(name for name in self.repositories if name.startswith(f"{owner}/"))
        return self._paged(request, [repository_row(self.repositories[name], "minimal-repository") for name in names])

    def _limits(self, _: Request) -> Response:
        row = description().template("rate-limit-overview")
        core = {"limit": 5000, "remaining": 4321, "used": 679, "reset": int(self.clock().timestamp()) + 1800}
        row["resources"]["core"] = row["rate"] = core
        return Response(row)

    def _installed(self, request: Request) -> Response:
        rows = [repository_row(made, "repository") for made in self.repositories.values()]
        answer = self._paged(request, rows)
        return Response({"total_count": len(rows), "repositories": answer.body}, 200, answer.headers)

    def _paged(self, request: Request, rows: list[Row], identity: int | None = None) -> Response:
        """A page of rows, by number; where listings have cursors, from the row on that the cursor names."""
        size = min(int(request.query.get("per_page", 30)), self.rows_a_page)
        number = int(request.query.get("page", 1))
        begin = (number - 1) * size
        path, query = request.path, dict(request.query)
        if self.has_cursors and identity is not None:
            path = f"/repositories/{identity}/issues"
            if number > 1 and "after" not in query:
                message = "Pagination with the page parameter is not supported for large datasets"
                return Response({"message": message, "documentation_url": "x"}, 422)
            begin = 0
            if after := query.get("after"):
                key = urlsafe_b64decode(after).decode()
                begin = sum(self._key(request, row) <= key for row in rows)
            if begin + size < len(rows):
                last = self._key(request, rows[begin + size - 1])
                query["after"] = urlsafe_b64encode(last.encode()).decode()
        place = f"http://{request.headers['host']}{path}?"
        links = []
        if begin + size < len(rows):
            links.append(f'<{place}{urlencode({**query, "page": number + 1})}>; rel="next"')
        if number > 1:
            links.append(f'<{place}{urlencode({**query, "page": number - 1})}>; rel="prev"')
        return Response(rows[begin : begin + size], 200, {"Link": ", ".join(links)} if links else {})

    @staticmethod
    def _key(request: Request, row: Row) -> str:
        by = "updated_at" if request.query.get("sort") == "updated" else "created_at"
        return f"{row[by]} {row['number']:09}"


class FakeGitHub(GitHub):
    """A small organisation and a project that it works for: the one that the tests of all connectors run on."""

    def __init__(self) -> None:
        streams = ("issues", "timeline", "pulls", "reviews", "releases", "deployments", "statuses")
        configured = {"repositories": ("own/app", "up/stream"), "streams": streams, "upstream_streams": streams[:4]}
        super().__init__(utc(2026, 3, 6, 9), rows_a_page=3, **configured)
        self.night = utc(2026, 3, 8, 2, 30)
        self.create("own/app")
        self.create("up/stream")
        for _ in range(3):
            self.open("own/app")
        pull = self.open("own/app", is_pull=True)
        self.close("own/app", 1)
        self.assign("own/app", 2, "zz-bobby")
        self.merge("own/app", pull)
        self.release("own/app")
        self.report("own/app", self.deploy("own/app"), "success")
        self.review("up/stream", self.open("up/stream", is_pull=True))
        self.comment("up/stream", 1)
        self.now = self.night - timedelta(hours=3)

    def update_a_row(self) -> None:
        """An issue that was read early is closed."""
        self.now += timedelta(minutes=7)
        self.close("own/app", 2)

    def delete_a_row(self) -> None:
        """An issue of the first page goes, and all others move up."""
        self.delete("own/app", 1)


def objects(world: GitHub) -> Iterator[tuple[Any, ...]]:
    """All that a world holds now and that is fetched of it by default, as LISTED has it."""
    for name, repository in world.repositories.items():
        is_own = name.startswith("own/")
        for thing in repository.things.values():
            yield "issues", name, thing.id, thing.state, stamp(thing.created)
            if thing.is_pull:
                yield "pulls", name, thing.id, thing.state, stamp(thing.created)
            # Of own pull requests nothing is counted that their timelines tell.
            for event in () if is_own and thing.is_pull else thing.events:
                if event["event"] in github.EVENTS:
                    stream = "comments" if event["event"] == "commented" else "events"
                    yield stream, name, event["id"], event["event"], event["created_at"]
            for row in thing.reviews:
                yield "reviews", name, row["id"], row["state"], row["submitted_at"]
        for row in repository.releases:
            yield "releases", name, row["id"], None, row["published_at"]
        for row, statuses in repository.deployments.values() if is_own else ():
            yield "deployments", name, row["id"], None, row["created_at"]
            for status in statuses:
                yield "statuses", name, status["id"], status["state"], status["created_at"]
        for row in repository.runs if is_own else ():
            yield "runs", name, row["id"], row["conclusion"], row["created_at"]


def account(login: str) -> Row:
    """Somebody, or a bot."""
    row = description().template("simple-user")
    return row | {"login": login, "type": "Bot" if login.endswith("[bot]") else "User"}


def sorted_as_asked(request: Request, things: list[Thing]) -> list[Thing]:
    by: Callable[[Thing], Any] = lambda t: (t.updated, t.number)  # noqa: E731
    if request.query.get("sort", "created") == "created":
        by = lambda t: (t.created, t.number)  # noqa: E731
    return sorted(things, key=by, reverse=request.query.get("direction", "desc") == "desc")


def issue_row(name: str, thing: Thing) -> Row:
    row = description().template("issue")
    row |= common(thing) | {"title": f"Issue {thing.number}", "state_reason": thing.reason}
    row |= {"labels": [{"name": label} for label in thing.labels]}
    row |= {"assignees": [account(login) for login in thing.assignees], "comments": len(thing.events)}
    if thing.is_pull:
        row["pull_request"] = {"url": "x", "html_url": "x", "diff_url": "x", "patch_url": "x"}
    return row


def pull_row(thing: Thing) -> Row:
    row = description().template("pull-request-simple")
    return row | common(thing) | {"merged_at": stamp(thing.merged) if thing.merged else None}


def common(thing: Thing) -> Row:
    """What issues and pull requests have both."""
    return {
        "id": thing.id,
        "number": thing.number,
        "user": account(thing.author),
        "state": thing.state,
        "created_at": stamp(thing.created),
        "updated_at": stamp(thing.updated),
        "closed_at": stamp(thing.closed) if thing.closed else None,
    }


def repository_row(repository: Repository, schema: str) -> Row:
    row = description().template(schema)
    owner, _, name = repository.name.partition("/")
    row |= {"id": repository.id, "full_name": repository.name, "name": name, "has_issues": repository.has_issues}
    return row | {"owner": account(owner), "archived": repository.archived, "pushed_at": "2026-03-06T09:00:00Z"}


def stamp(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
