"""What is published for the sample equals its ground truth, which is counted by brute force, from the simulation."""

import json
from pathlib import Path

import duckdb
import pytest

from kpi_pipeline_tests.end_to_end.commands import SAMPLE, published

TRUTH = SAMPLE / "truth"
ACTIVE = 'date, grain, member, dau, wau, mau, new, "returning", lapsed'
COMPARISONS = {
    "active users at every grain on every day": (
        f"select {ACTIVE} from active_users",
        f"select {ACTIVE} from '{TRUTH}/active_users.csv.gz'",
        41754,
    ),
    "MAU as KPI values": (
        "select period_end, grain, member, value::bigint, period_end - period_start from kpi_values "
        "where kpi_id = 'impact.monthly_active_users'",
        f"select date, grain, member, mau, 29 from '{TRUTH}/active_users.csv.gz'",
        41754,
    ),
    "MAU percentiles, to the last digit": (
        "select date, p10, p50, p90, hubs, zero_hubs from mau_percentiles where status <> 'incomplete'",
        f"select date, p10::decimal(38, 9), p50::decimal(38, 9), p90::decimal(38, 9), n, zero_hubs "
        f"from '{TRUTH}/mau_percentiles.csv'",
        428,
    ),
    "communities served and provisioned": (
        "select date, period_start, served, provisioned from communities_served",
        f"from '{TRUTH}/communities_served.csv'",
        457,
    ),
    "running hubs and clusters per provider": (
        "select date, provider, hubs, staging_hubs, binder_hubs, clusters from running_infrastructure "
        "where provider <> 'all' and date >= date '2025-07-01'",
        f"select date, provider, production_hubs + binder_hubs, staging_hubs, binder_hubs, production_clusters "
        f"from '{TRUTH}/running.csv' where production_hubs + binder_hubs + staging_hubs > 0",
        None,
    ),
    "excluded user-days by rule": (
        "select rule_id, user_days from exclusions",
        "select unnest(map_entries(excluded), recursive := true) from (select "
        f"from_json(json -> 'excluded_user_days', '\"MAP(VARCHAR, BIGINT)\"') as excluded "
        f"from read_json_objects('{TRUTH}/accounting.json'))",
        4,
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
    assert rows > 0
    assert count is None or rows == count


def test_every_record_is_accounted_for(sample_data: Path) -> None:
    truth = json.loads((TRUTH / "accounting.json").read_text())
    with duckdb.connect(str(sample_data / "warehouse" / "warehouse.duckdb"), read_only=True) as con:
        hubs = "select reason, count(*) from raw.quarantine where source like 'hub%' group by reason"
        reasons = dict(con.execute(hubs).fetchall())
        totals = con.execute(
            "select sum(excluded), sum(staging), sum(binder), sum(qualifying) from staged.activity_accounting"
        ).fetchall()[0]
    assert reasons == {reason: rows for reason, rows in truth["quarantined_rows"].items() if rows}
    assert totals == (
        truth["excluded_user_days_total"],
        truth["staging_user_days"],
        truth["binder_user_days"],
        truth["qualifying_user_days"],
    )
