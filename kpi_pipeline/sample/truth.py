"""What a pipeline has to find, by brute force from the simulated world: slow, plain and with no trick in it.

Never here: a file of the sources, and any code of the pipeline. If the two disagree, one of them is wrong.
"""

import json
from collections import Counter
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Final

import polars as pl

from kpi_pipeline.sample.hubs import Hub
from kpi_pipeline.sample.layout import REASONS, Damage
from kpi_pipeline.sample.period import Period
from kpi_pipeline.sample.simulate import Exclusion, World
from kpi_pipeline.sample.write import csv_line, write_file

WINDOW: Final = 30  # days, both ends included
WEEK: Final = 7
GRAINS: Final = ("organisation", "hub", "hub_type", "community", "cluster")
COUNTS: Final = ("dau", "wau", "mau", "new", "returning", "lapsed")

HubMau = dict[tuple[int, str], int]


def qualifying(world: World) -> pl.DataFrame:
    """Qualifying user-days: day, who, and each grain's member on that day."""
    return _qualifying(_excluded(world.rows.select("day", "hub", "person").unique(), world), world)


def write_truth(folder: Path, world: World, damage: dict[str, tuple[Damage, ...]]) -> None:
    user_days = _excluded(world.rows.select("day", "hub", "person").unique(), world)
    counted = _qualifying(user_days, world)
    active = pl.concat([_active_users(counted, grain, world.period) for grain in GRAINS])
    _write_active_users(folder / "active_users.csv.gz", active, world.period)
    hub_mau = _hub_mau(active)
    _write_rows(folder / "mau_percentiles.csv", _percentiles(hub_mau, world))
    _write_rows(folder / "communities_served.csv", _communities(counted, world))
    _write_rows(folder / "running.csv", _running(world))
    accounting = json.dumps(_accounting(user_days, counted, world, damage), indent=2)
    write_file(folder / "accounting.json", (accounting + "\n").encode())


def qualifying_user_days(world: World) -> pl.DataFrame:
    """day, who, and each grain's member on that day, of what counts."""
    return _qualifying(_excluded(world.rows.select("day", "hub", "person").unique(), world), world)


def _write_rows(path: Path, rows: Iterator[tuple[object, ...]]) -> None:
    write_file(path, b"".join(csv_line("" if value is None else str(value) for value in row) for row in rows))


# -- which user-days count -------------------------------------------------------------------------


def _excluded(user_days: pl.DataFrame, world: World) -> pl.DataFrame:
    """Each user-day with a column per exclusion that says whether it matches, and its hub's kind."""
    kinds = pl.Series([hub.kind for hub in world.hubs], dtype=pl.String)
    matches = [_matches(rule, world).alias(rule.id) for rule in world.exclusions]
    return user_days.with_columns(kinds.gather(user_days["hub"]).alias("kind"), *matches)


def _matches(rule: Exclusion, world: World) -> pl.Expr:
    first = 0 if rule.first is None else world.period.day_of(rule.first)
    last = world.period.days if rule.last is None else world.period.day_of(rule.last)
    what = pl.col("person").is_in(rule.people) if rule.hub is None else pl.col("hub") == world.hubs.index(rule.hub)
    return what & pl.col("day").is_between(first, last)


def _any_rule(world: World) -> pl.Expr:
    return pl.any_horizontal([pl.col(rule.id) for rule in world.exclusions])


def _qualifying(user_days: pl.DataFrame, world: World) -> pl.DataFrame:
    """day, who, and each grain's member on that day; `who` is the person within the hub's identity issuer."""
    counted = user_days.filter(~_any_rule(world), pl.col("kind") == "production")
    issuers = sorted({hub.issuer for hub in world.hubs})
    issuer = pl.Series([issuers.index(hub.issuer) for hub in world.hubs], dtype=pl.UInt64).gather(counted["hub"])
    who = (issuer * len(world.names) + counted["person"].cast(pl.UInt64)).alias("who")
    return (
        counted.select("day", "hub", who)
        .join(_attributes(world), on=["day", "hub"])
        .drop("hub")
        .rename({"hub_id": "hub"})
    )


def _attributes(world: World) -> pl.DataFrame:
    """What each production hub was on each day, by the last version in effect on it."""
    rows = []
    for index, hub in enumerate(world.hubs):
        for day in range(world.period.days):
            version = hub.on(world.period.date_of(day))
            if version is not None and hub.kind == "production":
                of_hub = (
                    hub.hub_id,
                    version.hub_type,
                    list(version.communities),
                    hub.cluster,
                    "organisation",
                )
                rows.append((day, index, *of_hub))
    schema: dict[str, pl.DataType | type[pl.DataType]] = {
        "day": pl.UInt16,
        "hub": pl.UInt16,
        "hub_id": pl.Categorical,
        "hub_type": pl.Categorical,
        "community": pl.List(pl.Categorical),
        "cluster": pl.Categorical,
        "organisation": pl.Categorical,
    }
    return pl.DataFrame(rows, schema=schema, orient="row")


# -- active users ----------------------------------------------------------------------------------


def _active_users(counted: pl.DataFrame, grain: str, period: Period) -> pl.DataFrame:
    """day, grain, member and the counts, for every day from each member's first on."""
    seen = counted.select("day", pl.col(grain).alias("member"), "who")
    if grain == "community":
        seen = seen.explode("member")
    seen = seen.with_columns(pl.col("day").cast(pl.Int32)).unique().sort("member", "who", "day")
    parts = [_windows(seen, period), _new(seen), _returning(seen), _lapsed(seen, period)]
    table = _every_day(seen, period)
    for part in parts:
        table = table.join(part, on=["member", "day"], how="left")
    return table.select(
        "day",
        pl.lit(grain).alias("grain"),
        pl.col("member").cast(pl.String),
        *(pl.col(count).fill_null(0).cast(pl.Int64) for count in COUNTS),
    ).sort("member", "day")


def _every_day(seen: pl.DataFrame, period: Period) -> pl.DataFrame:
    days = pl.DataFrame({"day": range(period.days)}, schema={"day": pl.Int32})
    first = seen.group_by("member").agg(pl.col("day").min().alias("first"))
    return first.join(days, how="cross").filter(pl.col("day") >= pl.col("first")).drop("first")


def _windows(seen: pl.DataFrame, period: Period) -> pl.DataFrame:
    """For each day on its own, the distinct people of its last 1, 7 and 30 days."""
    by_day = {int(key[0]): rows for key, rows in seen.partition_by("day", as_dict=True).items()}
    parts = []
    for day in range(period.days):
        window = [by_day[back] for back in range(day - WINDOW + 1, day + 1) if back in by_day]
        if window:
            parts.append(_distinct(pl.concat(window), day))
    return pl.concat(parts)


def _distinct(window: pl.DataFrame, day: int) -> pl.DataFrame:
    who, when = pl.col("who"), pl.col("day")
    return window.group_by("member").agg(
        who.filter(when == day).n_unique().alias("dau"),
        who.filter(when > day - WEEK).n_unique().alias("wau"),
        who.n_unique().alias("mau"),
        pl.lit(day, dtype=pl.Int32).alias("day"),
    )


def _new(seen: pl.DataFrame) -> pl.DataFrame:
    first = seen.group_by("member", "who").agg(pl.col("day").min())
    return first.group_by("member", "day").agg(pl.len().alias("new"))


def _returning(seen: pl.DataFrame) -> pl.DataFrame:
    away = pl.col("day") - pl.col("day").shift(1).over("member", "who")
    return seen.filter(away >= WINDOW).group_by("member", "day").agg(pl.len().alias("returning"))


def _lapsed(seen: pl.DataFrame, period: Period) -> pl.DataFrame:
    """On the 30th day after a day of activity, with none in between; on the 30th itself there may be one."""
    until_next = pl.col("day").shift(-1).over("member", "who") - pl.col("day")
    gone = seen.filter(until_next.is_null() | (until_next >= WINDOW)).with_columns(pl.col("day") + WINDOW)
    inside = gone.filter(pl.col("day") < period.days)
    return inside.group_by("member", "day").agg(pl.len().alias("lapsed"))


def _write_active_users(path: Path, active: pl.DataFrame, period: Period) -> None:
    dated = active.select((pl.lit(period.first) + pl.duration(days=pl.col("day"))).alias("date"), pl.exclude("day"))
    write_file(path, dated.write_csv().encode())


# -- percentiles over hubs -------------------------------------------------------------------------


def _hub_mau(active: pl.DataFrame) -> HubMau:
    hubs = active.filter(pl.col("grain") == "hub").select("day", "member", "mau")
    return {(day, member): mau for day, member, mau in hubs.iter_rows()}


def _percentiles(hub_mau: HubMau, world: World) -> Iterator[tuple[object, ...]]:
    yield ("date", "p10", "p50", "p90", "n", "zero_hubs")
    service = {hub.hub_id: hub.service(world.period) for hub in world.hubs if hub.kind == "production"}
    for day in range(WINDOW - 1, world.period.days):
        whole_window = [hub for hub, days in service.items() if all(days[day - WINDOW + 1 : day + 1])]
        users = sorted(hub_mau.get((day, hub), 0) for hub in whole_window)
        points = [_percentile(users, tenths) for tenths in (1, 5, 9)]
        yield (world.period.date_of(day), *points, len(users), users.count(0))


def _percentile(values: list[int], tenths: int) -> str | None:
    """Linear interpolation, in whole tenths and so without rounding: it falls at (n - 1) x tenths / 10."""
    if not values:
        return None
    below, part = divmod((len(values) - 1) * tenths, 10)
    above = min(below + 1, len(values) - 1)
    in_tenths = values[below] * 10 + (values[above] - values[below]) * part
    return f"{in_tenths // 10}.{in_tenths % 10}"


# -- communities and what is running ---------------------------------------------------------------


def six_months_before(last: date) -> date:
    """The first day of the 6 calendar months that end on `last`, clamped to the length of its month."""
    end = last + timedelta(days=1)
    months = end.year * 12 + end.month - 1 - 6
    year, month = months // 12, months % 12 + 1
    for day in range(end.day, 0, -1):
        try:
            return date(year, month, day)
        except ValueError:
            continue
    raise AssertionError("a month without days")


def _communities(counted: pl.DataFrame, world: World) -> Iterator[tuple[object, ...]]:
    yield ("date", "period_start", "served", "provisioned")
    period = world.period
    served_on: dict[date, set[str]] = {}
    for day, community in counted.select("day", pl.col("community").cast(pl.List(pl.String))).unique().iter_rows():
        served_on.setdefault(period.date_of(day), set()).update(community)
    provisioned_on = _provisioned(world.hubs, six_months_before(period.first), period.last)
    for day in range(period.days):
        last = period.date_of(day)
        start = six_months_before(last)
        days = [start + timedelta(days=n) for n in range((last - start).days + 1)]
        served = set[str]().union(*(served_on.get(when, set()) for when in days))
        provisioned = set[str]().union(*(provisioned_on[when] for when in days))
        yield (last, start, len(served), len(provisioned))


def _provisioned(hubs: tuple[Hub, ...], first: date, last: date) -> dict[date, set[str]]:
    """The communities of the production hubs in service, by day."""
    by_day = {}
    for n in range((last - first).days + 1):
        when = first + timedelta(days=n)
        versions = [hub.on(when) for hub in hubs if hub.kind == "production"]
        by_day[when] = {community for version in versions if version for community in version.communities}
    return by_day


def _running(world: World) -> Iterator[tuple[object, ...]]:
    yield ("date", "provider", "production_hubs", "staging_hubs", "binder_hubs", "production_clusters")
    providers = sorted({version.provider for hub in world.hubs for version in hub.versions})
    for day in range(world.period.days):
        when = world.period.date_of(day)
        in_service = [(hub, version) for hub in world.hubs if (version := hub.on(when)) is not None]
        for provider in providers:
            here = [hub for hub, version in in_service if version.provider == provider]
            kinds = Counter(hub.kind for hub in here)
            clusters = {hub.cluster for hub in here if hub.kind != "staging"}
            counts = (kinds["production"], kinds["staging"], kinds["binder"], len(clusters))
            yield (when, provider, *counts)


# -- where every row went --------------------------------------------------------------------------


def _accounting(
    user_days: pl.DataFrame, counted: pl.DataFrame, world: World, damage: dict[str, tuple[Damage, ...]]
) -> dict[str, object]:
    """User-days are distinct (day, hub, person). A rule counts all it matches: a user-day may be in two."""
    reasons = Counter(one.reason for lines in damage.values() for one in lines)
    kept = user_days.filter(~_any_rule(world))
    kinds = Counter(dict(kept.group_by("kind").len().iter_rows()))
    return {
        "quarantined_rows": {reason: reasons[reason] for reason in REASONS},
        "excluded_user_days": {rule.id: int(user_days[rule.id].sum()) for rule in world.exclusions},
        "excluded_user_days_total": user_days.height - kept.height,
        "staging_user_days": kinds["staging"],
        "binder_user_days": kinds["binder"],
        "qualifying_user_days": counted.height,
    }
