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
# The earliest day that a live source has said something of, beyond what it covers.
told = st.none() | st.integers(0, LENGTH - 1)
# As pages of live sources are named, and as files may be that were dropped.
LIVE_PAGE, DROPPED = "coral/a/0123456789abcdef0123.json", "coral/a/2024-02-01.json"


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
@given(hubs=hubs, parts=parts, delivered=delivered, told=told)
def test_windows_that_rest_on_missing_days(hubs, parts, delivered, told) -> None:  # type: ignore[no-untyped-def]
    covered = {part: set(day_sets.single(intervals(found))) for part, found in parts.items()}
    begins = min(min(found) for found in covered.values())
    if told is not None:
        begins = min(begins, DAYS[told])
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
            con.execute("insert into raw.parts values ('hub_activity', ?, null, true, null, null)", [part])
            for first, last in intervals(found):
                con.execute("insert into raw.covered_days values ('hub_activity', ?, ?, ?)", [part, first, last])
        for n in delivered:
            con.execute("insert into staged.activity_accounting values (?, 1, 0, 0, 0, 0, 0, 1)", [DAYS[n]])
        said = [(FIRST, DROPPED), *([(DAYS[told], LIVE_PAGE)] if told is not None else [])]
        for day, file in said:
            con.execute(
                "insert into raw.hub_activity by name select ? as date, 'coral' as cluster, 'a' as hub, uuid() as "
                "person_key, ? as _file, 1 as _row",
                [day, file],
            )
        facts.cover_days(con)
        found = con.execute(
            "select date, grain, member, clusters, clusters_covered from facts.missing_activity"
        ).fetchall()
        days = con.execute("select date, has_data, is_whole from facts.coverage").fetchall()

    def missing(cluster: str, hub: str, day: date) -> bool:
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
@given(parts=parts, as_of=st.integers(0, LENGTH - 1))
def test_missing_days_of_parts(parts, as_of) -> None:  # type: ignore[no-untyped-def]
    """Gaps between what is landed, and after it up to the as-of day; of what never was, from its first failure on."""
    with warehouse() as con:
        for part, found in parts.items():
            con.execute("insert into raw.parts values ('github', ?, null, true, null, null)", [part])
            for first, last in intervals(found):
                con.execute("insert into raw.covered_days values ('github', ?, ?, ?)", [part, first, last])
        con.execute("insert into raw.parts values ('github', 'never', null, true, 'down', ?)", [DAYS[10]])
        con.execute("insert into raw.parts values ('github', 'gone', null, false, 'down', ?)", [DAYS[10]])
        found = con.execute(
            f"select part, unnest(generate_series(first_day, last_day, interval 1 day))::date from "
            f"({sql('stages', 'missing_days')})", {"as_of": DAYS[as_of]},
        ).fetchall()  # fmt: skip
    expected = []
    for part, spans_of in parts.items():
        covered = set(day_sets.single(intervals(spans_of)))
        first = min(covered)
        if first <= DAYS[as_of]:
            expected += [(part, day) for day in DAYS[: as_of + 1] if day >= first and day not in covered]
        else:
            expected.append((part, DAYS[as_of]))
    expected += [("never", day) for day in DAYS[9 : as_of + 1]]
    assert sorted(found) == sorted(expected)


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
