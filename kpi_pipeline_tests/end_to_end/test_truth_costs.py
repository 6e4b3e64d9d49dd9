"""What is published of cloud costs for the sample equals its ground truth, to the cent and the ninth digit."""

from pathlib import Path

import duckdb
import pytest

from kpi_pipeline_tests.end_to_end.commands import SAMPLE, published

TRUTH = SAMPLE / "truth"
COSTS = "{'month': 'DATE', 'hub_id': 'VARCHAR', 'basis': 'VARCHAR', 'cost': 'DECIMAL(38, 2)'}"
PER_USER = (
    "{'month': 'DATE', 'grain': 'VARCHAR', 'member': 'VARCHAR', 'cost_per_user': 'DECIMAL(38, 9)', "
    "'cost': 'DECIMAL(38, 2)', 'users': 'BIGINT', 'idle_cost': 'DECIMAL(38, 2)'}"
)
COMPARISONS = {
    "monthly costs by hub and basis": (
        "select month, hub_id, basis, cost from monthly_cloud_costs",
        f"from read_csv('{TRUTH}/monthly_cloud_costs.csv', header = true, columns = {COSTS})",
        1361,
    ),
    "cost per user by hub, hub type and for the organisation": (
        "select month, grain, member, cost_per_user, cost, users, idle_cost from cloud_cost_per_hub_user",
        f"from read_csv('{TRUTH}/cloud_cost_per_hub_user.csv', header = true, columns = {PER_USER})",
        867,
    ),
    "cost per user by quarter: the months' costs / the months' users": (
        "select period_start, split_part(grain, ':', 1), member, value, numerator::decimal(38, 2), n from kpi_values "
        "where kpi_id = 'engineering.cloud_cost_per_hub_user' and grain like '%:quarter'",
        "select date_trunc('quarter', month)::date, grain, member, case when sum(users) > 0 then "
        "round(sum(cost)::decimal(38, 18) / sum(users), 9)::decimal(38, 9) end, sum(cost), sum(users) "
        f"from read_csv('{TRUTH}/cloud_cost_per_hub_user.csv', header = true, columns = {PER_USER}) group by all",
        294,
    ),
}


@pytest.mark.parametrize("what", COMPARISONS)
def test_published_equals_truth(sample_data: Path, what: str) -> None:
    mine, truth, count = COMPARISONS[what]
    with published(sample_data) as con:
        only_mine = con.execute(f"({mine}) except all ({truth}) order by all limit 3").fetchall()
        only_truth = con.execute(f"({truth}) except all ({mine}) order by all limit 3").fetchall()
        rows = con.execute(f"select count(*) from ({truth})").fetchall()[0][0]
    assert (only_mine, only_truth) == ([], [])
    assert rows == count


def test_the_bill_is_what_hubs_cost_and_what_is_nobodys(sample_data: Path) -> None:
    """The three figures beside the KPI, and the view, say the same."""
    with published(sample_data) as con:
        wrong = con.execute(
            """with figure as (
                select period_start as month, split_part(grain, ':', 2) as what, value from kpi_values
                where kpi_id = 'engineering.cloud_cost_per_hub_user' and member = 'organisation'
            )
            select month, value from figure where what = 'bill'
            except
            select month, sum(cost) from monthly_cloud_costs group by month"""
        ).fetchall()
        parts = con.execute("select basis, count(*) from monthly_cloud_costs group by all order by all").fetchall()
        idle = con.execute("select count(*) from cloud_cost_per_hub_user where cost_per_user is null").fetchall()
    assert wrong == []
    assert [basis for basis, _ in parts] == ["direct", "shared", "unallocated"]
    assert idle[0][0] > 100


def test_every_broken_line_is_in_quarantine(sample_data: Path) -> None:
    with duckdb.connect(str(sample_data / "warehouse" / "warehouse.duckdb"), read_only=True) as con:
        reasons = con.execute(
            "select reason, count(*) from raw.quarantine where source = 'cloud_costs' group by all"
        ).fetchall()
        truth = con.execute(f"from '{TRUTH}/cloud_costs_quarantined.csv'").fetchall()
    assert sorted(reasons) == sorted(truth)
