"""The cloud bill of the simulated organisation: FOCUS files, and what each month costs whom, by brute force.

Never here: code of the pipeline. Each line knows whom it is for; the truth never looks at tags or accounts.
"""

import calendar
import io
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Final

import polars as pl

from kpi_pipeline.sample.books import REPORTING, YEARS, Books, make_books
from kpi_pipeline.sample.dice import dice, pick, whole
from kpi_pipeline.sample.hubs import Hub
from kpi_pipeline.sample.simulate import World
from kpi_pipeline.sample.truth import qualifying_user_days
from kpi_pipeline.sample.write import csv_line, write_file

HUB_TAG: Final = "example:hub"
PROVIDERS: Final = {
    "aws": ("AWS", "Amazon Web Services, Inc."),
    "gcp": ("Google Cloud", "Google LLC"),
    "azure": ("Microsoft", "Microsoft Corporation"),
}
COLUMNS: Final = (
    *("BilledCost", "BillingAccountId", "BillingAccountName", "BillingCurrency", "BillingPeriodEnd"),
    *("BillingPeriodStart", "ChargeCategory", "ChargeClass", "ChargeDescription", "ChargeFrequency", "ChargePeriodEnd"),
    *("ChargePeriodStart", "ContractedCost", "EffectiveCost", "InvoiceIssuerName", "ListCost", "PricingQuantity"),
    *("PricingUnit", "ProviderName", "PublisherName", "ResourceId", "ServiceCategory", "Id", "ServiceName"),
    *("SubAccountId", "SubAccountName", "Tags"),
)
COSTS: Final = ("BilledCost", "ContractedCost", "EffectiveCost", "ListCost")
# Months, counted from the first.
PARQUET_MONTH, IN_PARTS, CORRECTED, PLAIN = 8, 4, 6, 13
KEPT_ACCOUNT: Final = "azure"  # what the corrected month doesn't deliver again
MISSPELT: Final = "poduction"
FOREIGN: Final = "EUR"
BROKEN: Final = {
    "invalid:BilledCost": ("BilledCost", "1,5"),
    "invalid:ChargeCategory": ("ChargeCategory", "Usages"),
    "missing:BillingAccountId": ("BillingAccountId", "NULL"),
    "invalid:Tags": ("Tags", '{"example:hub": '),
    "ends_before_it_begins": ("ChargePeriodEnd", "2020-01-01 00:00:00"),
    "no_rate:XTS": ("BillingCurrency", "XTS"),
}

Part = tuple[str, str | None, str | None]  # basis, hub, detail
Cells = dict[str, str]


@dataclass(frozen=True)
class Line:
    """One line of the bill. `cost`: in its own currency. `part`: whom it is for."""

    day: date
    billed: date
    provider: str
    account: str
    cost: Decimal
    service: str
    part: Part
    tag: str | None = None
    category: str = "Usage"
    correction: bool = False
    currency: str = REPORTING


def own_account_hub(world: World) -> Hub | None:
    """The hub that has an account to itself."""
    found = [hub for hub in world.hubs if hub.kind == "production" and hub.name not in ("prod", "staging")]
    return max(found, key=lambda hub: (hub.versions[0].provider == "azure", hub.hub_id), default=None)


def accounts(world: World) -> dict[str, str]:
    """What kpi.toml says of each account."""
    named = {f"{cluster}-account": cluster for cluster in sorted({hub.cluster for hub in world.hubs})}
    own = own_account_hub(world)
    return named | ({"own-account": own.hub_id} if own else {})


def config(world: World) -> str:
    mapped = "".join(f'"{account}" = "{target}"\n' for account, target in accounts(world).items())
    return _CONFIG.format(tag=HUB_TAG, accounts=mapped)


_CONFIG: Final = """\
# What the clouds bill: FOCUS 1.0 to 1.2 as CSV (gzip too) or Parquet, as AWS, Google Cloud and Azure export it. A newer
# file replaces what older ones have of the same account and billing period.
[sources.cloud_costs]
kind = "focus"
path = "cloud_costs"
hub_tag = "{tag}"         # the tag that names the hub: "cluster/hub", or the hub's name on the account's cluster
shared_by = "user_days"           # how lines without a tag are shared, within the account's cluster or by all hubs

# What an account (SubAccountId, else BillingAccountId) is for: a cluster, or a hub that has it to itself.
[sources.cloud_costs.accounts]
{accounts}"""


def write_costs(folder: Path, world: World) -> None:
    """Writes the files below cloud_costs/ and their truth."""
    months = _months(world)
    bill: list[Line] = []
    broken: Counter[str] = Counter()
    for number, month in enumerate(months):
        lines = _month(world, month)
        bill += lines
        rows = [_cells(line, 1000 * number + n) for n, line in enumerate(lines)]
        spoilt = _broken(world, month, rows) if number in (2, PLAIN) or len(months) < 3 else []
        broken.update(reason for reason, _ in spoilt)
        _write_month(folder / "cloud_costs", number, month, rows, [cells for _, cells in spoilt], world)
    _write_truth(folder / "truth", world, make_books(world.seed, world.period.last), bill, broken)


def cost_files(world: World) -> set[str]:
    """The names below cloud_costs/."""
    return {name for number, month in enumerate(_months(world)) for name in _names(number, month)}


def _months(world: World) -> list[date]:
    days = (world.period.date_of(day) for day in range(world.period.days))
    return sorted({day.replace(day=1) for day in days})


def _names(number: int, month: date) -> tuple[str, ...]:
    name = f"{month:%Y-%m}"
    match number:
        case n if n == PARQUET_MONTH:
            return (f"{name}.parquet",)
        case n if n == IN_PARTS:
            return (f"{name}-00001.csv.gz", f"{name}-00002.csv.gz")
        case n if n == CORRECTED:
            return (f"{name}.csv.gz", f"{name}.v2.csv.gz")
        case n if n == PLAIN:
            return (f"{name}.csv",)
    return (f"{name}.csv.gz",)


# -- what is billed --------------------------------------------------------------------------------


def _month(world: World, month: date) -> list[Line]:
    last = min(_last_day(month), world.period.last)
    own = own_account_hub(world)
    lines: list[Line] = []
    clusters: dict[str, str] = {}
    for hub in world.hubs:
        rng = dice(world.seed, "cost", hub.hub_id, month)
        day = month + timedelta(days=whole(rng, 0, (last - month).days))
        version = hub.on(day)
        if version is None or version.provider not in PROVIDERS:
            continue
        provider = clusters.setdefault(hub.cluster, version.provider)
        is_own = own is not None and hub.hub_id == own.hub_id
        account = "own-account" if is_own else f"{hub.cluster}-account"
        tag = None if is_own else hub.hub_id if provider == "gcp" else hub.name
        part: Part = ("account" if is_own else "tag", hub.hub_id, None)
        for service, most in (("Compute", 9_000_000), ("Storage", 800_000)):
            cost = Decimal(whole(rng, 1, most) * 100_000_000 + whole(rng, 0, 99_999_999)).scaleb(-12)
            lines.append(Line(day, month, provider, account, cost, service, part, tag))
        if rng.random() < 0.05:
            lines.append(Line(day, month, provider, account, -lines[-1].cost, "Compute", part, tag, category="Credit"))
        before = day - timedelta(days=31)
        if rng.random() < 0.05 and before >= world.period.first and hub.on(before):
            wrong = Decimal(whole(rng, -9999, 9999)).scaleb(-3)
            lines.append(Line(before, month, provider, account, wrong, "Compute", part, tag, "Usage", correction=True))
    return [*lines, *_of_clusters(world, month, clusters), *_of_nobody(world, month, last, clusters)]


def _of_clusters(world: World, month: date, clusters: dict[str, str]) -> Iterator[Line]:
    """Control planes and networks, which no hub has to itself; now and then a credit larger than they are."""
    for cluster, provider in sorted(clusters.items()):
        rng = dice(world.seed, "shared cost", cluster, month)
        part: Part = ("shared", None, f"cluster {cluster}")
        account = f"{cluster}-account"
        cost = Decimal(whole(rng, 1_000_000, 99_999_999)).scaleb(-6)
        yield Line(month, month, provider, account, cost, "Networking", part)
        # Costs of 1e-7 and less, as real bills have.
        yield Line(month, month, provider, account, Decimal(whole(rng, 1, 999)).scaleb(-11), "Integration", part)
        if rng.random() < 0.1:
            yield Line(month, month, provider, account, -cost * 2, "Other", part, category="Credit")


def _of_nobody(world: World, month: date, last: date, clusters: dict[str, str]) -> Iterator[Line]:
    rng = dice(world.seed, "nobody's cost", month)
    provider = next(iter(sorted(clusters.values())), "aws")
    cost = Decimal(whole(rng, 1_000, 99_999)).scaleb(-3)
    yield Line(month, month, provider, "tools", cost, "Management and Governance", ("shared", None, "all hubs"))
    if clusters:
        cluster = pick(rng, sorted(clusters))
        part: Part = ("unallocated", None, "its tag names no known hub")
        yield Line(month, month, clusters[cluster], f"{cluster}-account", cost / 8, "Compute", part, MISSPELT)
    # A service that is billed in another currency, as far back as there are rates.
    for _ in range(2 if month.year > world.period.last.year - YEARS else 0):
        day = month + timedelta(days=whole(rng, 0, (last - month).days))
        cost = Decimal(whole(rng, 1_000, 99_999_999)).scaleb(-6)
        yield Line(day, month, provider, "tools", cost, "Security", ("shared", None, "all hubs"), currency=FOREIGN)


# -- files -----------------------------------------------------------------------------------------


def _last_day(month: date) -> date:
    return month.replace(day=calendar.monthrange(month.year, month.month)[1])


def _at(day: date) -> str:
    return f"{day} 00:00:00"


def _cells(line: Line, number: int) -> Cells:
    name, issuer = PROVIDERS[line.provider]
    tags = {"team": "hubs", HUB_TAG: line.tag} if line.tag else {"team": "hubs"} if number % 3 else None
    next_month = _last_day(line.billed) + timedelta(days=1)
    listed = line.cost * Decimal("1.25")
    return {
        "BilledCost": f"{line.cost:f}",
        "BillingAccountId": f"{line.provider}-billing",
        "BillingAccountName": "Example Hubs",
        "BillingCurrency": line.currency,
        "BillingPeriodEnd": _at(next_month),
        "BillingPeriodStart": _at(line.billed),
        "ChargeCategory": line.category,
        "ChargeClass": "Correction" if line.correction else "NULL",
        "ChargeDescription": f"{line.service}, on demand",
        "ChargeFrequency": "Usage-Based",
        "ChargePeriodEnd": _at(line.day + timedelta(days=1)),
        "ChargePeriodStart": _at(line.day),
        "ContractedCost": "NULL" if number % 50 == 7 else f"{line.cost:f}",
        "EffectiveCost": f"{line.cost:f}",
        "InvoiceIssuerName": issuer,
        "ListCost": f"{listed:f}",
        "PricingQuantity": "1.000000000000000",
        "PricingUnit": "Hours",
        "ProviderName": name,
        "PublisherName": issuer,
        "ResourceId": "NULL",
        "ServiceCategory": line.service,
        "Id": str(number),
        "ServiceName": f"{name} {line.service}",
        "SubAccountId": line.account,
        "SubAccountName": "NULL",
        "Tags": json.dumps(tags) if tags else "NULL",
    }


def _broken(world: World, month: date, rows: list[Cells]) -> list[tuple[str, Cells]]:
    rng = dice(world.seed, "broken costs", month)
    return [(reason, {**pick(rng, rows), column: text}) for reason, (column, text) in BROKEN.items()]


def _write_month(folder: Path, number: int, month: date, rows: list[Cells], broken: list[Cells], world: World) -> None:
    names = _names(number, month)
    if number == PARQUET_MONTH:
        _write_parquet(folder / names[0], rows)
    elif number == IN_PARTS:
        half = len(rows) // 2
        _write_csv(folder / names[0], rows[:half])
        _write_csv(folder / names[1], rows[half:])
    elif number == CORRECTED:
        # The first delivery had everything by a tenth too dear.
        _write_csv(folder / names[0], [_dearer(r) for r in rows if not _is_kept(r)] + [r for r in rows if _is_kept(r)])
        _write_csv(folder / names[1], [r for r in rows if not _is_kept(r)])
    else:
        _write_csv(folder / names[0], [*rows[:5], *broken, *rows[5:]])


def _is_kept(cells: Cells) -> bool:
    return cells["BillingAccountId"] == f"{KEPT_ACCOUNT}-billing"


def _dearer(cells: Cells) -> Cells:
    return {**cells, "BilledCost": f"{Decimal(cells['BilledCost']) * Decimal('1.1'):f}"}


def _write_csv(path: Path, rows: Iterable[Cells]) -> None:
    write_file(path, b"".join([csv_line(COLUMNS), *(csv_line(row[column] for column in COLUMNS) for row in rows)]))


def _write_parquet(path: Path, rows: list[Cells]) -> None:
    """With types of its own: decimals, moments, real nulls."""
    columns = {
        name: pl.Series(name, [None if row[name] == "NULL" else row[name] for row in rows], dtype=pl.String)
        for name in COLUMNS
    }
    moments = [name for name in COLUMNS if name.endswith(("PeriodStart", "PeriodEnd"))]
    frame = pl.DataFrame(columns).with_columns(
        *(pl.col(name).str.to_decimal(scale=15) for name in COSTS),
        *(pl.col(name).str.to_datetime("%Y-%m-%d %H:%M:%S", time_unit="us") for name in moments),
    )
    content = io.BytesIO()
    frame.write_parquet(content, compression="uncompressed", statistics=False)
    write_file(path, content.getvalue())


# -- truth -----------------------------------------------------------------------------------------


def _write_truth(folder: Path, world: World, books: Books, bill: list[Line], broken: Counter[str]) -> None:
    used = _used(world)
    parts: dict[date, Counter[Part]] = {}
    for month in sorted({line.day.replace(day=1) for line in bill}):
        lines = [line for line in bill if line.day.replace(day=1) == month]
        parts[month] = _allocated(lines, books, {hub: n for (m, hub), (_, n) in used.hubs.items() if m == month})
    _write(folder / "monthly_cloud_costs.csv", ("month", "hub_id", "basis", "cost"), _costs(parts))
    header = ("month", "grain", "member", "cost_per_user", "cost", "users", "idle_cost")
    _write(folder / "cloud_cost_per_hub_user.csv", header, _per_user(parts, used, world))
    _write(folder / "cloud_costs_quarantined.csv", ("reason", "lines"), sorted(broken.items()))


def _write(path: Path, header: tuple[str, ...], rows: Iterable[tuple[object, ...]]) -> None:
    body = (csv_line("" if value is None else str(value) for value in row) for row in rows)
    write_file(path, b"".join([csv_line(header), *body]))


@dataclass(frozen=True)
class Used:
    """People and user-days by (month, hub), and people by (month, grain, member)."""

    hubs: dict[tuple[date, str], tuple[int, int]]
    people: dict[tuple[date, str, str], int]


def _used(world: World) -> Used:
    by_id = {hub.hub_id: hub for hub in world.hubs}
    people: dict[tuple[date, str, str], set[int]] = defaultdict(set)
    days: Counter[tuple[date, str]] = Counter()
    for day, hub_id, who in qualifying_user_days(world).select("day", "hub", "who").iter_rows():
        month = world.period.date_of(day).replace(day=1)
        days[month, hub_id] += 1
        for grain, member in (
            ("hub", hub_id),
            ("hub_type", _type_at_end(by_id[hub_id], month)),
            ("organisation", "organisation"),
        ):
            people[month, grain, member].add(who)
    counted = {key: len(found) for key, found in people.items()}
    return Used({key: (counted[key[0], "hub", key[1]], n) for key, n in days.items()}, counted)


def _type_at_end(hub: Hub, month: date) -> str:
    begun = [version for version in hub.versions if version.first_day <= _last_day(month)]
    return (begun[-1] if begun else hub.versions[0]).hub_type


def _allocated(lines: list[Line], books: Books, user_days: dict[str, int]) -> Counter[Part]:
    """Cents by part: the bill's parts first, then each shared part among its hubs."""
    exact: dict[Part, Fraction] = defaultdict(Fraction)
    for line in lines:
        exact[line.part] += Fraction(line.cost) * books.rate(line.currency, line.day)
    cents: Counter[Part] = Counter()
    for part, amount in _in_whole(exact, _round(sum(exact.values(), Fraction()) * 100), 100).items():
        basis, _, detail = part
        cluster = (detail or "").removeprefix("cluster ")
        everywhere = detail == "all hubs"
        weights = {hub: Fraction(n) for hub, n in user_days.items() if everywhere or hub.startswith(cluster + "/")}
        if basis != "shared":
            cents[part] += amount
        elif not weights:
            cents["unallocated", None, f"shared by {detail}, which nobody used"] += amount
        else:
            sign = -1 if amount < 0 else 1
            claims: dict[Part, Fraction] = {
                ("shared", hub, detail): abs(amount) * w / sum(weights.values()) for hub, w in weights.items()
            }
            for share, n in _in_whole(claims, abs(amount), 1).items():
                cents[share] += sign * n
    return cents


def _in_whole(exact: dict[Part, Fraction], total: int, factor: int) -> dict[Part, int]:
    """Whole numbers that sum to the total: rounded down, what is left to the largest remainders; ties by name."""
    down = {part: (amount * factor).__floor__() for part, amount in exact.items()}
    # Nulls sort last.
    order = sorted(
        exact,
        key=lambda p: (down[p] - exact[p] * factor, p[0], p[1] is None, p[1] or "", p[2] is None, p[2] or ""),
    )
    left = total - sum(down.values())
    return {part: down[part] + (place < left) for place, part in enumerate(order)}


def _round(value: Fraction) -> int:
    """Halves away from zero."""
    whole_part = (abs(value) + Fraction(1, 2)).__floor__()
    return whole_part if value >= 0 else -whole_part


def _costs(parts: dict[date, Counter[Part]]) -> Iterator[tuple[object, ...]]:
    for month, cents in parts.items():
        sums: Counter[tuple[str, str]] = Counter()
        for (basis, hub, _), n in cents.items():
            sums[hub or "", "direct" if basis in ("tag", "account") else basis] += n
        for (hub_id, basis), n in sorted(sums.items()):
            if n:
                yield month, hub_id, basis, _money(n)


def _money(cents: int) -> str:
    return f"{Decimal(cents).scaleb(-2):f}"


def _per_user(parts: dict[date, Counter[Part]], used: Used, world: World) -> Iterator[tuple[object, ...]]:
    by_id = {hub.hub_id: hub for hub in world.hubs}
    for month, cents in parts.items():
        cost: Counter[tuple[str, str]] = Counter({("organisation", "organisation"): 0})
        idle: Counter[tuple[str, str]] = Counter()
        for (_, hub_id, _), n in cents.items():
            if hub_id is None:
                continue
            hub_type = _type_at_end(by_id[hub_id], month)
            for place in (("hub", hub_id), ("hub_type", hub_type), ("organisation", "organisation")):
                cost[place] += n
                idle[place] += n if (month, hub_id) not in used.hubs else 0
        for place, n in sorted(cost.items()):
            users = used.people.get((month, *place), 0)
            # Nine digits, as values are published.
            each = f"{Decimal(_round(Fraction(n * 10**7, users))).scaleb(-9):f}" if users else None
            yield month, *place, each, _money(n), users, _money(idle[place])
