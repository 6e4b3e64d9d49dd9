"""JupyterHub, asked itself: when each user of a hub was last active.

What belongs here: questions to a hub's REST API, and how its users are read to the end. What never does: which field of
a user is which column, which raw knows.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import partial
from urllib.parse import quote

from pydantic import JsonValue, SecretStr

from kpi_pipeline.days import ONE, Days, span, union
from kpi_pipeline.errors import KpiError, RefusedError, SourceError
from kpi_pipeline.settings.sources import HubActivityJupyterHub, HubApi
from kpi_pipeline.sources.transport import BadAnswerError, Question, Reply, Transport, an_object
from kpi_pipeline.sources.walk import Cursor, Fetched, NamedParts, Seen, Tools, Walk, named_by_content

# Without it a hub answers with the first of its users, and nothing says that there are more.
PAGES = "application/jupyterhub-pagination+json"
SCOPES = ("list:users", "read:users:activity")
# How the names of scopes begin that change nothing.
READS = ("list:", "read:")
SHOWN_SCOPES = 3
# What a hub gives at a time at most, unless it is told otherwise.
LIMIT = 200
BY_ID, NEWEST_FIRST = "id", "-last_activity"
# Older hubs silently ignore which order they are asked for.
SORTS_SINCE = 5
# Activity may be reported late.
OVERLAP = timedelta(days=1)
# The proxy and users' servers report every five minutes.
SETTLES = timedelta(minutes=10)
# How often to read a list that doesn't hold still.
READINGS = 5
# How much longer than it was at first a list may become while it is read.
GROWTH, SPARE_PAGES = 2, 10
MOST_USERS = 1_000_000
# A reading that was interrupted and went on so long after shows two nights.
TOO_LONG = timedelta(hours=6)
CLOCKS_DIFFER = timedelta(minutes=5)
NEVER = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True)
class User:
    """Who, and when last active."""

    name: str
    active_at: datetime


@dataclass(frozen=True)
class Page:
    """Users that follow each other in a list of `total`, `offset` of which come before them."""

    reply: Reply
    users: tuple[User, ...]
    offset: int
    limit: int
    total: int

    @property
    def end(self) -> int:
        return self.offset + len(self.users)

    @property
    def names(self) -> set[str]:
        return {user.name for user in self.users}

    @property
    def is_newest_first(self) -> bool:
        active = [user.active_at for user in self.users]
        return active == sorted(active, reverse=True)

    @property
    def asked_from(self) -> datetime:
        """When this was so, at the earliest: of two clocks, by the one that is behind."""
        return min(self.reply.received_at, self.reply.server_time or self.reply.received_at)

    @property
    def asked_until(self) -> datetime:
        """When this was so, at the latest."""
        return max(self.reply.received_at, self.reply.server_time or self.reply.received_at)


class Hub:
    """One hub: what is asked of it."""

    def __init__(self, source: str, configured: HubApi, tools: Tools) -> None:
        self.configured, self.culprit = configured, f"source {source}: {configured.part}"

        def who_asks() -> dict[str, SecretStr]:
            # Looked up when it is needed: a hub without its token doesn't hold up the others.
            token = tools.secret(configured.token_env, f"the token for {configured.part}")
            return {"authorization": SecretStr(f"token {token.get_secret_value()}")}

        self.transport = Transport(
            source, configured.url, secret_headers=who_asks, clock=tools.clock, limits=tools.limits
        )

    def version(self, walk: Walk) -> tuple[str, Reply]:
        """The version of JupyterHub."""
        reply = walk.get(self.transport, Question(self.transport.url("hub/api/"), check=_a_version))
        return str(reply.json()["version"]), reply

    def scopes(self, walk: Walk) -> list[str]:
        """What the token may do.

        Raises:
            RefusedError: the hub doesn't know it, or it may not see when every user was last active.
            SourceError: the hub is too old to know of scopes.
        """
        # To this question a hub answers whoever it knows.
        question = Question(self.transport.url("hub/api/user"), statuses=frozenset({200, 403}), check=an_object())
        reply = walk.get(self.transport, question)
        if reply.status == 403:
            raise RefusedError(
                self.culprit,
                got="status 403: the hub doesn't know the token, or it has expired",
                expected="the token of a service, or of a user",
                fix=f"Make one as docs/sources/jupyterhub.md says, and put it into {self.configured.token_env}.",
            )
        scopes = reply.json().get("scopes")
        if not isinstance(scopes, list):
            raise SourceError(
                self.culprit,
                got="a hub that doesn't say what its token may do",
                expected="JupyterHub 2.0 or later",
                fix="Upgrade the hub, or deliver its activity as files.",
            )
        found = [str(scope) for scope in scopes]
        if missing := [scope for scope in SCOPES if scope not in found]:
            # A scope may be limited: list:users!group=students.
            limited = any(scope.split("!")[0] in missing for scope in found)
            raise RefusedError(
                self.culprit,
                got=f"a token without {' and '.join(missing)}" + (" for all users" if limited else ""),
                expected=f"one with the scopes {' and '.join(SCOPES)}, and without a filter on them",
                fix="Give them to the token's role, and restart the hub.",
            )
        return found

    def page(self, walk: Walk, order: str, offset: int, limit: int = LIMIT) -> Page:
        """Users in an order; no more than the hub gives at a time."""
        asked = (("sort", order), ("offset", str(offset)), ("limit", str(limit)))
        check = partial(_is_page, offset=offset, limit=limit)
        return _page(
            walk.get(self.transport, Question(self.transport.url("hub/api/users"), asked, accept=PAGES, check=check))
        )

    def pages(self, walk: Walk, order: str) -> Iterator[Page]:
        """Page by page to the end. Each begins with the last user of the one before, if nobody moved meanwhile.

        Addresses are made here: the one that an answer names as the next may be another server's.

        Raises:
            SourceError: there is no end, or pages of one user each.
        """
        page = self.page(walk, order, 0)
        yield page
        most = GROWTH * page.total // max(page.limit - 1, 1) + SPARE_PAGES
        count = 1
        while page.end < page.total:
            if page.total > MOST_USERS or count >= most:
                raise SourceError(
                    self.culprit,
                    got=f"a list of {page.total:,} users after {count:,} pages",
                    expected="one that ends",
                    fix="Nothing of it is taken. Look what answers at the address in kpi.toml.",
                )
            if page.limit < 2:
                raise SourceError(
                    self.culprit,
                    got="one user at a time",
                    expected="at least two, so that pages can overlap",
                    fix="Set c.JupyterHub.api_page_max_limit higher; 200 is its default.",
                )
            page = self.page(walk, order, page.end - 1)
            yield page
            count += 1

    def all_users(self, walk: Walk) -> list[Page]:
        """All users, by id: who becomes active stays in place, and who is new comes last.

        Raises:
            SourceError: however often it is read, the list doesn't hold still, or isn't as long as it says.
        """
        for _ in range(READINGS):
            pages = self._read_by_id(walk)
            if pages and len(_names(pages)) == pages[-1].total:
                return pages
        raise SourceError(
            self.culprit,
            got=f"a list of users in which some moved or were missing, each of the {READINGS} times that it was read",
            expected="one that holds still meanwhile, of as many users as it says",
            fix="Perhaps many users are being deleted just now: the next run reads it again. "
            "c.JupyterHub.api_page_max_limit makes pages larger, and so fewer.",
        )

    def _read_by_id(self, walk: Walk) -> list[Page] | None:
        """All pages; None: somebody was deleted meanwhile, so that others moved up and may have been missed."""
        pages: list[Page] = []
        for page in self.pages(walk, BY_ID):
            if pages and [user.name for user in page.users[:1]] != [user.name for user in pages[-1].users[-1:]]:
                return None
            pages.append(page)
        return pages

    def active_since(self, walk: Walk, since: datetime) -> list[Page] | None:
        """Who was active since then, newest first; None: the list doesn't tell, and all users must be read.

        Who becomes active meanwhile moves to the front, and others down: they are seen twice, and none is missed.
        """
        pages: list[Page] = []
        for page in self.pages(walk, NEWEST_FIRST):
            if not page.is_newest_first or (pages and not _goes_on(page, pages)):
                return None
            pages.append(page)
            if page.users and page.users[-1].active_at < since:
                return pages
        return pages if len(_names(pages)) == pages[-1].total else None


class Users(NamedParts):
    """The users of several hubs. Pages: `<cluster>/<hub>/<hash>.json`."""

    def __init__(self, source: str, configured: HubActivityJupyterHub, tools: Tools) -> None:
        self.sweep_days, self.at_once = configured.sweep_days, configured.at_once
        self._hubs = {hub.part: Hub(source, hub, tools) for hub in configured.hubs}

    def parts(self, walk: Walk) -> list[str]:  # noqa: ARG002
        """The hubs."""
        return list(self._hubs)

    def quota(self) -> int | None:
        return None

    def close(self) -> None:
        for hub in self._hubs.values():
            hub.transport.close()

    def fetch(self, walk: Walk) -> Fetched:
        """Lands who was active since the last fetch, and now and then all users."""
        hub = self._hubs[walk.part]
        version, _ = hub.version(walk)
        hub.scopes(walk)
        since = self._since(walk) if _sorts(version) else None
        pages, is_all = _read(hub, walk, since)
        if pages[-1].reply.received_at - pages[0].reply.received_at > TOO_LONG:
            pages, is_all = _read(hub, walk, since)
        folder = f"{quote(hub.configured.cluster, safe='')}/{quote(hub.configured.hub, safe='')}"
        for page in pages:
            walk.land(named_by_content(folder, page.reply), page.reply, len(page.users))
        swept = walk.started_at.date().isoformat() if is_all else walk.cursor["swept"]
        first = min([day for day in (_day(walk.cursor.get("first")), _first_day(pages)) if day], default=None)
        cursor: Cursor = {"newest": _newest(pages), "swept": swept, "first": first.isoformat() if first else None}
        return Fetched(cursor, union(walk.covered, _day_seen(pages)), first)

    def _since(self, walk: Walk) -> datetime | None:
        """Who was active before this is known; None: everybody is to be read."""
        newest, swept = walk.cursor.get("newest"), walk.cursor.get("swept")
        if not isinstance(newest, str) or not isinstance(swept, str):
            return None
        is_due = (walk.started_at.date() - date.fromisoformat(swept)).days >= self.sweep_days
        return None if is_due else datetime.fromisoformat(newest) - OVERLAP

    def examine(self, walk: Walk) -> Iterator[Seen]:
        for part, hub in self._hubs.items():
            try:
                for seen in _look(hub, walk):
                    yield Seen(seen.state, f"{part}: {seen.words}")
            except KpiError as error:
                yield Seen("problem", f"{part}: {error}")


def _read(hub: Hub, walk: Walk, since: datetime | None) -> tuple[list[Page], bool]:
    """Pages of those who were active since then, or of all; and whether it is all."""
    pages = hub.active_since(walk, since) if since else None
    return (hub.all_users(walk), True) if pages is None else (pages, False)


def _look(hub: Hub, walk: Walk) -> Iterator[Seen]:
    version, reply = hub.version(walk)
    scopes = hub.scopes(walk)
    first = hub.page(walk, NEWEST_FIRST, 0, 1)
    newest = _newest([first])
    active = "none was ever active" if newest is None else f"the newest activity on {newest[:16].replace('T', ' ')} UTC"
    yield Seen(
        "ok",
        f"JupyterHub {version}; the token is valid and its scopes suffice; {first.total:,} user(s)"
        + (f", {active}" if _sorts(version) else ""),
    )
    if not _sorts(version):
        yield Seen(
            "note", f"all users are read each time: only JupyterHub {SORTS_SINCE} and later tell the newest first"
        )
    if more := [scope for scope in scopes if not scope.startswith(READS)]:
        shown = ", ".join(more[:SHOWN_SCOPES]) + (", ..." if len(more) > SHOWN_SCOPES else "")
        yield Seen("note", f"the token may do more than it needs ({shown}): {' and '.join(SCOPES)} suffice")
    server, ours = reply.server_time, reply.received_at
    if server is not None and abs(server - ours) > CLOCKS_DIFFER:
        words = f"its clock says {server:%Y-%m-%d %H:%M} UTC, and ours {ours:%Y-%m-%d %H:%M}: set the one that is wrong"
        yield Seen("note", words)


def _sorts(version: str) -> bool:
    major = re.match(r"\d+", version)
    return major is not None and int(major[0]) >= SORTS_SINCE


def _goes_on(page: Page, pages: Sequence[Page]) -> bool:
    """Whether nobody is missed between a list that is newest first and its next page: it begins with somebody who was
    seen, or who has become active since."""
    last = pages[-1].users[-1]
    return bool(page.users) and (page.users[0].name in _names(pages) or page.users[0].active_at > last.active_at)


def _names(pages: Sequence[Page]) -> set[str]:
    return set().union(*(page.names for page in pages))


def _newest(pages: Sequence[Page]) -> str | None:
    """When somebody was last active; at the latest when the hub was asked: who is active later was not seen."""
    active = [user.active_at for page in pages for user in page.users if user.active_at > NEVER]
    return min(max(active), pages[0].asked_from).isoformat() if active else None


def _first_day(pages: Sequence[Page]) -> date | None:
    """The first day that these pages say something of: who was last active long ago, and not who was again since."""
    return min((user.active_at.date() for page in pages for user in page.users if user.active_at > NEVER), default=None)


def _day(text: JsonValue) -> date | None:
    return date.fromisoformat(text) if isinstance(text, str) else None


def _day_seen(pages: Sequence[Page]) -> Days:
    """The day that these pages show: the last to end before they were asked for, unless another has ended meanwhile.

    Of the days before it they show only who wasn't active again.
    """
    asked_from, asked_until = min(page.asked_from for page in pages), max(page.asked_until for page in pages)
    day = (asked_from - SETTLES).date() - ONE
    next_day_ends = datetime.combine(day + 2 * ONE, time(), UTC)
    return span(day, day) if asked_until <= next_day_ends else ()


def _a_version(reply: Reply) -> None:
    an_object()(reply)
    if not isinstance(reply.json().get("version"), str):
        raise BadAnswerError("no version: not what JupyterHub answers there")


def _is_page(reply: Reply, offset: int, limit: int) -> None:
    """Checks that an answer is the page that was asked for."""
    an_object("items")(reply)
    page = _page(reply)
    if page.offset != offset or not 1 <= page.limit <= limit:
        raise BadAnswerError("another page than was asked for")
    if len(page.users) != max(0, min(page.limit, page.total - page.offset)):
        raise BadAnswerError("another number of users on the page than it says")


def _page(reply: Reply) -> Page:
    found = reply.json()
    place = found.get("_pagination")
    numbers = [place.get(key) for key in ("offset", "limit", "total")] if isinstance(place, dict) else [None]
    if not all(isinstance(number, int) and number >= 0 for number in numbers):
        raise BadAnswerError("no _pagination, or without its numbers")
    return Page(reply, tuple(_user(item) for item in found["items"]), *numbers)


def _user(item: JsonValue) -> User:
    if not isinstance(item, dict) or not isinstance(item.get("name"), str):
        raise BadAnswerError("somebody without a name")
    try:
        active = item["last_activity"]
        return User(str(item["name"]), NEVER if active is None else _moment(active))
    except (KeyError, ValueError, OverflowError):
        raise BadAnswerError("somebody of whom it doesn't say when last active") from None


def _moment(value: JsonValue) -> datetime:
    if not isinstance(value, str):
        raise ValueError
    found = datetime.fromisoformat(value)
    return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)
