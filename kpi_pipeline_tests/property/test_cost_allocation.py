"""Whatever the bill and whoever the users: what is allocated is the bill to the cent, and every share is fair."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal, localcontext
from fractions import Fraction
from pathlib import Path

import duckdb
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from kpi_pipeline.contracts import WAREHOUSE
from kpi_pipeline.landing import Landing
from kpi_pipeline.sources.files import list_files
from kpi_pipeline.stages.checks import evaluate
from kpi_pipeline.stages.checks.costs import CHECKS
from kpi_pipeline.stages.costs import allocate, stage_cloud_costs
from kpi_pipeline.warehouse import Connection, create_tables

MONTH = date(2026, 1, 1)
HUBS = ("a/one", "a/two", "b/one", "b/two")
amounts = st.one_of(
    st.decimals(-1000, 1000, places=11),
    st.decimals(-1, 1, places=24),
    st.sampled_from([Decimal(t) for t in ("0.005", "-0.005", "0.015", "0", "1E-11", "-33.333333333333", "1000000000")]),
)
parts = st.one_of(
    st.tuples(st.just("tag"), st.sampled_from(HUBS), st.none()),
    st.tuples(st.just("account"), st.sampled_from(HUBS), st.none()),
    st.tuples(st.just("shared"), st.none(), st.sampled_from(["all hubs", "cluster a", "cluster b", "cluster c"])),
    st.tuples(st.just("unallocated"), st.none(), st.just("its tag names no known hub")),
)
bills = st.lists(st.tuples(parts, amounts), min_size=1, max_size=30)
uses = st.dictionaries(st.sampled_from(HUBS), st.integers(1, 10**7))


@pytest.fixture(scope="module")
def con() -> Iterator[Connection]:
    with duckdb.connect() as connection:
        create_tables(connection, WAREHOUSE)
        yield connection


@given(bills, uses)
@example(
    [(("unallocated", None, "its tag names no known hub"), Decimal(t)) for t in ("-1E-24", "1000000000", "0.005")], {}
)
@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_allocation_sums_to_the_bill_and_shares_are_fair(
    con: Connection, bill: list[tuple[tuple[str, str | None, str | None], Decimal]], used: dict[str, int]
) -> None:
    for name in ("staged.cloud_costs", "facts.hub_months", "facts.monthly_users"):
        con.execute(f"truncate {name}")
    con.executemany(
        "insert into staged.cloud_costs by name select date '2026-01-09' as date, 'x' as billing_account_id, "
        "'usage' as charge_category, false as is_correction, 'USD' as currency, 1 as lines, "
        "?::decimal(38, 24) as billed, ?::decimal(38, 24) as amount, ? as basis, ? as hub_id, ? as detail",
        [(str(amount), str(amount), *part) for part, amount in bill],
    )
    con.executemany(
        "insert into facts.hub_months values (?, ?, ?, 'other')", [(MONTH, hub, hub.split("/")[0]) for hub in HUBS]
    )
    if used:
        con.executemany(
            "insert into facts.monthly_users values (?, 'hub', ?, 1, ?)", [(MONTH, hub, n) for hub, n in used.items()]
        )
    allocate(con, "user_days")
    rows = con.execute("select basis, hub_id, detail, amount from facts.cloud_costs").fetchall()

    # With room for a billion and 24 decimals: Decimal would round the sum itself to 28 digits.
    with localcontext(prec=60):
        total = sum((amount for _, amount in bill), Decimal(0)).quantize(Decimal("0.01"), ROUND_HALF_UP)
    assert sum(row[3] for row in rows) == total
    exact = _exactly(bill, used)
    assert {row[:3] for row in rows} == set(exact)
    # A cent for the part, and one for the share of it.
    assert all(abs(Fraction(row[3]) - exact[row[:3]]) < Fraction(2, 100) for row in rows)


def _exactly(
    bill: list[tuple[tuple[str, str | None, str | None], Decimal]], used: dict[str, int]
) -> dict[tuple[str, str | None, str | None], Fraction]:
    found: dict[tuple[str, str | None, str | None], Fraction] = {}
    for (basis, hub, detail), amount in bill:
        cluster = (detail or "").removeprefix("cluster ")
        weights = {h: n for h, n in used.items() if detail == "all hubs" or h.split("/")[0] == cluster}
        if basis != "shared":
            shares = {(basis, hub, detail): Fraction(1)}
        elif not weights:
            shares = {("unallocated", None, f"shared by {detail}, which nobody used"): Fraction(1)}
        else:
            shares = {("shared", h, detail): Fraction(n, sum(weights.values())) for h, n in weights.items()}
        for part, share in shares.items():
            found[part] = found.get(part, Fraction(0)) + share * Fraction(amount)
    return found


FIRST = date(2026, 1, 1)
AS_OF = date(2026, 3, 15)
# Few, so that lines fall on the first day of a rate.
days = st.integers(0, 11).map(lambda n: FIRST + timedelta(days=n * 8))
foreign = st.sampled_from(["USD", "EUR", "EUR", "JPY", "XTS"])
tags = st.sampled_from(["a/one", "b/two", "nowhere", None])
lines = st.lists(st.tuples(days, foreign, st.decimals(-1000, 1000, places=12), tags), min_size=1, max_size=25)
# None: the files contradict each other.
worth = st.one_of(st.none(), st.decimals("0.000000001", 200, places=9))
rates = st.dictionaries(st.tuples(st.sampled_from(["EUR", "JPY", "USD"]), days), worth, max_size=8)


@pytest.fixture(scope="module")
def landing(tmp_path_factory: pytest.TempPathFactory) -> Landing:
    """One delivery, so that all of its lines count."""
    root: Path = tmp_path_factory.mktemp("bill")
    (root / "drop").mkdir()
    (root / "drop" / "bill.csv").write_text("what it says is put into raw by the test")
    made = Landing(root / "landing")
    made.land("cloud_costs", "focus", list_files("cloud_costs", root / "drop"), datetime(2026, 4, 1, tzinfo=UTC))
    return made


@given(lines, rates, uses)
@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_bill_is_every_line_at_the_rate_of_its_day(
    con: Connection,
    landing: Landing,
    bill: list[tuple[date, str, Decimal, str | None]],
    known: dict[tuple[str, date], Decimal | None],
    used: dict[str, int],
) -> None:
    """In every month hubs + shared + unallocated are it to the cent; a line without a rate is no part of it."""
    for name in ("raw.cloud_costs", "raw.quarantine", "staged.rates", "staged.hubs", "facts.hub_months"):
        con.execute(f"truncate {name}")
    con.execute("truncate facts.monthly_users")
    con.executemany(
        "insert into raw.cloud_costs by name select ?::date as ChargePeriodStart, ChargePeriodStart + interval 1 day "
        "as ChargePeriodEnd, ? as BillingCurrency, ?::decimal(38, 24) as BilledCost, ? as Tags, "
        "'x' as BillingAccountId, "
        "date '2026-01-01' as BillingPeriodStart, date '2026-04-01' as BillingPeriodEnd, 'usage' as ChargeCategory, "
        "'bill.csv' as _file, ? as _row",
        [(day, currency, str(cost), tag, row) for row, (day, currency, cost, tag) in enumerate(bill)],
    )
    if known:
        con.executemany(
            "insert into staged.rates values (?, ?, ?::decimal(38, 9))",
            [(currency, day, None if rate is None else str(rate)) for (currency, day), rate in known.items()],
        )
    for hub in HUBS:
        con.execute(
            "insert into staged.hubs by name select ? as hub_id, ? as cluster, ? as hub, "
            "date '2025-01-01' as from_day, date '9999-12-31' as to_day, 'x' as display_name, "
            "'production' as environment, 'hub' as kind, "
            "'other' as hub_type, ['x'] as communities, 'x' as identity_issuer, 'f' as _file, 1 as _row",
            [hub, *hub.split("/")],
        )
        for month in (date(2026, 1, 1), date(2026, 2, 1), date(2026, 3, 1)):
            con.execute("insert into facts.hub_months values (?, ?, ?, 'other')", [month, hub, hub.split("/")[0]])
            if hub in used:
                con.execute("insert into facts.monthly_users values (?, 'hub', ?, 1, ?)", [month, hub, used[hub]])
    stage_cloud_costs(con, landing, None, "USD", AS_OF)
    allocate(con, "user_days")

    exact: dict[date, Fraction] = {}
    missing = []
    for row, (day, currency, cost, _) in enumerate(bill):
        held = [when for code, when in known if code == currency and when <= day]
        rate = Decimal(1) if currency == "USD" else known[currency, max(held)] if held else None
        if day <= AS_OF and rate is None:
            missing.append((row, f"no_rate:{currency}"))
        elif day <= AS_OF and rate is not None:
            month = day.replace(day=1)
            exact[month] = exact.get(month, Fraction(0)) + Fraction(cost) * Fraction(rate)
    found = con.execute("select month, sum(amount) from facts.cloud_costs group by month").fetchall()
    assert dict(found) == {month: _to_the_cent(amount) for month, amount in exact.items()}
    assert con.execute("select row, reason from raw.quarantine order by row").fetchall() == missing
    ours = [check for check in CHECKS if "cloud_costs" in check.table or "accounting" in check.table]
    assert [check.name for check in ours if not evaluate(con, check, {}).passed] == []


def _to_the_cent(amount: Fraction) -> Decimal:
    """Halves away from zero."""
    cents = (abs(amount) * 100 + Fraction(1, 2)).__floor__()
    return Decimal(cents if amount >= 0 else -cents) / 100
