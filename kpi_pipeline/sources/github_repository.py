"""One repository of GitHub, fetched stream by stream: which listings are asked for, from where on and up to where.

What never belongs here: what a field means (raw reads that), and how pages of a listing follow one another.
"""

import json
from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from fnmatch import fnmatchcase
from hashlib import sha256
from itertools import chain
from typing import NamedTuple, Self

from pydantic import BaseModel

from kpi_pipeline.days import span, union
from kpi_pipeline.errors import SourceError
from kpi_pipeline.settings.sources import GitHubApi, Stream
from kpi_pipeline.sources.github_pages import Listing, Page, Row, changed_since, moment, pages, question
from kpi_pipeline.sources.transport import BadAnswerError, Reply, Transport, an_object
from kpi_pipeline.sources.walk import Fetched, Walk, named_by_content

DAY, SECOND = timedelta(days=1), timedelta(seconds=1)
# What changed shortly before the newest change that was seen is read again: listings may lag behind.
OVERLAP = timedelta(minutes=5)
PER_PAGE = ("per_page", "100")
# A pull request is long, and few change in a night.
FEW_PER_PAGE = ("per_page", "30")
ALL = (("state", "all"),)
# What a thing that was listed may be when it is asked for: there, moved, or gone.
THERE, MOVED, GONE = 200, 301, (404, 410)
ANY_OF_THESE = frozenset({THERE, MOVED, *GONE})
# How often to list all issues, where some slipped from one page to the other, and how many may do so in the end.
SWEEPS, FEW = 3, 10
# No repository has as many by far; they are counted through.
MOST_NUMBERS = 2_000_000
# A deployment that doesn't end is asked for its statuses as long as this.
PATIENCE = timedelta(days=30)
ENDED = frozenset({"success", "failure", "error", "inactive"})
# Runs go on changing for some days. Of a filtered listing GitHub gives a thousand rows, and says nothing of the others.
RUNS_CHANGE, MOST_RUNS = timedelta(days=3), 1000
DAY_BY_DAY = timedelta(days=7)
CHANGING = {"number": int, "updated_at": datetime}

Span = tuple[int, int]


class _Thing(NamedTuple):
    """What is remembered of an issue or pull request during a walk; there may be very many."""

    number: int
    updated_at: datetime
    is_pull: bool
    digest: str

    @classmethod
    def of(cls, row: Row) -> Self:
        # Both ends of a pull request hold a whole repository, with counts that go up by themselves.
        said = json.dumps({key: row[key] for key in row if key not in ("head", "base")}, sort_keys=True)
        digest = sha256(said.encode()).hexdigest()[:16]
        return cls(row["number"], moment(row["updated_at"]), row.get("pull_request") is not None, digest)


class _Changes(BaseModel):
    """Up to when changes were seen, less the overlap; and what was seen within it: number to content."""

    until: datetime
    recent: dict[int, str] = {}

    def is_news(self, thing: _Thing) -> bool:
        """Whether it says something else than the last time."""
        return self.recent.get(thing.number) != thing.digest

    def news(self, things: Iterable[_Thing]) -> set[int]:
        """The numbers of those that say something else."""
        return {thing.number for thing in things if self.is_news(thing)}

    def moved_on(self, newest: datetime, things: Iterable[_Thing]) -> "_Changes":
        """The same, now that these were seen."""
        until = max(self.until, newest - OVERLAP)
        return _Changes(
            until=until, recent={thing.number: thing.digest for thing in things if thing.updated_at >= until}
        )


class _Numbers(BaseModel):
    """Of issues and pull requests: the highest number at the last sweep, the numbers below it that none has, and those
    above it that were seen since."""

    highest: int
    gaps: list[Span]
    seen: list[Span] = []


class _Deployed(BaseModel):
    """The newest deployment that was seen, and those that hadn't ended then, with their beginning."""

    newest: int = 0
    open: dict[int, datetime] = {}


class _Cursor(BaseModel):
    """How far a repository has been fetched.

    Args:
        id: GitHub's id of the repository, whatever its name.
        since: the day from which on everything was fetched.
        asked: what was fetched, and whether as an own repository.
        swept_at: when the last sweep was.
        pages: how many pages a listing had that is landed under stable names, where it had several.
    """

    id: int | None = None
    since: date
    asked: tuple[str, ...] = ()
    swept_at: datetime | None = None
    issues: _Changes | None = None
    numbers: _Numbers | None = None
    pulls: _Changes | None = None
    deployments: _Deployed = _Deployed()
    runs_until: date | None = None
    pages: dict[str, int] = {}


def is_own(configured: GitHubApi, part: str) -> bool:
    """Whether a repository is the organisation's own."""
    return any(fnmatchcase(part, glob.lower()) for glob in configured.own)


def streams_of(configured: GitHubApi, part: str) -> tuple[Stream, ...]:
    """What is fetched of a repository."""
    return configured.streams if is_own(configured, part) else configured.upstream_streams


def ask_about(walk: Walk, transport: Transport, part: str) -> Reply:
    """What GitHub says of a repository.

    Raises:
        SourceError: there is none that the login may see, or it has another name now.
    """
    reply = walk.get(transport, question(transport, f"repos/{part}", check=_a_repository))
    name = reply.json()["full_name"].lower()
    if name != part:
        raise SourceError(
            f"source {transport.source}: {part}",
            got=f"a repository that is called {name} now",
            expected="its present name",
            fix="Write that name into kpi.toml; what was landed under the old one goes on counting, under the new one.",
        )
    return reply


class Repository:
    """One walk through a repository."""

    def __init__(self, walk: Walk, transport: Transport, configured: GitHubApi) -> None:
        self.walk, self.transport, self.configured, self.part = walk, transport, configured, walk.part
        self.is_own, self.streams = is_own(configured, self.part), streams_of(configured, self.part)
        self.cursor = self._where_to_go_on()
        self.begins = _start(self.cursor.since)
        self.today = walk.started_at.astimezone(UTC).date()

    def fetch(self) -> Fetched:
        """Lands what is new of every stream; details of what has changed come after the listings that say so."""
        about = ask_about(self.walk, self.transport, self.part)
        is_due = self._is_due()
        self._identify(about, is_due)
        # Without the issues' tab there are none, and asking for them is refused.
        issues = self._issues(is_due) if "issues" in self.streams and about.json().get("has_issues") else set()
        pulls = self._pulls() if "pulls" in self.streams else set()
        if "timeline" in self.streams:
            self._details("timeline", issues if self.is_own else issues | pulls, "issues/{}/timeline")
        if "reviews" in self.streams:
            self._details("reviews", pulls, "pulls/{}/reviews")
        if "releases" in self.streams:
            self._land_whole("releases", self._listing("releases", PER_PAGE, fields={"id": int}))
        if "deployments" in self.streams:
            self._deployments()
        if "runs" in self.streams:
            self._runs()
        if is_due:
            self.cursor.swept_at = self.walk.started_at
        now = min(self.walk.started_at, about.server_time or self.walk.started_at)
        covered = union(self.walk.covered, span(self.cursor.since, now.astimezone(UTC).date() - DAY))
        return Fetched(self.cursor.model_dump(mode="json", exclude_defaults=True), covered)

    def _where_to_go_on(self) -> _Cursor:
        """The cursor; where kpi.toml asks for earlier days than it has seen, or for more of them, all begins anew."""
        since, asked = self.configured.since, ("own" if self.is_own else "upstream", *self.streams)
        if "since" not in self.walk.cursor:
            return _Cursor(since=since, asked=asked)
        cursor = _Cursor.model_validate(self.walk.cursor)
        if cursor.since <= since and set(asked) <= set(cursor.asked):
            return cursor.model_copy(update={"asked": asked})
        first = min(since, cursor.since)
        return _Cursor(id=cursor.id, since=first, asked=asked, numbers=cursor.numbers, pages=cursor.pages)

    def _is_due(self) -> bool:
        """Whether to sweep: by days, as no night begins at the same second."""
        swept = self.cursor.swept_at
        return swept is None or self.today - swept.date() >= self.configured.sweep_days * DAY

    def _identify(self, about: Reply, is_due: bool) -> None:
        """Lands whose name this is: the same repository may have had another one."""
        identity = about.json()["id"]
        if self.cursor.id not in (None, identity):
            raise SourceError(
                f"source {self.transport.source}: {self.part}",
                got="another repository than the one that was fetched under this name",
                expected="one repository under one name",
                fix="Name it in leave_out, or give it a name that none had before: their issues can't be told apart.",
            )
        self.cursor.id = identity
        if is_due:
            self.walk.land(f"{self.part}/repository/{identity}.json", about)

    # Issues, and pull requests, which are issues too

    def _issues(self, is_due: bool) -> set[int]:
        """Lands issues that changed; a sweep lands all, and what became of those that are gone.

        Returns the numbers of those that changed: of own repositories without pull requests, since nothing is counted
        that their timelines tell; of others with them, for the sake of comments.
        """

        def listing_since(since: datetime) -> Listing:
            params = (*ALL, ("sort", "updated"), ("direction", "asc"), PER_PAGE, ("since", _stamp(since)))
            return replace(self._listing("issues", *params, fields=CHANGING), rises_by="updated_at")

        before = self.cursor.issues or _Changes(until=self.begins)
        seen: dict[int, _Thing] = {}
        for page in changed_since(self.walk, self.transport, listing_since, before.until):
            things = [_Thing.of(row) for row in page.rows]
            if before.news(things):
                self._land("issues", page)
            seen.update((thing.number, thing) for thing in things)
        newest = max((thing.updated_at for thing in seen.values()), default=before.until)
        self.cursor.issues = before.moved_on(newest, seen.values())
        if not self.is_own:
            return before.news(seen.values())
        changed = before.news(thing for thing in seen.values() if not thing.is_pull)
        if is_due:
            changed |= self._sweep(seen)
        elif self.cursor.numbers:
            numbers = self.cursor.numbers
            numbers.seen = _spans({*_each(numbers.seen), *(number for number in seen if number > numbers.highest)})
        return changed

    def _sweep(self, seen: Collection[int]) -> set[int]:
        """Lists all issues; numbers without an issue are asked for one by one. Returns issues never heard of before.

        Numbers are dense: but for discussions, one that nothing has belonged to what was deleted or transferred. The
        first sweep knows nothing of what was there before it.
        """
        before = self.cursor.numbers
        heard = {*seen, *(_each(before.seen) if before else ())}
        known = set(_each(before.gaps)) if before else None
        listing = self._listing("issues", *ALL, ("sort", "created"), ("direction", "asc"), PER_PAGE, fields=CHANGING)
        unheard: set[int] = set()
        lost: list[int] = []
        for _ in range(SWEEPS):
            listed: set[int] = set()
            for page in pages(self.walk, self.transport, listing):
                if page.rows:
                    self._land("issues", page)
                listed.update(row["number"] for row in page.rows)
                unheard.update(row["number"] for row in page.rows if row.get("pull_request") is None)
            highest = max((*listed, *heard, before.highest if before else 0))
            if highest > MOST_NUMBERS:
                raise BadAnswerError(f"an issue with the number {highest:,}")
            missing = set(range(1, highest + 1)) - listed
            if known is None:
                known = missing - heard
            lost = self._lost_among(sorted(missing - known), known)
            if not lost:
                break
        if len(lost) >= FEW:
            raise SourceError(
                f"source {self.transport.source}: {self.part}",
                got=f"a listing of all issues that lacks some, after {SWEEPS} attempts",
                expected="every issue that GitHub has",
                fix="Nothing of it is taken; the next run begins with it anew.",
            )
        self.cursor.numbers = _Numbers(highest=highest, gaps=_spans(missing - set(lost)))
        return {number for number in unheard - heard if before and number > before.highest}

    def _lost_among(self, numbers: Iterable[int], known: set[int]) -> list[int]:
        """Lands what became of issues that aren't listed any more, and adds them to those that are known to be gone.

        Returns those that are there all the same: they slipped from one page to another while we read.
        """
        lost: list[int] = []
        for number in numbers:
            path = f"repos/{self.part}/issues/{number}"
            asked = question(self.transport, path, statuses=ANY_OF_THESE, check=an_object())
            reply = self.walk.get(self.transport, asked)
            if reply.status == THERE:
                lost.append(number)
            else:
                known.add(number)
                self.walk.land(f"{self.part}/gone/{number}.json", reply)
            if len(lost) >= FEW:
                break
        return lost

    def _pulls(self) -> set[int]:
        """Lands pull requests that changed, the newest first, as there is no other way to end early; their numbers.

        One that changes meanwhile moves to the front, where it was read already: it is newer than all on the first
        page were then, so the next night finds it.
        """
        is_first = self.cursor.pulls is None
        before = self.cursor.pulls or _Changes(until=self.begins)
        per_page = PER_PAGE if is_first else FEW_PER_PAGE
        listing = self._listing("pulls", *ALL, ("sort", "updated"), ("direction", "desc"), per_page, fields=CHANGING)
        seen: dict[int, _Thing] = {}
        newest: datetime | None = None
        for page in pages(self.walk, self.transport, listing):
            recent = [thing for thing in map(_Thing.of, page.rows) if thing.updated_at >= before.until]
            if before.news(recent):
                self._land("pulls", page)
            seen.update((thing.number, thing) for thing in recent if thing.number not in seen)
            newest = newest or max((thing.updated_at for thing in recent), default=before.until)
            if len(recent) < len(page.rows):
                break
        self.cursor.pulls = before.moved_on(newest or before.until, seen.values())
        return before.news(seen.values())

    def _details(self, stream: Stream, numbers: Iterable[int], path: str) -> None:
        for number in sorted(numbers):
            self._land_whole(f"{stream}/{number}", self._listing_of_one(path.format(number)))

    # Deployments and runs

    def _deployments(self) -> None:
        """Lands deployments down to the newest that was known, and the statuses of those that haven't ended."""
        state = self.cursor.deployments
        begun = dict(state.open)
        listing = self._listing("deployments", PER_PAGE, fields={"id": int, "created_at": datetime})
        for page in pages(self.walk, self.transport, listing):
            fresh = {row["id"]: moment(row["created_at"]) for row in page.rows if row["id"] > state.newest}
            fresh = {identity: at for identity, at in fresh.items() if at >= self.begins}
            if fresh:
                self._land("deployments", page)
            begun |= fresh
            if len(fresh) < len(page.rows):
                break
        asked = sorted(begun.items()) if "statuses" in self.streams else []
        still_open = {identity: at for identity, at in asked if self._goes_on(identity, at)}
        self.cursor.deployments = _Deployed(newest=max((state.newest, *begun)), open=still_open)

    def _goes_on(self, deployment: int, begun: datetime) -> bool:
        """Lands the statuses of a deployment; whether to ask again."""
        listing = self._listing_of_one(f"deployments/{deployment}/statuses", {"state": str})
        statuses = self._land_whole(f"statuses/{deployment}", listing)
        if statuses is None or any(row["state"] in ENDED for row in statuses):
            return False
        return self.walk.started_at - begun < PATIENCE

    def _runs(self) -> None:
        """Lands runs: the past in windows as large as may be, the last days one by one, since they are read again."""
        until = self.cursor.runs_until
        first = max(self.cursor.since, until - RUNS_CHANGE) if until else self.cursor.since
        recent = first if self.today - first <= DAY_BY_DAY else self.today - RUNS_CHANGE
        days = [recent + n * DAY for n in range((self.today - recent).days + 1)]
        again = {_window(_start(day), _start(day + DAY) - SECOND) for day in days}
        self.cursor.pages = {at: n for at, n in self.cursor.pages.items() if at in again or not at.startswith("runs/")}
        if first < recent:
            self._runs_of(_start(first), _start(recent) - SECOND)
        if days and self._any_runs(_start(days[0]), _start(days[-1] + DAY) - SECOND):
            for day in days:
                self._runs_of(_start(day), _start(day + DAY) - SECOND)
        self.cursor.runs_until = max(self.today, until or self.today)

    def _any_runs(self, first: datetime, last: datetime) -> bool:
        return next(pages(self.walk, self.transport, self._runs_between(first, last))).total > 0

    def _runs_of(self, first: datetime, last: datetime) -> None:
        """Lands the runs of a window; of one with too many, those of its halves. GitHub says how many there are."""
        listing = self._runs_between(first, last)
        begun = pages(self.walk, self.transport, listing)
        page = next(begun)
        if page.total >= MOST_RUNS and first < last:
            middle = (first + (last - first) // 2).replace(microsecond=0)
            self._runs_of(first, middle)
            self._runs_of(middle + SECOND, last)
            return
        found: Iterable[Page] = chain([page], begun)
        for _ in range(SWEEPS):
            rows = self._land_whole(_window(first, last), listing, found) or []
            if len({row["id"] for row in rows}) >= page.total:
                return
            # One was deleted meanwhile, and another one slipped to a page that was read.
            found = pages(self.walk, self.transport, listing)

    def _runs_between(self, first: datetime, last: datetime) -> Listing:
        created = ("created", f"{_stamp(first)}..{_stamp(last)}")
        return replace(self._listing("actions/runs", created, PER_PAGE, fields={"id": int}), rows_at="workflow_runs")

    # What all streams share

    def _listing(self, path: str, *params: tuple[str, str], fields: dict[str, type]) -> Listing:
        return Listing(question(self.transport, f"repos/{self.part}/{path}", *params), fields)

    def _listing_of_one(self, path: str, fields: dict[str, type] | None = None) -> Listing:
        """What one object has, which may be gone by now."""
        listing = self._listing(path, PER_PAGE, fields=fields or {})
        return replace(listing, question=replace(listing.question, statuses=ANY_OF_THESE))

    def _land(self, stream: Stream, page: Page) -> None:
        """A page of a listing that is read again and again: what it says is its name."""
        self.walk.land(named_by_content(f"{self.part}/{stream}", page.reply), page.reply, len(page.rows))

    def _land_whole(self, folder: str, listing: Listing, found: Iterable[Page] | None = None) -> list[Row] | None:
        """All pages of a listing, each in the place of what it was before; None: what it is of has moved or is gone."""
        rows: list[Row] = []
        count = 0
        for count, page in enumerate(found or pages(self.walk, self.transport, listing), 1):
            self.walk.land(f"{self.part}/{folder}/{count:04d}.json", page.reply, len(page.rows))
            rows += page.rows
        if not count:
            return None
        for number in range(count + 1, self.cursor.pages.pop(folder, 1) + 1):
            # A page that isn't there any more is answered as an empty one.
            params = (*listing.question.params, ("page", str(number)))
            reply = self.walk.get(self.transport, replace(listing.question, params=params, check=listing.check))
            if reply.status == THERE:
                self.walk.land(f"{self.part}/{folder}/{number:04d}.json", reply)
        if count > 1:
            self.cursor.pages[folder] = count
        return rows


def _spans(numbers: Iterable[int]) -> list[Span]:
    """Numbers as spans, both ends included."""
    spans: list[Span] = []
    for number in sorted(numbers):
        if spans and spans[-1][1] == number - 1:
            spans[-1] = (spans[-1][0], number)
        else:
            spans.append((number, number))
    return spans


def _each(spans: Iterable[Span]) -> Iterator[int]:
    """The numbers of spans, one by one."""
    for first, last in spans:
        yield from range(first, last + 1)


def _window(first: datetime, last: datetime) -> str:
    return f"runs/{first:%Y%m%dT%H%M%S}-{last:%Y%m%dT%H%M%S}"


def _start(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)


def _stamp(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _a_repository(reply: Reply) -> None:
    found = reply.json()
    if not isinstance(found, dict) or type(found.get("id")) is not int or not isinstance(found.get("full_name"), str):
        raise BadAnswerError("no repository")
