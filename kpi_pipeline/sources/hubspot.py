"""HubSpot's deals, by its CRM API v3: the whole listing, page by page.

What belongs here: which questions to ask. What never does: the meaning of a property, which raw and staged know.
"""

from collections.abc import Iterator
from datetime import UTC, date
from fnmatch import fnmatchcase
from typing import Any
from urllib.parse import urlsplit

from kpi_pipeline.contracts.money import DEALS
from kpi_pipeline.days import ONE, Days, span
from kpi_pipeline.errors import KpiError, RefusedError, SourceError
from kpi_pipeline.settings.base import Login
from kpi_pipeline.settings.sources import DealsHubSpot
from kpi_pipeline.sources.transport import BadAnswerError, Question, Reply, Transport, an_object, login_headers
from kpi_pipeline.sources.walk import Fetched, NamedParts, Seen, Tools, Walk

PART = "deals"
PER_PAGE = 100
MAX_PAGES = 10_000
# How often to ask for a page that was promised and isn't there.
TRIES = 5
# How many pages `kpi doctor` reads to say what is newest.
LOOKED_AT = 10
PROPERTIES = tuple(column.name for column in DEALS.columns)
CHANGED = "hs_lastmodifieddate"
# HubSpot's data centres name each other in links.
DATA_CENTRES = ".hubapi.com"


class Deals(NamedParts):
    """The deals of one account, as they are now. Pages: `deals/<number>.json`."""

    at_once = 1

    def __init__(self, source: str, configured: DealsHubSpot, tools: Tools) -> None:
        self.source, self.configured = source, configured
        login = Login(token_env=configured.token_env)
        self._transport = Transport(
            source,
            configured.url,
            secret_headers=login_headers(login, tools.secret, f"the private app at {configured.url}"),
            remaining="x-hubspot-ratelimit-daily-remaining",
            is_used_up=_is_of_the_day,
            clock=tools.clock,
            limits=tools.limits,
        )

    def parts(self, walk: Walk) -> list[str]:  # noqa: ARG002
        return [PART]

    def quota(self) -> int | None:
        return self._transport.remaining

    def close(self) -> None:
        self._transport.close()

    def fetch(self, walk: Walk) -> Fetched:
        """Lands all deals. A listing of nothing is refused where there was something: it would empty the pipeline."""
        before, deals, now = walk.cursor.get("deals"), 0, walk.started_at
        for number, reply in enumerate(self._pages(walk, PROPERTIES), 1):
            rows = len(reply.json()["results"])
            deals += rows
            now = min(now, reply.server_time or now)
            walk.land(f"deals/{number:04}.json", reply, rows)
        if before and not deals:
            raise SourceError(
                f"source {self.source}: {self.configured.url}",
                got="not one deal",
                expected=f"some of the {before} of the last time",
                fix="Look whether the private app may still read deals. The last listing is kept.",
            )
        return Fetched({"deals": deals}, _covered(walk.covered, now.astimezone(UTC).date() - ONE))

    def _pages(self, walk: Walk, properties: tuple[str, ...]) -> Iterator[Reply]:
        """The pages of the listing. HubSpot's cursors go by the deals' ids, so what changes under way moves nothing."""
        after: str | None = None
        cursors: set[str] = set()
        seen: set[str] = set()
        for _ in range(MAX_PAGES):
            reply = self._page(walk, properties, after, seen)
            yield reply
            seen |= _ids(reply)
            after = self._after(reply)
            if after is None:
                return
            if after in cursors:
                raise self._endless("cursors that go in a circle")
            cursors.add(after)
        raise self._endless(f"more than {MAX_PAGES:,} pages")

    def _page(self, walk: Walk, properties: tuple[str, ...], after: str | None, seen: set[str]) -> Reply:
        """A page. One that another has promised brings something new: else deals would be missing in silence."""
        asked = (
            ("limit", str(PER_PAGE)),
            ("archived", "false"),
            ("properties", ",".join(properties)),
            *((("after", after),) if after is not None else ()),
        )
        question = Question(self._transport.url("crm/v3/objects/deals"), asked, check=_a_page)
        for _ in range(TRIES):
            reply = walk.get(self._transport, question)
            if after is None or not _ids(reply) <= seen:
                return reply
        raise self._endless("nothing new on a page that the one before it promised")

    def _after(self, reply: Reply) -> str | None:
        """The cursor of the next page. Its link is looked at, but never followed."""
        following = (reply.json().get("paging") or {}).get("next")
        if following is None:
            return None
        link = following.get("link")
        if isinstance(link, str) and not (_is_hubspot(link) and _is_hubspot(self.configured.url)):
            self._transport.check_place(link)
        return str(following["after"])

    def _endless(self, got: str) -> SourceError:
        return SourceError(
            f"source {self.source}: {self.configured.url}",
            got=got,
            expected="a listing that ends",
            fix="Nothing of it is taken; the last listing is kept. Look what answers there.",
        )

    def examine(self, walk: Walk) -> Iterator[Seen]:
        try:
            yield self._newest(walk)
        except KpiError as error:
            needs = " A private app needs the scope crm.objects.deals.read." if "status 403" in error.got else ""
            yield Seen("problem", f"{error}{needs}")
            return
        for what, look in (("properties", self._missing_properties), ("stages", self._stages)):
            try:
                yield from look(walk)
            except RefusedError:
                yield Seen("note", f"which {what} deals have can't be seen without the scope crm.schemas.deals.read")
            except KpiError as error:
                yield Seen("problem", str(error))

    def _newest(self, walk: Walk) -> Seen:
        deals, changes = 0, []
        for number, reply in enumerate(self._pages(walk, (CHANGED,)), 1):
            deals += len(reply.json()["results"])
            changes += [deal["properties"].get(CHANGED) or deal["updatedAt"] for deal in reply.json()["results"]]
            if number == LOOKED_AT:
                break
        left = f"; {self.quota()} requests of today are left" if self.quota() is not None else ""
        if not deals:
            return Seen("note", f"{self.configured.url} answers, and accepts the token; there is no deal{left}")
        more = "at least " if deals >= LOOKED_AT * PER_PAGE else ""
        newest = max(changes)[:16].replace("T", " ")
        return Seen("ok", f"{self.configured.url}: {more}{deals} deals, the newest change is of {newest} UTC{left}")

    def _missing_properties(self, walk: Walk) -> Iterator[Seen]:
        """HubSpot leaves out in silence what an account doesn't have."""
        found = {one["name"] for one in self._results(walk, "crm/v3/properties/deals", "name")}
        needed = {column.name for column in DEALS.columns if not column.optional}
        if missing := sorted(needed - found):
            yield Seen("problem", f"deals have no property {', '.join(missing)}, without which none can be counted")
        if missing := sorted(set(PROPERTIES) - needed - found):
            yield Seen("note", f"deals have no property {', '.join(missing)}: create it, or it stays empty")
        if not set(PROPERTIES) - found:
            yield Seen("ok", "deals have all properties that are read")

    def _stages(self, walk: Walk) -> Iterator[Seen]:
        """Stages that HubSpot counts as won or lost and kpi.toml doesn't: their ids are what the API gives."""
        asked = self.configured
        for pipeline in self._results(walk, "crm/v3/pipelines/deals", "stages"):
            for stage in pipeline["stages"]:
                told = stage.get("metadata") or {}
                if told.get("isClosed") != "true":
                    continue
                key = "lost" if told.get("probability") in (None, "", "0", "0.0") else "won"
                if not any(fnmatchcase(stage["id"].lower(), glob.lower()) for glob in getattr(asked, key)):
                    yield Seen(
                        "note", f"stage {stage['label']!r} is {key} in HubSpot: name its id {stage['id']!r} in `{key}`"
                    )

    def _results(self, walk: Walk, path: str, key: str) -> list[dict[str, Any]]:
        def check(reply: Reply) -> None:
            an_object("results")(reply)
            if not all(isinstance(one, dict) and key in one for one in reply.json()["results"]):
                raise BadAnswerError(f"something without {key}")

        reply = walk.get(self._transport, Question(self._transport.url(path), check=check))
        return list(reply.json()["results"])


def _ids(reply: Reply) -> set[str]:
    return {deal["id"] for deal in reply.json()["results"]}


def _a_page(reply: Reply) -> None:
    """Checks that it is a page of deals: not empty if another follows."""
    an_object("results")(reply)
    found = reply.json()
    for deal in found["results"]:
        if not isinstance(deal, dict) or not isinstance(deal.get("id"), str):
            raise BadAnswerError("a deal without an id")
        if not isinstance(deal.get("properties"), dict):
            raise BadAnswerError("a deal without properties")
    paging = found.get("paging")
    if paging is None:
        return
    following = paging.get("next") if isinstance(paging, dict) else paging
    if following is None:
        return
    if not isinstance(following, dict) or not isinstance(following.get("after"), str) or not following["after"]:
        raise BadAnswerError("a next page without a cursor")
    if not found["results"]:
        raise BadAnswerError("an empty page, though another follows")


def _is_of_the_day(reply: Reply) -> bool:
    try:
        found = reply.json()
    except BadAnswerError:
        return False
    return isinstance(found, dict) and found.get("policyName") == "DAILY"


def _is_hubspot(url: str) -> bool:
    parts = urlsplit(url)
    return parts.scheme == "https" and (parts.hostname or "").endswith(DATA_CENTRES)


def _covered(before: Days, last: date) -> Days:
    """A listing holds all that there is: it makes up for nights that failed."""
    first = min([begin for begin, _ in before] + [last])
    return span(first, max([end for _, end in before] + [last]))
