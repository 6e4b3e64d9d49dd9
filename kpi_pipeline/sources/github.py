"""GitHub's REST API: which repositories there are, and whether the login may read what is asked of them.

How one of them is fetched is in github_repository.
"""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase

from kpi_pipeline.errors import KpiError, RefusedError
from kpi_pipeline.settings.base import Login
from kpi_pipeline.settings.sources import GitHubApi
from kpi_pipeline.sources.github_app import AppLogin
from kpi_pipeline.sources.github_pages import Listing, Row, pages, question
from kpi_pipeline.sources.github_repository import Repository, ask_about, streams_of
from kpi_pipeline.sources.transport import BadAnswerError, Reply, Transport, an_object, login_headers
from kpi_pipeline.sources.walk import Fetched, Seen, Tools, Walk

HEADERS = {"x-github-api-version": "2022-11-28"}
# GitHub bears 900 requests a minute.
A_MINUTE = 840
NAME = re.compile(r"[\w.-]+/[\w.-]+")
# What a login needs for each stream, as the page for fine-grained tokens and apps calls it.
PERMISSIONS = {
    "issues": ("issues", "Issues"),
    "pulls": ("pulls", "Pull requests"),
    "releases": ("releases", "Contents"),
    "deployments": ("deployments", "Deployments"),
    "runs": ("actions/runs", "Actions"),
}
SEES_PRIVATE_ONES = {"repo"}
ENDS_SOON = timedelta(days=14)


class GitHub:
    """Repositories that kpi.toml names, each a part."""

    def __init__(self, source: str, configured: GitHubApi, tools: Tools) -> None:
        self.source, self.configured, self.at_once = source, configured, configured.at_once
        self._app = AppLogin(source, configured.url, configured.app, tools) if configured.app else None
        token = login_headers(
            Login(token_env=configured.token_env), tools.secret, f"who may read the repositories of {configured.url}"
        )
        self.transport = Transport(
            source,
            configured.url,
            secret_headers=self._app or token,
            headers=HEADERS,
            a_minute=A_MINUTE,
            clock=tools.clock,
            limits=tools.limits,
        )

    def parts(self, walk: Walk) -> list[str]:
        """The repositories, in lower case; `owner/*` is all that the owner has now."""
        found: dict[str, Row] = {}
        for wanted in self.configured.repositories:
            owner, _, name = wanted.lower().partition("/")
            found |= self._owned_by(walk, owner) if name == "*" else {wanted.lower(): {}}
        return sorted(name for name in found if self._is_wanted(name))

    def names(self, walk: Walk, part: str) -> bool:
        """Whether a repository of `owner/*` has vanished: not if it has another name now, or is an archived one."""
        if not self._is_wanted(part):
            return False
        asked = question(self.transport, f"repos/{part}", statuses=frozenset({200, 404}), check=an_object())
        reply = walk.get(self.transport, asked)
        if reply.status == 404:
            return True
        about = reply.json()
        is_archived = bool(about.get("archived")) and not self.configured.archived
        is_renamed = (name := str(about.get("full_name")).lower()) != part and self._is_wanted(name)
        return not is_archived and not is_renamed

    def fetch(self, walk: Walk) -> Fetched:
        """Lands what is new of one repository."""
        return Repository(walk, self.transport, self.configured).fetch()

    def quota(self) -> int | None:
        return self.transport.remaining

    def close(self) -> None:
        self.transport.close()
        if self._app:
            self._app.close()

    def examine(self, walk: Walk) -> Iterator[Seen]:
        """Looks at the login, at the repositories, and of some of them at every stream."""
        try:
            yield from self._examine_login(walk)
            parts = self.parts(walk)
        except KpiError as error:
            yield Seen("problem", str(error))
            return
        yield Seen("ok" if parts else "problem", f"{len(parts)} repositories are to be fetched")
        named = {name.lower() for name in self.configured.repositories}
        kinds: set[tuple[str, ...]] = set()
        pushed: list[tuple[str, str]] = []
        for part in parts:
            streams = streams_of(self.configured, part)
            # Of those that a listing has, one of each kind says whether the others can be read too.
            if part in named or streams not in kinds:
                try:
                    about = ask_about(walk, self.transport, part).json()
                    pushed.append((about.get("pushed_at") or "", part))
                    yield from self._examine_streams(walk, part, about)
                except KpiError as error:
                    yield Seen("problem", f"{part}: {error}")
                kinds.add(streams)
        if newest := max(pushed, default=("", ""))[0]:
            yield Seen("ok", f"the newest push to those that were looked at: {newest} ({max(pushed)[1]})")

    def _is_wanted(self, part: str) -> bool:
        """Whether kpi.toml names a repository and doesn't leave it out."""
        wanted = any(fnmatchcase(part, named.lower()) for named in self.configured.repositories)
        return wanted and not any(fnmatchcase(part, glob.lower()) for glob in self.configured.leave_out)

    def _owned_by(self, walk: Walk, owner: str) -> dict[str, Row]:
        """The repositories of an organisation; where there is none of that name, of a user."""
        params = (("sort", "full_name"), ("direction", "asc"), ("per_page", "100"))
        fields = {"id": int, "full_name": str, "archived": bool}
        asked = question(self.transport, f"orgs/{owner}/repos", *params, statuses=frozenset({200, 404}))
        found = list(pages(walk, self.transport, Listing(asked, fields)))
        if not found:
            asked = question(self.transport, f"users/{owner}/repos", *params)
            found = list(pages(walk, self.transport, Listing(asked, fields)))
        rows = [row for page in found for row in page.rows if self.configured.archived or not row["archived"]]
        if strange := [row for row in rows if not NAME.fullmatch(row["full_name"])]:
            raise BadAnswerError(f"{len(strange)} repositories of {owner} whose name is none")
        return {row["full_name"].lower(): row for row in rows}

    def _examine_login(self, walk: Walk) -> Iterator[Seen]:
        reply = walk.get(self.transport, question(self.transport, "rate_limit", check=_limits))
        core = reply.json()["resources"]["core"]
        until = datetime.fromtimestamp(core["reset"], UTC)
        yield Seen("ok", f"answers; {core['remaining']:,} of {core['limit']:,} requests left until {until:%H:%M} UTC")
        if self._app:
            asked = question(self.transport, "installation/repositories", ("per_page", "1"), check=an_object())
            total = walk.get(self.transport, asked).json().get("total_count")
            yield Seen("ok" if total else "problem", f"the app is installed for {total} repositories")
        else:
            yield _what_a_token_may(reply)
        yield from _until_when(reply, walk.started_at)

    def _examine_streams(self, walk: Walk, part: str, about: Row) -> Iterator[Seen]:
        readable = []
        for stream in streams_of(self.configured, part):
            if stream not in PERMISSIONS or (stream == "issues" and not about.get("has_issues")):
                continue
            path, permission = PERMISSIONS[stream]
            try:
                walk.get(self.transport, question(self.transport, f"repos/{part}/{path}", ("per_page", "1")))
                readable.append(stream)
            except RefusedError:
                yield Seen("problem", f"{part}: {stream} can't be read: give the login '{permission}: read-only'")
        notes = (" (archived)" if about.get("archived") else "") + ("" if about.get("has_issues") else " (no issues)")
        words = f"{part}{notes}: can read {', '.join(readable) or 'nothing'}"
        yield Seen("ok" if readable else "problem", words)


def _what_a_token_may(reply: Reply) -> Seen:
    """What the scopes of a classic token allow; those of others aren't told."""
    scopes = reply.headers.get("x-oauth-scopes")
    if scopes is None:
        return Seen("ok", "a fine-grained token: what it may read shows below")
    granted = {scope.strip() for scope in scopes.split(",")} - {""}
    words = f"a classic token with the scopes {', '.join(sorted(granted)) or '(none)'}"
    if granted & SEES_PRIVATE_ONES:
        return Seen("note", f"{words}: it may write too, which a fine-grained one needn't")
    return Seen("note", f"{words}: it sees public repositories only")


def _until_when(reply: Reply, now: datetime) -> Iterator[Seen]:
    text = reply.headers.get("github-authentication-token-expiration", "")
    try:
        until = datetime.strptime(text, "%Y-%m-%d %H:%M:%S UTC").replace(tzinfo=UTC)
    except ValueError:
        return
    yield Seen("note" if until - now < ENDS_SOON else "ok", f"the token ends on {until:%Y-%m-%d}")


def _limits(reply: Reply) -> None:
    found = reply.json()
    core = found.get("resources", {}).get("core") if isinstance(found, dict) else None
    if not isinstance(core, dict) or not all(type(core.get(key)) is int for key in ("limit", "remaining", "reset")):
        raise BadAnswerError("no limits")
