"""Pages of GitHub's listings, followed until a listing is whole. Which listings there are is no affair of this module.

GitHub numbers pages by offset, or by a cursor of its own where a listing is long; so its header Link is followed as it
stands. Rows move between pages while they are read: what a listing is sorted by decides what can be lost then.
"""

import json
from collections.abc import Callable, Collection, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any
from urllib.parse import urlsplit

from kpi_pipeline.errors import SourceError, UnreachableError
from kpi_pipeline.sources.transport import BadAnswerError, Check, Question, Reply, Transport, any_answer, shown_url
from kpi_pipeline.sources.walk import Walk

Row = dict[str, Any]
ACCEPT = "application/vnd.github+json"
# More than any repository has: a listing without an end is stopped here, if the budget doesn't stop it before.
MOST_PAGES = 20_000
# How often to read rows that share a moment, until they stand still.
PASSES = 5
SECOND = timedelta(seconds=1)
# A row may change while its page is made: it then stands where it was, with the time of its change. Few do at a time.
FEW = 3


@dataclass(frozen=True)
class Listing:
    """What to ask for, and what each row of an answer has.

    Args:
        fields: of each row: a text, a whole number, or a moment.
        rows_at: where the rows are in an answer that is an object; None: it is the list.
        rises_by: the moment by which rows are in order, where that matters.
    """

    question: Question
    fields: Mapping[str, type]
    rows_at: str | None = None
    rises_by: str | None = None

    def rows(self, reply: Reply) -> list[Row]:
        """The rows of an answer.

        Raises:
            BadAnswerError: it is no list of objects, or one lacks a field.
        """
        found = reply.json()
        if self.rows_at is not None:
            if not isinstance(found, dict) or type(found.get("total_count")) is not int:
                raise BadAnswerError("something else where an object with a count belongs")
            found = found.get(self.rows_at)
        if not isinstance(found, list) or not all(isinstance(row, dict) for row in found):
            raise BadAnswerError("something else where a list of objects belongs")
        for row in found:
            for name, kind in self.fields.items():
                _check_field(row, name, kind)
        return found

    def check(self, reply: Reply) -> None:
        """Checks an answer that is a page by itself."""
        if reply.status == 200:
            self.rows(reply)

    def is_in_order(self, rows: Sequence[Row]) -> bool:
        """Whether rows are sorted as they were asked for, but for a few that changed while their page was made."""
        times = [moment(row[self.rises_by]) for row in rows] if self.rises_by else []
        return sum(one > other for one, other in pairwise(times)) <= FEW


@dataclass(frozen=True)
class Page:
    """One answer of a listing."""

    reply: Reply
    rows: list[Row]

    @property
    def is_last(self) -> bool:
        return self.reply.next_url is None

    @property
    def total(self) -> int:
        """How many rows the whole listing has, where answers are objects that say so."""
        return int(self.reply.json()["total_count"])


class _PageCheck:
    """A page in order, with rows where the page before it promised some, and with one that none before it had."""

    def __init__(self, listing: Listing, known: Collection[object], *, promised: bool) -> None:
        self._listing, self._known, self._promised = listing, known, promised
        self.fault: str | None = None

    def __call__(self, reply: Reply) -> None:
        self.fault = None
        if reply.status != 200:
            return
        rows = self._listing.rows(reply)
        if not rows and (self._promised or reply.next_url):
            self.fault = "an empty page in the middle of a listing"
        elif rows and all(_identity(row) in self._known for row in rows):
            self.fault = "a page of rows that were all there before"
        elif not self._listing.is_in_order(rows):
            self.fault = "rows in another order than was asked for"
        if self.fault:
            raise BadAnswerError(self.fault)


def question(
    transport: Transport,
    path: str,
    *params: tuple[str, str],
    statuses: frozenset[int] = frozenset({200}),
    check: Check = any_answer,
) -> Question:
    """A question to GitHub's API."""
    return Question(transport.url(path), params, ACCEPT, statuses, check)


def pages(walk: Walk, transport: Transport, listing: Listing, *, promised: bool = False) -> Iterator[Page]:
    """The pages of a listing, as far as they are asked for; none where the answer is another status than 200.

    Args:
        promised: an earlier answer said that there are rows.

    Raises:
        SourceError: the pages have no end, lead elsewhere, or don't fit together however often they are asked for.
            The walk has to begin anew then: what was answered so far may be what doesn't fit.
    """
    known: set[object] = set()
    asked: set[str] = set()
    while True:
        question = listing.question
        page = _page(walk, transport, listing, known, promised=promised)
        if page is None:
            return
        yield page
        known.update(map(_identity, page.rows))
        following = page.reply.next_url
        if following is None:
            return
        asked.add(question.address)
        transport.check_place(following)
        if _last_folder(following) != _last_folder(question.url):
            raise _misfit(transport, question, f"a next page of another listing, {shown_url(following)}")
        if following in asked:
            raise _misfit(transport, question, f"a next page that was read already, {shown_url(following)}")
        if len(asked) >= MOST_PAGES:
            raise _misfit(transport, question, f"more than {MOST_PAGES:,} pages")
        listing, promised = replace(listing, question=replace(question, url=following, params=())), True


def changed_since(
    walk: Walk, transport: Transport, listing_since: Callable[[datetime], Listing], since: datetime
) -> Iterator[Page]:
    """What changed since a moment, in the order of its last change, `updated_at`.

    Each page begins where the one before it ended in time, not in number: a row that changes meanwhile comes again
    at the end, and none that doesn't can slip from one page to the other.
    """
    promised = False
    for _ in range(MOST_PAGES):
        listing = listing_since(since)
        page = next(pages(walk, transport, listing, promised=promised))
        yield page
        if page.is_last:
            return
        promised, following = True, _continues_at(page)
        if following <= since:
            # Almost all of the page changed at one moment: only here are pages counted.
            found = yield from _standing_still(walk, transport, listing, since)
            if found is None:
                return
            following = found
        since = following
    raise _misfit(transport, listing.question, f"more than {MOST_PAGES:,} pages")


def _standing_still(
    walk: Walk, transport: Transport, listing: Listing, since: datetime
) -> Generator[Page, None, datetime | None]:
    """Pages of rows that share a moment, read until a pass brings nothing new: one that changes leaves a gap behind.

    Returns where to go on; None: the listing ends here.
    """
    known: set[tuple[object, str]] = set()
    for _ in range(PASSES):
        is_news, following = False, None
        for page in pages(walk, transport, listing, promised=True):
            yield page
            rows = {(_identity(row), row["updated_at"]) for row in page.rows}
            is_news = is_news or not rows <= known
            known |= rows
            if not page.is_last and _continues_at(page) > since:
                following = _continues_at(page)
                break
        if not is_news:
            return following
    raise _misfit(transport, listing.question, "rows that never stand still")


def _continues_at(page: Page) -> datetime:
    """From when on the next page has all that this one hasn't: a second early, in case that `since` is exclusive.

    Of the last two rows the earlier time counts: one may have changed while the page was made.
    """
    return min(moment(row["updated_at"]) for row in page.rows[-2:]) - SECOND


def _page(
    walk: Walk, transport: Transport, listing: Listing, known: Collection[object], *, promised: bool
) -> Page | None:
    check = _PageCheck(listing, known, promised=promised)
    try:
        reply = walk.get(transport, replace(listing.question, check=check))
    except UnreachableError:
        if check.fault is not None:
            raise _misfit(transport, listing.question, check.fault) from None
        raise
    return Page(reply, listing.rows(reply)) if reply.status == 200 else None


def _misfit(transport: Transport, question: Question, got: str) -> SourceError:
    return SourceError(
        f"source {transport.source}: {shown_url(question.address)}",
        got=got,
        expected="pages that fit together",
        fix="Nothing of this part is taken; the next run begins with it anew.",
    )


def _identity(row: Row) -> object:
    """Tells rows apart: not every event has an id."""
    return row.get("id") or row.get("sha") or json.dumps(row, sort_keys=True)


def _last_folder(url: str) -> str:
    return urlsplit(url).path.rstrip("/").rpartition("/")[2]


def _check_field(row: Row, name: str, kind: type) -> None:
    value = row.get(name)
    if kind is datetime and isinstance(value, str):
        moment(value)
    elif type(value) is not kind:
        raise BadAnswerError(f"an object without {name!r}, or with something else there")


def moment(text: str) -> datetime:
    """A moment as GitHub writes it.

    Raises:
        BadAnswerError: it is none.
    """
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        found = None
    if found is None or found.tzinfo is None:
        raise BadAnswerError("a moment that is none")
    return found
