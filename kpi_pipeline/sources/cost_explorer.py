"""AWS Cost Explorer: the bill by day, account and the tag that names the hub. Every request costs a cent.

What belongs here: which months are asked for, and whether an answer is whole. What never does: whose cost it is.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property, partial
from typing import Any

from kpi_pipeline.days import ONE, last_over, single, span
from kpi_pipeline.errors import KpiError, SourceError
from kpi_pipeline.settings.sources import CloudCostsExplorer
from kpi_pipeline.sources.aws import AwsRefusedError, Client, Session, account
from kpi_pipeline.sources.transport import BadAnswerError, Reply
from kpi_pipeline.sources.walk import Cursor, Fetched, Made, NamedParts, Seen, Tools, Walk

PART = "cost explorer"
# Costs of a day are there a day later.
LATE = timedelta(days=1)
HISTORY_MONTHS = 12
# Days that `kpi doctor` asks for.
LOOKED_AT = 7
# A month has some pages: a thousand accounts and tags on thirty days are not many more.
MAX_PAGES = 500
# How often to begin a month anew whose pages don't fit together.
WALKS = 3
AMOUNT = re.compile(r"[+-]?[0-9]+([.][0-9]+)?([eE][+-]?[0-9]{1,3})?")
# AWS's words for a page that can't be had any more, since it belongs to an older answer.
PAGE_IS_GONE = ("InvalidNextTokenException", "RequestChangedException")
# Day, account and tag.
Group = tuple[str, str, str]


class _MovedError(Exception):
    """The pages of a month don't fit together, and why."""


@dataclass(frozen=True)
class _Page:
    """An answer, and what it says."""

    reply: Reply

    @cached_property
    def content(self) -> dict[str, Any]:
        found: dict[str, Any] = self.reply.json()
        return found

    @property
    def periods(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.content["ResultsByTime"]
        return found

    @property
    def days(self) -> set[str]:
        return {period["TimePeriod"]["Start"] for period in self.periods}

    @property
    def groups(self) -> list[Group]:
        return [
            (period["TimePeriod"]["Start"], *group["Keys"]) for period in self.periods for group in period["Groups"]
        ]

    @property
    def is_estimated(self) -> bool:
        return any(period["Estimated"] for period in self.periods)

    @property
    def next_token(self) -> str | None:
        return self.content.get("NextPageToken") or None


class CostExplorer(NamedParts):
    """The bill of one account, or of all accounts that it pays for. Pages: `<account>/<month>/part-<number>.json`.

    An answer can be grouped by two things. The tag says whose hub it is. The account is the other one, since
    `accounts` of kpi.toml needs it, and services would tell nothing of whose cost it is.
    """

    at_once = 1

    def __init__(self, source: str, configured: CloudCostsExplorer, tools: Tools) -> None:
        self.source, self.configured = source, configured
        session = Session(source, tools, endpoint=configured.endpoint, region=configured.region)
        self._costs, self._identity = Client(session, "ce"), Client(session, "sts")

    def parts(self, walk: Walk) -> list[str]:  # noqa: ARG002
        """One: a page tells accounts apart."""
        return [PART]

    def fetch(self, walk: Walk) -> Fetched:
        """Lands every month that is new or may still change; a newer answer takes the place of the older one."""
        configured, began = self.configured, walk.started_at.date()
        payer = account(walk, self._identity)
        asked: Cursor = {"account": payer, "tag": configured.hub_tag, "metric": configured.metric}
        # Another question, or another bill: what was landed doesn't answer it.
        known = walk.cursor if {key: walk.cursor.get(key) for key in asked} == asked else {}
        since = configured.since or _day(known.get("since")) or _month_before(began, HISTORY_MONTHS)
        since = since.replace(day=1)
        opens = _month_before(began, configured.months_open - 1)
        final = _texts(known.get("final"))
        for month in _months(since, began - ONE):
            if month >= opens or f"{month:%Y-%m}" not in final:
                is_estimated = self._land_month(walk, payer, month, began)
                if month < opens and not is_estimated:
                    final.add(f"{month:%Y-%m}")
        covered = span(since, last_over(walk.started_at, LATE))
        return Fetched(
            {**asked, "since": since.isoformat(), "final": [*sorted(final)]}, covered, lag_days=LATE.days + 1
        )

    def examine(self, walk: Walk) -> Iterator[Seen]:
        """Asks who we are, which is free, and for the newest days, which costs a cent."""
        try:
            yield Seen("ok", f"AWS accepts the credentials, of account {account(walk, self._identity)}")
        except KpiError as error:
            yield Seen("problem", str(error))
            return
        end = walk.started_at.date()
        try:
            groups = self._page(walk, end - LOOKED_AT * ONE, end, None, 0).groups
        except KpiError as error:
            yield Seen("problem", str(error))
            return
        if not groups:
            yield Seen("note", f"Cost Explorer answers, but knows of no cost within the last {LOOKED_AT} days")
            return
        yield Seen("ok", f"Cost Explorer answers; the newest costs are of {max(day for day, *_ in groups)}")
        if not any(tag.partition("$")[2] for *_, tag in groups):
            yield Seen(
                "note",
                f"no cost of the last {LOOKED_AT} days bears the tag {self.configured.hub_tag!r}: "
                "is it activated as a cost allocation tag, in the account that pays?",
            )

    def quota(self) -> int | None:
        return None

    def close(self) -> None:
        self._costs.close()
        self._identity.close()

    def _land_month(self, walk: Walk, payer: str, month: date, began: date) -> bool:
        """Lands a month up to yesterday, and says whether AWS calls anything of it an estimate."""
        end = min(_month_before(month, -1), began)
        pages = self._whole_month(walk, month, end)
        for number, page in enumerate(pages, start=1):
            walk.land(f"{payer}/{month:%Y-%m}/part-{number:05}.json", page.reply, len(page.groups))
        return any(page.is_estimated for page in pages)

    def _whole_month(self, walk: Walk, month: date, end: date) -> list[_Page]:
        for turn in range(WALKS):
            try:
                return self._pages(walk, month, end, turn)
            except _MovedError as error:
                problem = error
        raise SourceError(
            f"source {self.source}: Cost Explorer, {month:%Y-%m}",
            got=f"{problem}, at the last of {WALKS} attempts",
            expected="every day, and each account and tag of a day once",
            fix="Nothing of the month is taken; the next run asks again.",
        )

    def _pages(self, walk: Walk, month: date, end: date, turn: int) -> list[_Page]:
        pages: list[_Page] = []
        groups: set[Group] = set()
        days: set[str] = set()
        tokens: set[str] = set()
        token: str | None = None
        while token is not None or not pages:
            try:
                page = self._page(walk, month, end, token, turn)
            except AwsRefusedError as error:
                if token is not None and error.code in PAGE_IS_GONE:
                    raise _MovedError("a page that is gone") from None
                raise
            if len(groups | set(page.groups)) < len(groups) + len(page.groups):
                raise _MovedError("the same account and tag of a day twice")
            pages.append(page)
            groups.update(page.groups)
            days |= page.days
            token = page.next_token
            if token in tokens:
                raise _MovedError("pages that go round in a circle")
            if len(pages) >= MAX_PAGES:
                raise SourceError(
                    f"source {self.source}: Cost Explorer, {month:%Y-%m}",
                    got=f"more than {MAX_PAGES} pages",
                    expected="an end",
                    fix="Nothing of it is taken. Is the tag one that names hubs?",
                )
            tokens.update(filter(None, [token]))
        if days != {day.isoformat() for day in single(span(month, end - ONE))}:
            raise _MovedError("days that are missing, or that nobody asked for")
        return pages

    def _page(self, walk: Walk, start: date, end: date, token: str | None, turn: int) -> _Page:
        """A page: the first without a token, others by the token of the one before."""
        asked: dict[str, Any] = {
            "TimePeriod": {"Start": start.isoformat(), "End": end.isoformat()},
            "Granularity": "DAILY",
            "Metrics": [self.configured.metric],
            "GroupBy": [
                {"Type": "DIMENSION", "Key": "LINKED_ACCOUNT"},
                {"Type": "TAG", "Key": self.configured.hub_tag},
            ],
            **({"NextPageToken": token} if token is not None else {}),
        }
        take = partial(_take, tag=self.configured.hub_tag, metric=self.configured.metric, is_first=token is None)
        reply = walk.ask(
            f"GetCostAndUsage {turn} {json.dumps(asked)}",
            lambda: self._costs.ask("get_cost_and_usage", walk.budget, take, **asked),
        )
        return _Page(reply)


def _take(_: dict[str, Any], reply: Reply, *, tag: str, metric: str, is_first: bool) -> Made:
    """The body of an answer as it came, if it is one."""
    found = reply.json()
    periods = found.get("ResultsByTime") if isinstance(found, dict) else None
    if not isinstance(periods, list) or not periods or not all(_is_period(period, tag, metric) for period in periods):
        raise BadAnswerError("no costs by day, account and tag")
    if not is_first and not _Page(reply).groups:
        raise BadAnswerError("an empty page, where another one was announced")
    return Made(reply.body, reply.url, reply.status, reply.headers, reply.received_at)


def _is_period(period: Any, tag: str, metric: str) -> bool:
    match period:
        case {"TimePeriod": {"Start": str(), "End": str()}, "Groups": list(groups), "Estimated": bool()}:
            return all(_is_group(group, tag, metric) for group in groups)
    return False


def _is_group(group: Any, tag: str, metric: str) -> bool:
    match group:
        case {"Keys": [str(), str(value)], "Metrics": dict(metrics)}:
            match metrics.get(metric):
                case {"Amount": str(amount), "Unit": str()}:
                    return value.startswith(f"{tag}$") and AMOUNT.fullmatch(amount) is not None
    return False


def _months(first: date, last: date) -> list[date]:
    """The first days of the months from one day's to another's."""
    months, month = [], first.replace(day=1)
    while month <= last:
        months.append(month)
        month = _month_before(month, -1)
    return months


def _month_before(day: date, months: int) -> date:
    """The first day of the month so many months before a day's."""
    years, month = divmod(day.year * 12 + day.month - 1 - months, 12)
    return date(years, month + 1, 1)


def _day(text: object) -> date | None:
    return date.fromisoformat(text) if isinstance(text, str) else None


def _texts(found: object) -> set[str]:
    return {str(item) for item in found} if isinstance(found, list) else set()
