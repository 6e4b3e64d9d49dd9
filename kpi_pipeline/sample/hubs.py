"""The hubs of the simulated organisation and what the registry says of each, version by version.

Never here: users, activity, files. What happens to a hub (renamed, closed, brought back) is in `_STORIES`.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta, timezone
from itertools import pairwise
from random import Random
from typing import Final

from kpi_pipeline.sample.dice import dice, pick, weighted, whole
from kpi_pipeline.sample.period import Period

CLUSTERS: Final = (
    ("aurora", "gcp"),
    ("northcoast", "aws"),
    ("meridian-edu", "gcp"),
    ("tidewater", "azure"),
    ("highdesert", "aws"),
    ("lakeside", "kubeconfig"),
    ("sunstone-edu", "gcp"),
    ("greenfield", "aws"),
    ("polaris", "azure"),
    ("riverbend", "gcp"),
    ("saltmarsh", "kubeconfig"),
    ("openatlas", "gcp"),
)
COURSES: Final = (
    *("biology", "stat101", "workshop", "physics", "maps", "econ", "data8", "chem", "linguistics", "astro"),
    *(
        "summer-school",
        "ocean",
        "highmem",
        "gpu",
        "climate",
        "genomics",
        "cs50",
        "history",
        "neuro",
        "robotics",
    ),
    *("energy", "soil", "health", "geo", "math110", "textmining", "policy", "hydro", "bootcamp", "ecology"),
)
RESEARCH: Final = frozenset({"ocean", "highmem", "gpu", "climate", "genomics", "neuro", "soil", "hydro", "astro"})
OTHER: Final = frozenset({"workshop", "summer-school", "bootcamp", "policy"})
PLACES: Final = (
    *("north-coast", "meridian", "tidewater", "high-desert", "lakeside", "sunstone", "greenfield", "polar"),
    *("riverbend", "saltmarsh", "open-atlas", "red-canyon", "silver-lake", "west-harbour", "two-rivers"),
)
INSTITUTIONS: Final = ("university", "college", "research-lab", "data-school")
# Names that a careless reader of CSV, a careless page or a spreadsheet would break on.
AWKWARD_NAMES: Final = (
    'The "Wet Lab" Hub',
    "Statistics, Maps & <b>More</b>",
    "Žitná škola \u2013 データ",
    "O'Neill Commons; second floor",
    "=SUM(A1:A9) Hub",
)
OFFSETS_MINUTES: Final = (0, 0, 330, -420, 60, 570)
# The two clusters (by position) whose people log in at one place.
SHARED_ISSUER: Final = {1: "login.northcoast.example", 2: "login.northcoast.example"}
BINDERS: Final = {0: "binder", 3: "maps-binder", 5: "lessons-binder"}
FULL_CAST: Final = 20  # from so many hubs on there are binder hubs and an `r-staging`


@dataclass(frozen=True)
class Version:
    """What the registry says of a hub during [valid_from, valid_to)."""

    valid_from: datetime
    valid_to: datetime | None
    provider: str
    display_name: str
    domain: str
    helm_chart: str
    hubspot_deal_id: str
    communities: tuple[str, ...]
    hub_type: str

    @property
    def first_day(self) -> date:
        """The first UTC day of which the version has any moment."""
        return self.valid_from.astimezone(UTC).date()

    @property
    def last_day(self) -> date:
        """The last such day: the end is not in: one that ends at midnight has nothing of that day."""
        if self.valid_to is None:
            return date.max
        return (self.valid_to.astimezone(UTC) - timedelta(microseconds=1)).date()

    def covers(self, when: date) -> bool:
        return self.first_day <= when <= self.last_day


@dataclass(frozen=True)
class Hub:
    """One hub and its whole history; versions are in the order of time and never overlap."""

    cluster: str
    name: str
    issuer: str
    identity_issuer: str  # as the registry writes it: empty when the issuer is the cluster itself
    kind: str  # production, staging or binder
    size: float  # how likely people are to have it as their home
    silent_from: int | None  # the day from which it has no users any more, though it stays in service
    versions: tuple[Version, ...]

    @property
    def hub_id(self) -> str:
        return f"{self.cluster}/{self.name}"

    def on(self, when: date) -> Version | None:
        """The version that counts for a day, the last one in effect on it; None when out of service."""
        return next((version for version in reversed(self.versions) if version.covers(when)), None)

    def service(self, period: Period) -> bytes:
        """1 for each day of the period on which the hub is in service."""
        return bytes(self.on(period.date_of(day)) is not None for day in range(period.days))


@dataclass(frozen=True)
class _Draft:
    """A hub while its story is being told: the spans in service, and the changes that fall into them."""

    cluster_index: int
    hub: Hub
    spans: tuple[tuple[datetime, datetime | None], ...]
    changes: tuple[tuple[datetime, dict[str, object]], ...] = ()


def make_hubs(seed: int, count: int, period: Period) -> tuple[Hub, ...]:
    """All hubs, by hub_id."""
    places = _places(seed, count)
    drafts = [_draft(seed, index, place, period) for index, place in enumerate(places)]
    drafts = _with_communities(drafts, communities=max(2, count * 7 // 12))
    drafts = _with_stories(seed, drafts, period)
    drafts = _with_a_moved_cluster(seed, drafts, period)
    return tuple(sorted((_finish(draft) for draft in drafts), key=lambda hub: hub.hub_id))


def broken_hub(hubs: tuple[Hub, ...]) -> Hub:
    """The hub whose telemetry is broken for a month."""
    return max((hub for hub in hubs if hub.name == "prod"), key=lambda hub: hub.hub_id)


# -- which hubs there are --------------------------------------------------------------------------


def _places(seed: int, count: int) -> list[tuple[int, str]]:
    """(cluster, hub name) of each: every cluster has `prod`, most `staging`; the rest are courses, labs."""
    rng = dice(seed, "places")
    clusters = max(1, count // 5)
    places = [(cluster, "prod") for cluster in range(clusters)]
    places += [(cluster, "staging") for cluster in range(clusters) if cluster % 6 != 4]
    if count >= FULL_CAST:
        places += [(cluster, name) for cluster, name in BINDERS.items() if cluster < clusters]
        places += [(4 % clusters, "r-staging")]
    places = places[:count]
    weights = [1 / (2 + cluster) for cluster in range(clusters)]
    taken = [0] * clusters
    while len(places) < count:
        cluster = weighted(rng, weights)
        if taken[cluster] < len(COURSES):
            places.append((cluster, COURSES[(cluster * 3 + taken[cluster]) % len(COURSES)]))
            taken[cluster] += 1
    return places


def _cluster(index: int) -> tuple[str, str]:
    if index < len(CLUSTERS):
        return CLUSTERS[index]
    return f"campus-{index + 1}", ("gcp", "aws", "azure", "kubeconfig")[index % 4]


def _kind(name: str) -> str:
    if name.endswith("staging"):
        return "staging"
    return "binder" if name.endswith("binder") else "production"


def _hub_type(name: str, rng: Random) -> str:
    if _kind(name) != "production" or name in OTHER:
        return "other"
    if name in RESEARCH:
        return "research"
    return "education" if name != "prod" else pick(rng, ("education", "education", "research"))


def _draft(seed: int, index: int, place: tuple[int, str], period: Period) -> _Draft:
    """A hub that started well before the period, is in service for ever, and has no story yet."""
    rng = dice(seed, "hub", index)
    cluster_index, name = place
    cluster, provider = _cluster(cluster_index)
    start = moment(period, -whole(rng, 230, 900), rng)
    spread = rng.random()
    version = Version(
        valid_from=start,
        valid_to=None,
        provider=provider,
        display_name=f"{cluster.replace('-', ' ').title()} {name.replace('-', ' ').title()}",
        domain=f"{name}.{cluster}.example.org",
        helm_chart="binderhub" if _kind(name) == "binder" else pick(rng, ("basehub", "basehub", "daskhub")),
        hubspot_deal_id="" if rng.random() < 0.15 else f"{whole(rng, 10**9, 2 * 10**10):011d}",
        communities=(),
        hub_type=_hub_type(name, rng),
    )
    shared = SHARED_ISSUER.get(cluster_index, "")
    hub = Hub(
        cluster=cluster,
        name=name,
        issuer=shared or cluster,
        identity_issuer=shared,
        kind=_kind(name),
        size=4.0 + 4.0 * spread if name == "prod" else 0.3 + 6.0 * spread * spread,
        silent_from=None,
        versions=(version,),
    )
    return _Draft(cluster_index, hub, spans=((start, None),))


def moment(period: Period, day: int, rng: Random) -> datetime:
    """A moment of a day as somebody somewhere writes it: in one of several offsets, half of them midnight."""
    zone = timezone(timedelta(minutes=pick(rng, OFFSETS_MINUTES)))
    at = time(0, 0) if rng.random() < 0.5 else time(whole(rng, 7, 19), 5 * whole(rng, 0, 11))
    return datetime.combine(period.date_of(day), at, tzinfo=zone)


# -- whom they are run for -------------------------------------------------------------------------


def _community(index: int) -> str:
    """Slugs without end: every place has a university before any has a college."""
    lap, place = divmod(index, len(PLACES))
    round_, institution = divmod(lap, len(INSTITUTIONS))
    slug = f"{PLACES[place]}-{INSTITUTIONS[institution]}"
    return slug if round_ == 0 else f"{slug}-{round_ + 1}"


def _with_communities(drafts: list[_Draft], communities: int) -> list[_Draft]:
    """Production hubs get one community each. Staging and binder hubs serve some that no other hub serves:
    these must not turn up among the communities served or provisioned."""
    served = 0
    done: list[_Draft] = []
    for draft in drafts:
        if draft.hub.kind == "production":
            names: tuple[str, ...] = (_community(served if served < communities else served * 7 % communities),)
            served += 1
        else:
            names = ("open-lessons",) if draft.hub.kind == "binder" else ("pilot-partners",)
        done.append(_first_version(draft, communities=names))
    return done


def _first_version(draft: _Draft, **updates: object) -> _Draft:
    version = replace(draft.hub.versions[0], **updates)  # type: ignore[arg-type]
    return replace(draft, hub=replace(draft.hub, versions=(version,)))


# -- what happens to them --------------------------------------------------------------------------

_Story = Callable[[_Draft, Period, Random], _Draft]


def _change(draft: _Draft, period: Period, fraction: float, rng: Random, **updates: object) -> _Draft:
    change = (moment(period, period.at(fraction), rng), updates)
    return replace(draft, changes=(*draft.changes, change))


def _returns(draft: _Draft, period: Period, rng: Random) -> _Draft:
    """Decommissioned, and brought back a quarter of the period later."""
    begin = draft.spans[0][0]
    away, back = moment(period, period.at(0.30), rng), moment(period, period.at(0.55), rng)
    return replace(draft, spans=((begin, away), (back, None)))


def _renamed(draft: _Draft, period: Period, rng: Random) -> _Draft:
    fraction = 0.15 + 0.7 * rng.random()
    hub = draft.hub
    domain = f"{hub.name}.{hub.cluster}.hubs.example.net"
    name = f"{hub.versions[0].display_name} (new home)"
    return _change(draft, period, fraction, rng, display_name=name, domain=domain)


def _starts(draft: _Draft, period: Period, rng: Random) -> _Draft:
    start = moment(period, period.at(0.08 + 0.7 * rng.random()), rng)
    return replace(draft, spans=((start, None),))


def _retired(draft: _Draft, period: Period, rng: Random) -> _Draft:
    end = moment(period, period.at(0.45 + 0.4 * rng.random()), rng)
    return replace(draft, spans=((draft.spans[0][0], end),))


def _retired_at_midnight(draft: _Draft, period: Period, rng: Random) -> _Draft:
    """At midnight UTC exactly: not in service on that day any more, and last on the one before."""
    day = period.date_of(period.at(0.45 + 0.4 * rng.random()))
    return replace(draft, spans=((draft.spans[0][0], datetime.combine(day, time(0, 0), tzinfo=UTC)),))


def _short_lived(draft: _Draft, period: Period, rng: Random) -> _Draft:
    """Created on a Monday and closed on the Friday of the same week."""
    day = period.at(0.62)
    monday = day - period.date_of(day).weekday()
    india, pacific = timezone(timedelta(minutes=330)), timezone(timedelta(minutes=-420))
    begin = datetime.combine(period.date_of(monday), time(9, 0), tzinfo=india)
    end = datetime.combine(period.date_of(monday + 4), time(16, 30), tzinfo=pacific)
    busy = replace(draft.hub, size=2.0)
    return replace(draft, hub=busy, spans=((begin, end),))


def _new_community(draft: _Draft, period: Period, rng: Random) -> _Draft:
    return _change(draft, period, 0.35, rng, communities=("coastal-consortium",))


def _other_community(draft: _Draft, period: Period, rng: Random) -> _Draft:
    """To a community that exists: it has one hub more, and the old one perhaps none."""
    return _change(draft, period, 0.70, rng, communities=(_community(0),))


def _new_type(draft: _Draft, period: Period, rng: Random) -> _Draft:
    other = "education" if draft.hub.versions[0].hub_type == "research" else "research"
    return _change(draft, period, 0.50, rng, hub_type=other)


def _silent(draft: _Draft, period: Period, rng: Random) -> _Draft:
    """In service to the end, without a single user in the last 60 days."""
    del rng
    quiet = min(60, period.days // 3)
    return replace(draft, hub=replace(draft.hub, silent_from=period.days - quiet))


def _two_communities(draft: _Draft, period: Period, rng: Random) -> _Draft:
    del period
    own = draft.hub.versions[0].communities
    guest = next(c for c in (_community(whole(rng, 1, 5)), _community(0)) if c not in own)
    return _first_version(draft, communities=(*own, guest))


# One story per production hub, the most telling first: a small organisation gets as many as it has hubs.
_STORIES: Final[tuple[_Story, ...]] = (
    *(_returns, _renamed, _starts, _new_community, _retired, _short_lived, _new_type, _silent),
    *(_two_communities, _two_communities, _other_community, _retired_at_midnight),
    *(_starts, _starts, _starts, _starts, _starts, _renamed, _renamed, _renamed),
)


def _with_stories(seed: int, drafts: list[_Draft], period: Period) -> list[_Draft]:
    """Each story to a hub of its own, `prod` spared: there, everything else is to be seen undisturbed."""
    done = list(drafts)
    cast = [i for i, draft in enumerate(drafts) if draft.hub.kind == "production" and draft.hub.name != "prod"]
    for number, (index, story) in enumerate(zip(cast, _STORIES, strict=False)):
        done[index] = story(done[index], period, dice(seed, "story", number))
    for index, name in zip(reversed(cast), AWKWARD_NAMES, strict=False):
        done[index] = _first_version(done[index], display_name=name)
    return done


def _with_a_moved_cluster(seed: int, drafts: list[_Draft], period: Period) -> list[_Draft]:
    """One whole cluster moves to another provider, all of its hubs at one moment."""
    moved, target = 7, "gcp"
    return [
        _change(draft, period, 0.42, dice(seed, "moved cluster"), provider=target)
        if draft.cluster_index == moved
        else draft
        for draft in drafts
    ]


# -- from a story to the registry's versions -------------------------------------------------------


def _finish(draft: _Draft) -> Hub:
    versions: list[Version] = []
    for begin, end in draft.spans:
        cuts = [at for at, _ in draft.changes if begin < at and (end is None or at < end)]
        edges: list[datetime | None] = [begin, *sorted(cuts), end]
        for since, until in pairwise(edges):
            assert since is not None
            versions.append(_version(draft, since, until))
    return replace(draft.hub, versions=tuple(versions))


def _version(draft: _Draft, since: datetime, until: datetime | None) -> Version:
    """The first attributes with every change that had come by then. The end is written in UTC, the beginning
    of the next version in its own offset: one moment, two spellings."""
    version = draft.hub.versions[0]
    for at, updates in sorted(draft.changes, key=lambda change: change[0]):
        if at <= since:
            version = replace(version, **updates)  # type: ignore[arg-type]
    return replace(version, valid_from=since, valid_to=until and until.astimezone(UTC))
