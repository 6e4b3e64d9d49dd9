"""Freshdesk's API v2: tickets, their conversations, satisfaction ratings, and what became of tickets that vanished.

What belongs here: which questions to ask, and in which order. What never does: what a ticket's fields mean, which raw
and staged know.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from pydantic import SecretStr

from kpi_pipeline.days import ONE, span, union
from kpi_pipeline.errors import KpiError, RefusedError, SourceError
from kpi_pipeline.settings.sources import TicketsFreshdesk
from kpi_pipeline.sources.transport import (
    BadAnswerError,
    Check,
    Question,
    Reply,
    Transport,
    a_list,
    an_object,
    basic_login,
    shown_url,
)
from kpi_pipeline.sources.walk import Cursor, Fetched, NamedParts, Seen, Tools, Walk, named_by_content

PART = "account"
PER_PAGE = 100
# Freshdesk refuses pages after this one.
LAST_PAGE = 300
# Of one listing; more are no help desk's.
MAX_PAGES = 20_000
# How often to ask for a page that was promised and isn't there.
TRIES = 5
# Freshdesk lists from a copy of its database, which may lag behind.
OVERLAP = timedelta(hours=1)
# Ratings are listed by when they were given, and may be changed later.
RATINGS_OVERLAP = timedelta(days=14)
# Spam and deleted tickets are in no other listing than their own.
TICKETS, SPAM, DELETED = "tickets", "spam", "deleted"
# Tickets that may not be seen, and such as are gone, have no conversation.
WITHOUT = frozenset({403, 404})
ANYWAY = frozenset({200, *WITHOUT})
Version = tuple[int, datetime]


@dataclass
class _State:
    """How far the account is read, as the cursor keeps it.

    Args:
        since: the first day of which changes are read; kpi.toml may move it back, not forward.
        updated: by listing, from which change on it is to be read.
        rated: from when on ratings are.
        known: the tickets that are listed, as far as we know; spam and deleted ones aren't among them.
        pages: of conversations of more than one page: how many there are.
        swept: when all was listed last.
    """

    since: date
    updated: dict[str, datetime]
    rated: datetime
    known: set[int] = field(default_factory=set)
    pages: dict[int, int] = field(default_factory=dict)
    swept: date | None = None

    @classmethod
    def read(cls, cursor: Mapping[str, Any], since: date) -> "_State":
        """The state; all is to be listed where kpi.toml asks for earlier tickets than before."""
        begin = datetime.combine(since, time(), UTC)
        if not cursor:
            return cls(since, {TICKETS: begin, SPAM: begin, DELETED: begin}, begin)
        before = date.fromisoformat(cursor["since"])
        return cls(
            since=min(since, before),
            updated={name: _moment(text) for name, text in cursor["updated"].items()},
            rated=_moment(cursor["rated"]),
            known={ticket for first, last in cursor["known"] for ticket in range(first, last + 1)},
            pages={int(ticket): pages for ticket, pages in cursor["pages"].items()},
            swept=None if since < before else date.fromisoformat(cursor["swept"]),
        )

    @property
    def begin(self) -> datetime:
        return datetime.combine(self.since, time(), UTC)

    def cursor(self) -> Cursor:
        """The state as JSON. Tickets are numbered one by one, so runs of them keep it short."""
        return {
            "since": self.since.isoformat(),
            "updated": {name: _text(at) for name, at in self.updated.items()},
            "rated": _text(self.rated),
            "known": [[first, last] for first, last in _runs(self.known)],
            "pages": {str(ticket): pages for ticket, pages in sorted(self.pages.items())},
            "swept": self.swept.isoformat() if self.swept else None,
        }


@dataclass(frozen=True)
class _Listing:
    """What one listing had: tickets with their latest change, and when the server says that it was asked."""

    changed: dict[int, datetime]
    server_time: datetime


class Tickets(NamedParts):
    """The tickets of one account. Its one part is the account."""

    at_once = 1

    def __init__(self, source: str, configured: TicketsFreshdesk, tools: Tools) -> None:
        self.source, self.configured = source, configured
        key = tools.secret(configured.key_env, f"the API key of {configured.url}")
        # Any password will do.
        headers = basic_login(key, SecretStr("X"))
        self._transport = Transport(
            source, f"{configured.url}/api/v2", secret_headers=headers, clock=tools.clock, limits=tools.limits
        )

    def parts(self, walk: Walk) -> list[str]:  # noqa: ARG002
        return [PART]

    def quota(self) -> int | None:
        return self._transport.remaining

    def close(self) -> None:
        self._transport.close()

    def fetch(self, walk: Walk) -> Fetched:
        """Lands what changed; every `sweep_days` all tickets are listed, and those that aren't any more looked for."""
        state = _State.read(walk.cursor, self.configured.since)
        today = walk.started_at.astimezone(UTC).date()
        sweeps = state.swept is None or today - state.swept >= self.configured.sweep_days * ONE
        listed = {name: self._list(walk, name, state.begin if sweeps else at) for name, at in state.updated.items()}
        tickets = listed[TICKETS].changed
        changed = [n for n, at in sorted(tickets.items()) if at >= state.updated[TICKETS] or n not in state.known]
        notes = [
            *self._land_conversations(walk, changed, state.pages),
            *self._land_ratings(walk, state.begin if sweeps else state.rated, state),
        ]
        state.known |= set(tickets)
        state.known -= {*listed[SPAM].changed, *listed[DELETED].changed}
        if sweeps:
            notes += self._look_for(walk, state.known - set(tickets), state.known)
            state.swept = today
        for name, found in listed.items():
            # A change that is yet to come must not hide those until then.
            newest = min(max(found.changed.values(), default=state.begin), found.server_time)
            state.updated[name] = max(state.updated[name], newest - OVERLAP)
        now = min(walk.started_at, listed[TICKETS].server_time)
        covered = union(walk.covered, span(state.since, now.astimezone(UTC).date() - ONE))
        return Fetched(state.cursor(), covered, notes=tuple(notes))

    def _list(self, walk: Walk, name: str, begin: datetime) -> _Listing:
        """Lands a listing, the oldest change first: each page begins where the last one ended.

        A page that moves on drops what it has read, so tickets that change under way can't push others out of sight.
        Only where a whole page changed at one moment further pages of it are asked for; as those do shift, they are
        read again until they bring nothing new.
        """
        seen: set[Version] = set()
        server_time = None
        anchor, page, is_promised, is_repeated, brought = begin, 1, False, False, False
        for _ in range(MAX_PAGES):
            question = self._listing(name, anchor, page)
            reply, versions = self._page(walk, question, seen if is_promised and not is_repeated else None)
            server_time = server_time or reply.server_time or reply.received_at
            if versions:
                folder = TICKETS if name == TICKETS else f"{TICKETS}/{name}"
                walk.land(named_by_content(folder, reply), reply, len(versions))
            brought |= not versions <= seen
            seen |= versions
            moments = {at for _, at in versions} or {anchor}
            newest = max(moments)
            is_promised, goes_on = self._goes_on(reply, len(versions))
            if goes_on and moments == {anchor}:
                page += 1
            elif page > 1 and brought:
                page, is_repeated, brought = 1, True, False
            elif goes_on:
                # A page of one moment is the first page of that moment: the second comes next.
                is_whole = len(moments) == 1
                anchor, page, is_repeated, brought = newest, 1 + is_whole, False, is_whole
            else:
                return _Listing(_latest(seen), server_time)
            if page > LAST_PAGE:
                raise self._wrong(
                    f"more than {LAST_PAGE} pages of tickets that changed at one moment, {_text(anchor)}",
                    "fewer: Freshdesk shows no further pages",
                    "Ask Freshdesk's support how to list them.",
                )
        raise self._wrong(f"more than {MAX_PAGES:,} pages of tickets", "an end", "Look what answers there.")

    def _listing(self, name: str, begin: datetime, page: int) -> Question:
        asked = (
            *(() if name == TICKETS else (("filter", name),)),
            ("updated_since", _text(begin)),
            ("order_by", "updated_at"),
            ("order_type", "asc"),
            ("include", "stats"),
            ("per_page", str(PER_PAGE)),
            ("page", str(page)),
        )
        return Question(self._transport.url("tickets"), asked, check=_records("updated_at", begin))

    def _land_conversations(self, walk: Walk, tickets: Sequence[int], pages: dict[int, int]) -> Iterator[str]:
        """Lands the conversations of tickets whole: what is gone of one that shrank is replaced by an empty page."""
        refused = 0
        for ticket in tickets:
            found = self._land_conversation(walk, ticket, pages.pop(ticket, 1))
            refused += found is None
            if found is not None and found > 1:
                pages[ticket] = found
        if refused and refused == len(tickets):
            raise RefusedError(
                f"source {self.source}: {shown_url(self._transport.url('tickets/.../conversations'))}",
                got=f"refusals for all of {refused} conversation(s)",
                expected="the key of an agent who may read the conversations of all tickets",
                fix="Use the key of an agent with global access.",
            )
        if refused:
            yield f"{refused} conversation(s) may not be read with this key; Freshdesk's own stamps count instead."

    def _land_conversation(self, walk: Walk, ticket: int, before: int) -> int | None:
        """How many pages it has; None: it may not be read."""
        count = 0
        for page, reply in self._pages(walk, f"tickets/{ticket}/conversations", (), "created_at", ANYWAY, before):
            if reply.status == 403:
                return None
            if reply.status == 200:
                walk.land(f"conversations/{ticket}/{page:04}.json", reply, len(reply.json()))
                count = page if page == 1 or reply.json() else count
        return count

    def _land_ratings(self, walk: Walk, begin: datetime, state: _State) -> Iterator[str]:
        asked = (("created_since", _text(begin)),)
        newest = state.rated
        for _, reply in self._pages(walk, "surveys/satisfaction_ratings", asked, "created_at", frozenset({200, 403})):
            if reply.status == 403:
                yield f"Satisfaction ratings were left out: {_why_not(reply)}."
                return
            ratings = _versions(reply, "created_at")
            if ratings:
                walk.land(named_by_content("satisfaction_ratings", reply), reply, len(ratings))
            newest = max([newest, *(at - RATINGS_OVERLAP for _, at in ratings)])
        state.rated = newest

    def _look_for(self, walk: Walk, missing: set[int], known: set[int]) -> Iterator[str]:
        """Asks for tickets that are in no listing any more, one by one; lands what says that one is out."""
        unknown = 0
        for ticket in sorted(missing):
            is_listed = self._is_still_there(walk, ticket)
            if is_listed is None:
                unknown += 1
            elif not is_listed:
                known.discard(ticket)
        if unknown:
            yield f"{unknown} ticket(s) are no longer listed, and the key may not see why; they count as before."

    def _is_still_there(self, walk: Walk, ticket: int) -> bool | None:
        """Whether it ought to be listed; None: we may not know. Archived tickets are listed nowhere, and do count."""
        asked = (("include", "stats"),)
        reply = self._ask_for(walk, f"tickets/{ticket}", asked)
        if reply.status == 403:
            return None
        if reply.status == 200:
            found = reply.json()
            if found.get("archived"):
                return False
            walk.land(named_by_content(f"ticket/{ticket}", reply), reply, 1)
            return not (found.get("spam") or found.get("deleted"))
        archived = self._ask_for(walk, f"tickets/archived/{ticket}", ())
        if archived.status == 403 and not _lacks_feature(archived):
            return None
        if archived.status != 200:
            walk.land(f"gone/{ticket}.json", reply, 1)
        return False

    def _ask_for(self, walk: Walk, path: str, asked: tuple[tuple[str, str], ...]) -> Reply:
        return walk.get(self._transport, Question(self._transport.url(path), asked, statuses=ANYWAY, check=_a_ticket))

    def _pages(
        self,
        walk: Walk,
        path: str,
        asked: tuple[tuple[str, str], ...],
        moment: str,
        statuses: frozenset[int],
        at_least: int = 1,
    ) -> Iterator[tuple[int, Reply]]:
        """The pages of a list, with their numbers, up to the first that isn't a page; `at_least` so many are asked."""
        seen: set[Version] = set()
        is_promised = False
        for page in range(1, LAST_PAGE + 1):
            params = (*asked, ("per_page", str(PER_PAGE)), ("page", str(page)))
            question = Question(self._transport.url(path), params, statuses=statuses, check=_records(moment))
            reply, versions = self._page(walk, question, seen if is_promised else None, moment)
            yield page, reply
            if reply.status != 200:
                return
            seen |= versions
            is_promised, goes_on = self._goes_on(reply, len(versions))
            if not goes_on and page >= at_least:
                return
        raise self._wrong(f"more than {LAST_PAGE} pages of {path}", "an end", "Look what answers there.")

    def _page(
        self, walk: Walk, question: Question, seen: set[Version] | None, moment: str = "updated_at"
    ) -> tuple[Reply, set[Version]]:
        """A page. With `seen` it was promised: it has to bring something new."""
        for _ in range(TRIES):
            reply = walk.get(self._transport, question)
            versions = _versions(reply, moment) if reply.status == 200 else set()
            if seen is None or reply.status != 200 or not versions <= seen:
                return reply, versions
        raise self._wrong(
            f"nothing new on a page that the one before it promised: {shown_url(question.address)}",
            "the records that it speaks of",
            "The next run reads the list anew; look whether Freshdesk is well.",
        )

    def _goes_on(self, reply: Reply, rows: int) -> tuple[bool, bool]:
        """Whether a page says that another follows, and whether one has to be asked for: not all proxies say so."""
        if reply.next_url is None:
            return False, rows >= PER_PAGE
        self._transport.check_place(reply.next_url)
        return True, True

    def _wrong(self, got: str, expected: str, fix: str) -> SourceError:
        return SourceError(f"source {self.source}: {self.configured.url}", got=got, expected=expected, fix=fix)

    def examine(self, walk: Walk) -> Iterator[Seen]:
        looks = (self._look_at_agent, self._look_at_tickets, self._look_at_ratings)
        for look in looks:
            try:
                yield from look(walk)
            except KpiError as error:
                yield Seen("problem", str(error))
                return

    def _look_at_agent(self, walk: Walk) -> Iterator[Seen]:
        """Whose key it is, without naming anybody: tickets that its agent may not see would be missing in silence."""
        question = Question(self._transport.url("agents/me"), statuses=frozenset({200, 403}), check=_an_agent)
        reply = walk.get(self._transport, question)
        left, total = self._transport.remaining, reply.headers.get("x-ratelimit-total", "").partition(".")[0]
        limit = f"; {left} of {total} requests of this minute are left" if left is not None and total else ""
        yield Seen("ok", f"{self.configured.url} answers, and accepts the key{limit}")
        scope = reply.json().get("ticket_scope") if reply.status == 200 else None
        if scope is None:
            yield Seen("note", "Freshdesk doesn't say which tickets the key's agent may see; it has to be all of them")
        elif scope != 1:
            yield Seen(
                "problem",
                "the key's agent may see only the tickets of its groups, or its own: give it global access, "
                "or all others are missing",
            )

    def _look_at_tickets(self, walk: Walk) -> Iterator[Seen]:
        begin = datetime.combine(self.configured.since, time(), UTC)
        asked = (
            ("updated_since", _text(begin)),
            ("order_by", "updated_at"),
            ("order_type", "desc"),
            ("include", "stats"),
            ("per_page", "1"),
        )
        question = Question(self._transport.url("tickets"), asked, check=_records("updated_at", begin))
        versions = _versions(walk.get(self._transport, question))
        if not versions:
            yield Seen("note", f"no ticket changed since {self.configured.since}; look at `since` in kpi.toml")
            return
        ticket, at = max(versions, key=lambda version: version[1])
        yield Seen("ok", f"tickets: may be read, the newest change is of {at:%Y-%m-%d %H:%M} UTC")
        _, reply = next(self._pages(walk, f"tickets/{ticket}/conversations", (), "created_at", ANYWAY))
        if reply.status == 403:
            yield Seen("problem", f"conversations: {_why_not(reply)}")
        else:
            yield Seen("ok", "conversations: may be read")

    def _look_at_ratings(self, walk: Walk) -> Iterator[Seen]:
        asked = (("created_since", _text(datetime.combine(self.configured.since, time(), UTC))),)
        question = Question(
            self._transport.url("surveys/satisfaction_ratings"),
            (*asked, ("per_page", "1")),
            statuses=frozenset({200, 403}),
            check=_records("created_at"),
        )
        reply = walk.get(self._transport, question)
        if reply.status == 403:
            yield Seen("note", f"satisfaction ratings are left out: {_why_not(reply)}")
        else:
            yield Seen("ok", f"satisfaction ratings: may be read{'' if reply.json() else '; there is none yet'}")


def _records(moment: str, not_before: datetime | None = None) -> Check:
    """A check that an answer is a list of records with an id and a moment, none of it before what was asked for."""

    def check(reply: Reply) -> None:
        if reply.status != 200:
            return
        a_list(reply)
        if not_before and any(at < not_before for _, at in _versions(reply, moment)):
            raise BadAnswerError("records from before the moment that was asked for")

    return check


def _versions(reply: Reply, moment: str = "updated_at") -> set[Version]:
    """The records of a page: id, and when it was changed or made.

    Raises:
        BadAnswerError: one has none.
    """
    try:
        return {(int(record["id"]), _moment(record[moment])) for record in reply.json()}
    except (KeyError, TypeError, ValueError) as error:
        raise BadAnswerError(f"a record without id or {moment}") from error


def _a_ticket(reply: Reply) -> None:
    if reply.status == 200:
        an_object()(reply)
        if not isinstance(reply.json().get("id"), int):
            raise BadAnswerError("no ticket")


def _an_agent(reply: Reply) -> None:
    if reply.status == 200:
        an_object()(reply)


def _latest(versions: set[Version]) -> dict[int, datetime]:
    return dict(sorted(versions))


def _said(reply: Reply) -> Mapping[str, Any]:
    """What a refusal says, if it says anything."""
    try:
        found = reply.json()
    except BadAnswerError:
        return {}
    return found if isinstance(found, dict) else {}


def _lacks_feature(reply: Reply) -> bool:
    return _said(reply).get("code") == "require_feature"


def _why_not(reply: Reply) -> str:
    if _lacks_feature(reply):
        return "the account's plan doesn't have them (status 403)"
    return "the role of the key's agent may not see them (status 403)"


def _runs(numbers: set[int]) -> Iterator[tuple[int, int]]:
    """Runs of consecutive numbers, both ends included."""
    first = last = None
    for number in sorted(numbers):
        if first is not None and last is not None and number > last + 1:
            yield first, last
            first = None
        first, last = number if first is None else first, number
    if first is not None and last is not None:
        yield first, last


def _moment(text: str) -> datetime:
    """In whole seconds, since that is how Freshdesk is asked."""
    found = datetime.fromisoformat(text).replace(microsecond=0)
    return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)


def _text(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
