"""Days that a live source lacks: what is called missing, and which windows rest on it, compared with plain counting."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from itertools import pairwise

import duckdb
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kpi_pipeline import days as day_sets
from kpi_pipeline.contracts import TABLES
from kpi_pipeline.stages import facts
from kpi_pipeline.warehouse import create_tables, sql

# A leap day is among them.
FIRST = date(2024, 2, 1)
LENGTH = 70
DAY = timedelta(days=1)
DAYS = [FIRST + n * DAY for n in range(LENGTH)]
CLUSTERS = ("coral", "kelp", "sand")
FEW = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])

spans = st.tuples(st.integers(0, LENGTH - 1), st.integers(0, LENGTH - 1)).map(sorted)
hubs = st.lists(
    st.tuples(
        st.sampled_from(CLUSTERS), st.sampled_from(("a", "b")), spans, st.sampled_from(("production", "staging")),
        st.sampled_from(("reef", "lagoon")), st.sampled_from(("education", "research")),
    ),
    min_size=1, max_size=5, unique_by=lambda hub: hub[:2],
)  # fmt: skip
# A part is a cluster or a hub; what is landed of it, as intervals.
parts = st.dictionaries(
    st.sampled_from((*CLUSTERS, "coral/a", "kelp/b")), st.lists(spans, min_size=1, max_size=3), min_size=1
)
delivered = st.sets(st.integers(0, LENGTH - 1), max_size=30)
# The first day that a part has landed anything of, though not all.
touched = st.dictionaries(st.sampled_from((*CLUSTERS, "coral/a", "kelp/b")), st.integers(0, LENGTH - 1))
# What files had delivered, before anybody was asked.
dropped = st.sets(st.tuples(st.sampled_from(CLUSTERS), st.integers(0, LENGTH - 1)), max_size=20)


def intervals(found: list[list[int]]) -> day_sets.Days:
    covered: day_sets.Days = ()
    for first, last in found:
        covered = day_sets.union(covered, day_sets.span(DAYS[first], DAYS[last]))
    return covered


@contextmanager
def warehouse() -> Iterator[duckdb.DuckDBPyConnection]:
    names = (
        "staged.hubs", "raw.parts", "raw.covered_days", "staged.activity_accounting", "facts.active_users",
        "facts.coverage", "facts.missing_activity", "raw.hub_activity",
    )  # fmt: skip
    with duckdb.connect() as con:
        create_tables(con, [TABLES[name] for name in names])
        for day in DAYS:
            con.execute(
                "insert into facts.active_users values (?, 'organisation', 'organisation', 0, 0, 0, 0, 0, 0)", [day]
            )
        yield con


@FEW
@given(hubs=hubs, parts=parts, delivered=delivered, touched=touched, dropped=dropped)
def test_windows_that_rest_on_missing_days(hubs, parts, delivered, touched, dropped) -> None:  # type: ignore[no-untyped-def]
    covered = {part: set(day_sets.single(intervals(found))) for part, found in parts.items()}
    firsts = {
        part: min([*found, *([DAYS[touched[part]]] if part in touched else [])]) for part, found in covered.items()
    }
    begins = min(firsts.values())
    with warehouse() as con:
        for cluster, hub, (first, last), environment, community, hub_type in hubs:
            con.execute(
                "insert into staged.hubs by name select ? as hub_id, ?::date as from_day, ?::date as to_day, ? as "
                "cluster, ? as hub, ? as display_name, ? as environment, 'hub' as kind, ? as hub_type, "
                "[?] as communities, ? as identity_issuer, 'f' as _file, 1 as _row",
                [f"{cluster}/{hub}", DAYS[first], DAYS[last] + DAY, cluster, hub, hub, environment, hub_type, community,
                 cluster],
            )  # fmt: skip
        for part, found in parts.items():
            day = DAYS[touched[part]] if part in touched else None
            con.execute("insert into raw.parts values ('hub_activity', ?, null, true, ?, 0, null, null)", [part, day])
            for first, last in intervals(found):
                con.execute("insert into raw.covered_days values ('hub_activity', ?, ?, ?)", [part, first, last])
        for cluster, n in dropped:
            con.execute(
                "insert into raw.hub_activity by name select ?::date as date, ? as cluster, 'a' as hub, "
                "uuid() as person_key, 'f' as _file, 1 as _row",
                [DAYS[n], cluster],
            )
        for n in delivered:
            con.execute("insert into staged.activity_accounting values (?, 1, 0, 0, 0, 0, 0, 1)", [DAYS[n]])
        facts.cover_days(con)
        found = con.execute(
            "select date, grain, member, clusters, clusters_covered from facts.missing_activity"
        ).fetchall()
        days = con.execute("select date, has_data, is_whole from facts.coverage").fetchall()

    def missing(cluster: str, hub: str, day: date) -> bool:
        of_cluster = [first for part, first in firsts.items() if part.split("/")[0] == cluster]
        if of_cluster and day < min(of_cluster) and (cluster, DAYS.index(day)) in dropped:
            return False
        return day >= begins and not any(day in covered.get(part, ()) for part in (cluster, f"{cluster}/{hub}"))

    # Plainly: for each member, each day of each window, each hub.
    expected = []
    members = {("organisation", "organisation")}
    for cluster, hub, _, environment, community, hub_type in hubs:
        if environment == "production":
            members |= {
                ("cluster", cluster), ("hub", f"{cluster}/{hub}"), ("community", community), ("hub_type", hub_type),
            }  # fmt: skip
    for grain, member in members:
        for end in DAYS:
            clusters: dict[str, bool] = {}
            for cluster, hub, (first, last), environment, community, hub_type in hubs:
                names = {member, "organisation"} & {"organisation"} if grain == "organisation" else {
                    "cluster": {cluster}, "hub": {f"{cluster}/{hub}"}, "community": {community}, "hub_type": {hub_type},
                }[grain]  # fmt: skip
                if environment != "production" or member not in names:
                    continue
                for n in range(30):
                    day = end - n * DAY
                    if begins <= day and DAYS[first] <= day <= DAYS[last]:
                        clusters[cluster] = clusters.get(cluster, False) or missing(cluster, hub, day)
            if any(clusters.values()):
                expected.append((end, grain, member, len(clusters), sum(not gap for gap in clusters.values())))
    assert sorted(found) == sorted(expected)

    known = {DAYS[n] for n in delivered} | set().union(*covered.values())
    gaps = {
        day
        for day in DAYS
        for cluster, hub, (first, last), environment, *_ in hubs
        if environment == "production" and DAYS[first] <= day <= DAYS[last] and missing(cluster, hub, day)
    }
    assert sorted(days) == [(day, day in known, day in known and day not in gaps) for day in DAYS]


@FEW
@given(parts=parts, as_of=st.integers(0, LENGTH - 1), touched=touched, lag=st.integers(0, 9))
def test_missing_days_of_parts(parts, as_of, touched, lag) -> None:  # type: ignore[no-untyped-def]
    """From the first day that anything is landed of, between what is landed, and after it up to the as-of day.

    A part that never was landed lacks all days of its source; one that nobody wants any more lacks none. What lacks of
    the last days, and begins among them, is a lag.
    """
    end = DAYS[as_of]
    with warehouse() as con:
        for part, found in parts.items():
            day = DAYS[touched[part]] if part in touched else None
            con.execute("insert into raw.parts values ('github', ?, null, true, ?, ?, null, null)", [part, day, lag])
            for first, last in intervals(found):
                con.execute("insert into raw.covered_days values ('github', ?, ?, ?)", [part, first, last])
        con.execute("insert into raw.parts values ('github', 'never', null, true, null, 0, 'down', ?)", [DAYS[10]])
        con.execute("insert into raw.parts values ('github', 'gone', null, false, null, 0, 'down', ?)", [DAYS[10]])
        found = con.execute(
            f"select part, unnest(generate_series(first_day, last_day, interval 1 day))::date, is_lag from "
            f"({sql('stages', 'missing_days')})", {"as_of": end},
        ).fetchall()  # fmt: skip
        until = dict(
            con.execute(f"select part, last_day from ({sql('stages', 'parts_covered')})", {"as_of": end}).fetchall()
        )
    covered = {part: {day for day in day_sets.single(intervals(found)) if day <= end} for part, found in parts.items()}
    begun = min((min(days) for days in covered.values() if days), default=None)
    expected: list[tuple[str, date, bool]] = []
    for part, days in {**covered, "never": set()}.items():
        known = [*days, *([DAYS[touched[part]]] if part in touched else [])]
        first = min(known) if known else (begun or end)
        for day in DAYS[: as_of + 1]:
            if day < first or day in days:
                continue
            begins = day
            while begins > first and begins - DAY not in days:
                begins -= DAY
            # Before the first day that is whole there is no lag, however near that is.
            is_early = bool(days) and day < min(days)
            expected.append((part, day, part != "never" and not is_early and begins > end - lag * DAY))
    assert sorted(set(found)) == sorted(expected)
    before = begun - DAY if begun else None
    assert dict(until) == {part: max(days) if days else before for part, days in {**covered, "never": set()}.items()}


@FEW
@given(st.lists(spans, max_size=6), spans)
def test_sets_of_days(found, other) -> None:  # type: ignore[no-untyped-def]
    """Intervals joined as they touch are the same days, in order and apart."""
    covered = intervals(found)
    plain = {day for first, last in found for day in DAYS[first : last + 1]}
    assert set(day_sets.single(covered)) == plain
    assert all(later > end + DAY for (_, end), (later, _) in pairwise(covered))
    first, last = (DAYS[n] for n in other)
    assert day_sets.missing(first, last, covered) == [d for d in DAYS if first <= d <= last and d not in plain]
