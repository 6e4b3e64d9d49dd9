"""Whatever the bill and whoever the users: what is allocated is the bill to the cent, and every share is fair."""

from collections.abc import Iterator
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kpi_pipeline.contracts import WAREHOUSE
from kpi_pipeline.stages.costs import allocate
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

    total = sum((amount for _, amount in bill), Decimal(0))
    assert sum(row[3] for row in rows) == total.quantize(Decimal("0.01"), ROUND_HALF_UP)
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
