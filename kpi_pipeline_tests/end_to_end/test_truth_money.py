"""Published revenue and costs equal the sample's truth, which spreads every amount day by day, in fractions."""

from collections import Counter
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest

from kpi_pipeline_tests.end_to_end.commands import SAMPLE, published

TRUTH = SAMPLE / "truth"
MONEY = "decimal(38, 2)"
REVENUE, COSTS = "sustainability.monthly_revenue", "sustainability.monthly_operational_costs"


def truth_of(name: str, figures: str) -> str:
    """Amounts as text, so that none becomes a float. Published from the first line on, which is before `first_day`."""
    return f"select {figures} from read_csv('{TRUTH}/{name}.csv', all_varchar = true)"


def monthly(name: str) -> str:
    figures = f"month::date as month, category, amount::{MONEY} as amount, credits::{MONEY} as credits"
    return truth_of(name, figures)


def quarterly(name: str) -> str:
    return (
        "select date_trunc('quarter', month)::date, category, sum(amount), count(*) "
        f"from ({monthly(name)}) group by all"
    )


def published_quarters(kpi_id: str) -> str:
    return (
        "select period_start, case grain when 'organisation:quarter' then 'total' else member end, "
        f"value::{MONEY}, date_diff('month', period_start, period_end) + 1 from kpi_values "
        f"where kpi_id = '{kpi_id}' and grain in ('organisation:quarter', 'category:quarter')"
    )


def published_beside(basis: str) -> str:
    return (
        f"select '{basis}', period_start, value::{MONEY} from kpi_values "
        f"where kpi_id = '{REVENUE}' and grain = 'organisation:{basis}'"
    )


def beside(basis: str) -> str:
    figures = f"basis, date::date as date, amount::{MONEY} as amount"
    return f"select * from ({truth_of('bookings', figures)}) where basis = '{basis}'"


COMPARISONS = {
    "revenue by month and category": (
        f"select month, category, recognised::{MONEY}, credits::{MONEY} from monthly_revenue",
        monthly("monthly_revenue"),
        165,
    ),
    "costs by month and category": (
        f"select month, category, cost::{MONEY}, credits::{MONEY} from monthly_costs",
        monthly("monthly_costs"),
        231,
    ),
    "revenue by quarter": (published_quarters(REVENUE), quarterly("monthly_revenue"), 55),
    "costs by quarter": (published_quarters(COSTS), quarterly("monthly_costs"), 77),
    "billed": (published_beside("billed"), beside("billed"), 33),
    "booked": (published_beside("booked"), beside("booked"), None),
    "weighted pipeline": (published_beside("pipeline"), beside("pipeline"), 1),
}


@pytest.mark.parametrize("what", COMPARISONS)
def test_published_equals_truth(sample_data: Path, what: str) -> None:
    mine, truth, count = COMPARISONS[what]
    with published(sample_data) as con:
        only_mine = con.execute(f"({mine}) except all ({truth}) order by all limit 3").fetchall()
        only_truth = con.execute(f"({truth}) except all ({mine}) order by all limit 3").fetchall()
        rows = con.execute(f"select count(*) from ({truth})").fetchall()[0][0]
    assert (only_mine, only_truth) == ([], [])
    assert rows > 0
    assert count is None or rows == count


def test_every_line_is_accounted_for(sample_data: Path) -> None:
    with duckdb.connect(str(sample_data / "warehouse" / "warehouse.duckdb"), read_only=True) as con:
        found = con.execute("select source, reason from raw.quarantine where source in ('ledger', 'deals', 'rates')")
        assert Counter(found.fetchall()) == {
            ("ledger", "invalid:amount"): 1,
            ("ledger", "invalid:currency"): 1,
            ("ledger", "ends_before_it_begins"): 1,
            ("ledger", "missing:amount"): 1,
            ("ledger", "no_rate:XXQ"): 1,
            ("deals", "missing:amount"): 1,
        }


def test_future_service_is_known_but_not_published(sample_data: Path) -> None:
    with duckdb.connect(str(sample_data / "warehouse" / "warehouse.duckdb"), read_only=True) as con:
        future = con.execute("select sum(amount) from facts.recognised where month > date '2026-09-30'").fetchall()[0][
            0
        ]
    with published(sample_data) as con:
        newest = con.execute("select max(period_end)::varchar from kpi_values where kpi_id like 'sust%'").fetchall()[0][
            0
        ]
    assert future > Decimal(0)
    assert newest == "2026-09-30"


def test_no_free_text_and_no_owner_is_published(sample_data: Path) -> None:
    for path in (path for path in (sample_data / "published").iterdir() if path.is_file()):
        content = path.read_bytes()
        assert b"an owner" not in content
        assert b"salaries engineering," not in content
