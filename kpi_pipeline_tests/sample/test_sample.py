"""The sample is the same each time, its files and truth agree, and what it promises to contain is in it."""

import csv
import gzip
import json
import tomllib
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import polars as pl
import pytest

from kpi_pipeline.sample import write_sample
from kpi_pipeline.sample.people import AWKWARD, GAPS, Homes, make_person, spell
from kpi_pipeline.sample.period import period_of
from kpi_pipeline.sample.simulate import World, make_world
from kpi_pipeline.sample.truth import six_months_before

from .naive import (
    Fields,
    Found,
    canonical,
    in_effect,
    kind_of,
    read_all,
    read_registry,
)

COMMITTED = Path(__file__).parents[2] / "data" / "sample"
FIRST, LAST = date(2025, 7, 1), date(2026, 9, 30)
LIMIT_BYTES = 6_000_000


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tiny")
    write_sample(folder, hubs=5, users=20, days=40)
    return folder


@pytest.fixture(scope="module")
def found() -> Found:
    return read_all(COMMITTED)


@pytest.fixture(scope="module")
def registry() -> dict[str, list[Fields]]:
    return read_registry(COMMITTED)


@pytest.fixture(scope="module")
def world() -> World:
    return make_world(2026, 60, 3000, 457, LAST)


@pytest.fixture(scope="module")
def active() -> pl.DataFrame:
    return active_users(COMMITTED)


def active_users(folder: Path) -> pl.DataFrame:
    return pl.read_csv(folder / "truth" / "active_users.csv.gz", try_parse_dates=True)


def rows_of(path: Path) -> list[Fields]:
    with path.open(newline="", encoding="utf-8") as lines:
        return list(csv.DictReader(lines))


# -- the same each time --------------------------------------------------------------------------------------


def test_the_same_arguments_give_the_same_bytes(tiny: Path, tmp_path: Path) -> None:
    write_sample(tmp_path, hubs=5, users=20, days=40)
    assert contents(tmp_path) == contents(tiny)


def test_another_seed_gives_another_organisation(tiny: Path, tmp_path: Path) -> None:
    write_sample(tmp_path, seed=7, hubs=5, users=20, days=40)
    assert contents(tmp_path) != contents(tiny)


def test_the_committed_sample_is_what_the_generator_writes(tmp_path: Path) -> None:
    write_sample(tmp_path)
    fresh, committed = contents(tmp_path), contents(COMMITTED)
    assert sorted(fresh) == sorted(committed)
    assert [path for path in fresh if fresh[path] != committed[path]] == []


def test_the_committed_sample_is_small() -> None:
    assert sum(len(content) for content in contents(COMMITTED).values()) < LIMIT_BYTES


def test_gzip_headers_name_no_file_time_or_system() -> None:
    headers = {path.read_bytes()[:10] for path in COMMITTED.rglob("*.gz")}
    assert headers == {b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\xff"}


def test_a_folder_with_other_files_is_refused(tmp_path: Path) -> None:
    other = tmp_path / "hub_activity" / "2001-01.csv"
    other.parent.mkdir()
    other.write_text("date,cluster,hub,username\n")
    with pytest.raises(FileExistsError, match=r"2001-01\.csv is not part of the sample"):
        write_sample(tmp_path, hubs=5, users=20, days=40)


@pytest.mark.parametrize("size", [{"hubs": 0}, {"users": 0}, {"days": 6}])
def test_a_size_without_a_world_in_it_is_refused(tmp_path: Path, size: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="a sample has at least"):
        write_sample(tmp_path, **size)  # type: ignore[arg-type]


# -- files and truth agree -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("hubs", "users", "days"),
    [(5, 20, 40), (1, 5, 40), (5, 1, 31), (3, 50, 7), (21, 80, 100), (25, 200, 200)],
)
def test_any_size_agrees_with_a_reading_of_its_files(tmp_path: Path, hubs: int, users: int, days: int) -> None:
    write_sample(tmp_path, seed=hubs, hubs=hubs, users=users, days=days)
    assert_accounting(tmp_path, read_all(tmp_path))
    assert_balance(active_users(tmp_path))


def test_the_accounting_is_what_a_reading_of_the_files_finds(found: Found) -> None:
    assert_accounting(COMMITTED, found)


def assert_accounting(folder: Path, found: Found) -> None:
    truth = json.loads((folder / "truth" / "accounting.json").read_text())
    reasons = truth["quarantined_rows"]
    assert list(reasons) == [
        *("not_utf8", "wrong_column_count", "not_json", "invalid:date", "missing:username"),
        *("unknown_hub", "hub_not_in_service"),
    ]
    assert {reason: rows for reason, rows in reasons.items() if rows} == dict(found.quarantined)
    assert truth["excluded_user_days"] == {rule: len(days) for rule, days in found.excluded.items()}
    assert truth["excluded_user_days_total"] == len(set().union(*found.excluded.values()))
    assert truth["staging_user_days"] == len(found.apart["staging"])
    assert truth["binder_user_days"] == len(found.apart["binder"])
    assert truth["qualifying_user_days"] == len(found.qualifying)


def members(hub_id: str, version: Fields, grain: str) -> list[str]:
    of_grain = {
        "organisation": ["organisation"],
        "hub": [hub_id],
        "hub_type": [version["hub_type"]],
        "community": version["community"].split(";"),
        "cluster": [version["cluster"]],
    }
    return of_grain[grain]


@pytest.mark.parametrize("grain", ["organisation", "hub", "hub_type", "community", "cluster"])
def test_active_users_are_what_sets_count(
    grain: str, found: Found, registry: dict[str, list[Fields]], active: pl.DataFrame
) -> None:
    versions = {(day, hub): in_effect(registry[hub], day) for day, hub in {(d, h) for d, h, _ in found.qualifying}}
    seen: dict[tuple[date, str], set[tuple[str, str]]] = {}
    for day, hub, person in found.qualifying:
        version = versions[day, hub]
        assert version is not None
        for member in members(hub, version, grain):
            seen.setdefault((day, member), set()).add(person)
    of_grain = active.filter(pl.col("grain") == grain)
    first = {member: min(day for day, of in seen if of == member) for _, member in seen}
    expected = {member: (LAST - since).days + 1 for member, since in first.items()}
    assert dict(of_grain.group_by("member").len().iter_rows()) == expected
    for row in of_grain.sample(400, seed=1).iter_rows(named=True):
        for count, days in (("dau", 1), ("wau", 7), ("mau", 30)):
            window = [row["date"] - timedelta(days=n) for n in range(days)]
            people = set().union(*(seen.get((day, row["member"]), set()) for day in window))
            assert row[count] == len(people), (row, count)


def test_who_comes_and_who_goes_explains_every_mau(active: pl.DataFrame) -> None:
    assert_balance(active)


def assert_balance(active: pl.DataFrame) -> None:
    before = pl.col("mau").shift(1).over("grain", "member", order_by="date").fill_null(0)
    expected = before + pl.col("new") + pl.col("returning") - pl.col("lapsed")
    assert active.filter(pl.col("mau") != expected).is_empty()


def test_percentiles_are_over_the_hubs_that_were_there_all_the_time(
    registry: dict[str, list[Fields]], active: pl.DataFrame
) -> None:
    config = tomllib.loads((COMMITTED / "kpi.toml").read_text())
    rows = rows_of(COMMITTED / "truth" / "mau_percentiles.csv")
    assert rows[0]["date"] == str(FIRST + timedelta(days=29))
    assert rows[-1]["date"] == str(LAST)
    hubs = [hub for hub in registry if kind_of(hub.split("/")[1], config) == "production"]
    mau = {(d, m): n for d, m, n in active.filter(pl.col("grain") == "hub").select("date", "member", "mau").iter_rows()}
    for row in rows[::17]:
        day = date.fromisoformat(row["date"])
        window = [day - timedelta(days=n) for n in range(30)]
        there = [hub for hub in hubs if all(in_effect(registry[hub], when) for when in window)]
        values = pl.Series([mau.get((day, hub), 0) for hub in there])
        assert (int(row["n"]), int(row["zero_hubs"])) == (len(there), int((values == 0).sum()))
        for name, quantile in (("p10", 0.1), ("p50", 0.5), ("p90", 0.9)):
            assert float(row[name]) == pytest.approx(values.quantile(quantile, "linear"))


def test_communities_served_and_provisioned(found: Found, registry: dict[str, list[Fields]]) -> None:
    config = tomllib.loads((COMMITTED / "kpi.toml").read_text())
    served: dict[date, set[str]] = {}
    for day, hub in {(day, hub) for day, hub, _ in found.qualifying}:
        version = in_effect(registry[hub], day)
        assert version is not None
        served.setdefault(day, set()).update(version["community"].split(";"))
    production = [hub for hub in registry if kind_of(hub.split("/")[1], config) == "production"]
    for row in rows_of(COMMITTED / "truth" / "communities_served.csv")[::60]:
        start, end = date.fromisoformat(row["period_start"]), date.fromisoformat(row["date"])
        days = [start + timedelta(days=n) for n in range((end - start).days + 1)]
        there = {v["community"] for day in days for hub in production if (v := in_effect(registry[hub], day))}
        assert int(row["served"]) == len(set().union(*(served.get(day, set()) for day in days)))
        assert int(row["provisioned"]) == len({one for names in there for one in names.split(";")})


def test_running_hubs(registry: dict[str, list[Fields]]) -> None:
    config = tomllib.loads((COMMITTED / "kpi.toml").read_text())
    for row in rows_of(COMMITTED / "truth" / "running.csv")[::41]:
        day = date.fromisoformat(row["date"])
        there = [version for versions in registry.values() if (version := in_effect(versions, day))]
        here = [version for version in there if version["provider"] == row["provider"]]
        kinds = Counter(kind_of(version["hub"], config) for version in here)
        for kind in ("production", "staging", "binder"):
            assert int(row[f"{kind}_hubs"]) == kinds[kind]
        clusters = {version["cluster"] for version in here if kind_of(version["hub"], config) != "staging"}
        assert int(row["production_clusters"]) == len(clusters)


def test_one_user_of_each_gap(world: World, found: Found, active: pl.DataFrame) -> None:
    """29 days away is not away; after 30, one lapses and returns on the same day; after 31, a day apart."""
    period, homes = world.period, Homes(world.hubs, world.period)
    days_of: dict[str, set[date]] = {}
    for day, _, (_, name) in found.qualifying:
        days_of.setdefault(name, set()).add(day)
    met: Counter[int] = Counter()
    for number in range(3000):
        person = make_person(world.seed, number, homes, period)
        days = sorted(days_of.get(canonical(person.name), set())) if person.gap else []
        met.update(gap for one, next_ in pairwise(days) if (gap := (next_ - one).days) == person.gap)
    assert all(met[gap] >= 2 for gap in GAPS.values()), met


# -- facts checked by hand -----------------------------------------------------------------------------------


def test_six_months_before() -> None:
    assert six_months_before(date(2026, 6, 30)) == date(2026, 1, 1)
    assert six_months_before(date(2026, 8, 30)) == date(2026, 2, 28)  # 31 August less 6 months
    assert six_months_before(date(2024, 8, 30)) == date(2024, 2, 29)
    assert six_months_before(date(2025, 12, 31)) == date(2025, 7, 1)


def test_all_spellings_of_a_name_are_one_person_and_no_two_people_are(world: World) -> None:
    assert len({canonical(name) for name in world.names}) == len(world.names)
    for name in world.names[:3100]:
        assert {canonical(spell(name, spelling)) for spelling in range(4)} == {canonical(name)}


def test_people_are_spelt_in_several_ways_in_the_files(world: World) -> None:
    used = dict(world.rows.group_by("spelling").len().iter_rows())
    assert all(used[spelling] >= 20 for spelling in range(4))


def test_awkward_names_are_active(found: Found) -> None:
    names = {name for _, _, (_, name) in found.qualifying}
    assert len(names & {canonical(name) for name in AWKWARD}) >= len(AWKWARD) // 2


def test_hubs_never_have_two_versions_at_once_and_begin_in_several_offsets(
    registry: dict[str, list[Fields]],
) -> None:
    offsets: set[str] = set()
    for versions in registry.values():
        moments = [datetime.fromisoformat(row["valid_from"]) for row in versions]
        ends = [datetime.fromisoformat(row["valid_to"]) for row in versions if row["valid_to"]]
        assert all(end <= begin for end, begin in zip(ends, moments[1:], strict=False))
        assert all(begin < end for begin, end in zip(moments, ends, strict=False))
        offsets.update(moment.strftime("%z") for moment in moments)
    assert {"+0000", "+0530", "-0700"} <= offsets


def test_the_stories_are_told(registry: dict[str, list[Fields]]) -> None:
    histories = list(registry.values())

    def changed(column: str) -> int:
        return sum(len({row[column] for row in versions}) > 1 for versions in histories)

    def gaps() -> int:
        pairs = [pair for versions in histories for pair in pairwise(versions)]
        apart = [datetime.fromisoformat(b["valid_from"]) - datetime.fromisoformat(a["valid_to"]) for a, b in pairs]
        return sum(gap > timedelta(days=60) for gap in apart)

    assert changed("domain") == changed("display_name") == 4
    assert changed("community") == 2
    assert changed("hub_type") == 1
    assert gaps() == 1
    assert sum(bool(versions[-1]["valid_to"]) for versions in histories) == 3  # two for good, one after its week
    assert sum(";" in versions[0]["community"] for versions in histories) == 2
    ends = [row["valid_to"] for versions in histories for row in versions[-1:]]
    assert any(end.endswith("T00:00:00+00:00") for end in ends)  # the day of the end is not in
    starts = [datetime.fromisoformat(versions[0]["valid_from"]) for versions in histories]
    assert sum(start >= datetime(2025, 7, 2, tzinfo=UTC) for start in starts) >= 5
    issuers = {row["cluster"]: row["identity_issuer"] for versions in histories for row in versions}
    assert Counter(issuer for issuer in issuers.values() if issuer) == {"login.northcoast.example": 2}


def test_the_hub_of_a_week_had_users(found: Found, registry: dict[str, list[Fields]]) -> None:
    def lifetime(versions: list[Fields]) -> timedelta:
        end = versions[-1]["valid_to"] or "2100-01-01T00:00:00+00:00"
        return datetime.fromisoformat(end) - datetime.fromisoformat(versions[0]["valid_from"])

    (short,) = [hub for hub, versions in registry.items() if lifetime(versions) < timedelta(days=7)]
    assert any(hub == short for _, hub, _ in found.qualifying)


def test_one_hub_is_in_service_without_users(registry: dict[str, list[Fields]], active: pl.DataFrame) -> None:
    last = active.filter(pl.col("grain") == "hub", pl.col("date") == LAST, pl.col("mau") == 0)["member"]
    in_service = [hub for hub in last if in_effect(registry[hub], LAST)]
    quiet = (
        active.filter(pl.col("member").is_in(in_service), pl.col("date") > LAST - timedelta(days=60))
        .group_by("member")
        .agg(pl.col("dau").sum(), pl.len())
    )
    assert (0, 60) in [(dau, days) for _, dau, days in quiet.iter_rows()]


def test_the_shared_login_makes_one_person_of_two_usernames(found: Found) -> None:
    clusters: dict[tuple[str, str], set[str]] = {}
    for _, hub, person in found.qualifying:
        clusters.setdefault(person, set()).add(hub.split("/")[0])
    assert Counter(len(of) for of in clusters.values())[2] >= 10
    assert {issuer for (issuer, _), of in clusters.items() if len(of) > 1} == {"login.northcoast.example"}


def test_the_contract_of_the_contractor_has_both_its_edges_in_it(found: Found) -> None:
    config = tomllib.loads((COMMITTED / "kpi.toml").read_text())
    rule = next(rule for rule in config["exclusions"] if rule["id"] == "contractor")
    excluded = {day for day, _, _ in found.excluded["contractor"]}
    counted = {day for day, _, (_, name) in found.qualifying if name == "pat.jansen"}
    assert (min(excluded), max(excluded)) == (rule["from"], rule["to"])
    assert {rule["from"] - timedelta(days=1), rule["to"] + timedelta(days=1)} <= counted


def test_late_files_have_rows_that_are_new_and_rows_that_are_not(world: World) -> None:
    late = world.rows.filter("late").select("day", "hub", "person").unique()
    in_time = world.rows.filter(~pl.col("late")).select("day", "hub", "person").unique()
    repeated = late.join(in_time, on=["day", "hub", "person"])
    assert 20 <= repeated.height < late.height // 2


def test_each_format_is_there() -> None:
    names = [str(path.relative_to(COMMITTED / "hub_activity")) for path in COMMITTED.rglob("hub_activity/**/*.*")]
    forms = Counter(name.split(".", 1)[1] for name in names if "/" not in name)
    assert forms == {"csv.gz": 9, "parquet": 2, "json.gz": 1, "ndjson": 1, "csv": 1}
    assert sum(name.startswith("2026-09/") for name in names) == 30
    assert sum(name.startswith("late/") for name in names) == 3
    other_order = gzip.decompress((COMMITTED / "hub_activity" / "2025-09.csv.gz").read_bytes()).split(b"\n")[0]
    assert other_order == b"username,hub,cluster,date"


def test_the_organisation_has_seasons(active: pl.DataFrame) -> None:
    mau = dict(active.filter(pl.col("grain") == "organisation").select("date", "mau").iter_rows())
    assert mau[date(2025, 11, 15)] > 1.5 * mau[date(2025, 8, 15)]
    assert mau[date(2026, 7, 31)] < 0.7 * mau[date(2026, 4, 30)]
    assert 500 < mau[LAST] < 1500


def test_the_period_ends_on_its_last_day() -> None:
    period = period_of(LAST, 457)
    assert (period.first, period.last, period.day_of(LAST)) == (FIRST, LAST, 456)
