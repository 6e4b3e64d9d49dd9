"""The 95th percentile of response times equals Prometheus' histogram_quantile, step by step, on random histograms."""

from datetime import date
from decimal import Decimal
from fractions import Fraction

import duckdb
from hypothesis import given, settings
from hypothesis import strategies as st

from kpi_pipeline import catalog
from kpi_pipeline.contracts import TABLES
from kpi_pipeline.warehouse import create_tables, run

MEASURE = catalog.load().kpi("tech_team.api_response_time").measure
DAY = date(2026, 1, 31)
TABLES_READ = [TABLES[name] for name in MEASURE.reads]
bounds = st.lists(st.integers(-2000, 10**7), min_size=0, max_size=6, unique=True).map(sorted)
billionths = st.integers(0, 10**13)


@st.composite
def histograms(draw: st.DrawFn) -> list[tuple[Fraction | None, Fraction]]:
    """Bounds and how many are at most that, in order; the last bound is None: there is none."""
    chosen = draw(bounds)
    steps = [draw(st.one_of(st.just(0), billionths)) for _ in range(len(chosen) + 1)]
    upto = [Fraction(sum(steps[: place + 1]), 10**9) for place in range(len(steps))]
    return list(zip([*(Fraction(bound, 1000) for bound in chosen), None], upto, strict=True))


def bucket_quantile(q: Fraction, buckets: list[tuple[Fraction | None, Fraction]]) -> Fraction | None:
    """bucketQuantile of Prometheus' promql/quantile.go, in fractions. None: NaN."""
    observations = buckets[-1][1]
    if len(buckets) < 2 or observations == 0:
        return None
    rank = q * observations
    b = next((i for i, (_, upto) in enumerate(buckets[:-1]) if upto >= rank), len(buckets) - 1)
    if b == len(buckets) - 1:
        return buckets[-2][0]
    end, upto = buckets[b]
    assert end is not None
    if b == 0 and end <= 0:
        return end
    start, below = (Fraction(0), Fraction(0)) if b == 0 else buckets[b - 1]
    assert start is not None
    return start + (end - start) * (rank - below) / (upto - below)


@settings(max_examples=150, deadline=None)
@given(histograms())
def test_as_prometheus_works_it_out(buckets: list[tuple[Fraction | None, Fraction]]) -> None:
    with duckdb.connect() as con:
        create_tables(con, TABLES_READ)
        con.execute("insert into facts.periods by name select 'month' as kind, ? as period_start, ? as period_end, "
                    "true as is_closed", [DAY, DAY])  # fmt: skip
        for bound, upto in buckets:
            con.execute(
                "insert into facts.api_buckets by name "
                "select ? as date, 'x' as service, ? as le, 1 as histograms, ? as calls",
                [DAY, None if bound is None else _decimal(bound), _decimal(upto)],
            )
        found = run(con, f"select value from ({MEASURE.formula}) where grain = 'organisation:p95'", {"as_of": DAY})
    expected = bucket_quantile(Fraction(95, 100), buckets)
    assert found == ([] if expected is None else [(_decimal(expected),)])


def _decimal(number: Fraction) -> Decimal:
    """At nine decimals, half up (to the greater of two, for negative numbers too)."""
    return Decimal((number * 10**9 * 2 + 1) // 2).scaleb(-9)
