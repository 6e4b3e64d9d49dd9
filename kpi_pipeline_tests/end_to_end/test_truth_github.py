"""Published KPIs of issues and upstream work equal their ground truth, and no login is in what is published."""

import json
from pathlib import Path

import duckdb
import pytest

from kpi_pipeline.sample.github import STAFF
from kpi_pipeline_tests.end_to_end.commands import SAMPLE, published

TRUTH = SAMPLE / "truth"
KPI = "select grain, member, period_start, period_end, {} from kpi_values where kpi_id = '{}'"
COMPLETION = f"read_csv('{TRUTH}/issue_completion_time.csv', types = {{'value': 'DECIMAL(38, 9)'}})"
PARTS = (
    "opened",
    "reopened",
    "completed",
    "not_planned",
    "duplicate",
    "transferred_in",
    "transferred_out",
    "open_at_end",
)
DEPLOYMENT = f"read_csv('{TRUTH}/hub_deployment_time.csv', types = {{'value': 'DECIMAL(38, 9)'}})"
COMPARISONS = {
    "closed less opened, by month": (
        KPI.format("value::bigint", "engineering.issues_closed_minus_opened") + " and grain not like '%:%'",
        f"select grain, member, period_start, period_end, value from '{TRUTH}/issue_flows.csv'",
    ),
    **{
        f"{part}, by month": (
            KPI.format("value::bigint", "engineering.issues_closed_minus_opened") + f" and grain like '%:{part}'",
            f"select grain || ':{part}', member, period_start, period_end, {part} from '{TRUTH}/issue_flows.csv'",
        )
        for part in PARTS
    },
    "completion time and the figures beside it, to the last digit": (
        KPI.format("value, n", "engineering.issue_completion_time") + " and grain not like '%:rolling_30_days%'",
        f"select grain, member, period_start, period_end, value::decimal(38, 9), n "
        f"from {COMPLETION} where grain not like '%:rolling_30_days%'",
    ),
    "completion time over rolling windows, on the days that the truth has": (
        KPI.format("value, n", "engineering.issue_completion_time") + " and grain like '%:rolling_30_days%' "
        f"and period_end in (select period_end from {COMPLETION} where grain like '%:rolling_30_days%')",
        f"select grain, member, period_start, period_end, value::decimal(38, 9), n "
        f"from {COMPLETION} where grain like '%:rolling_30_days%'",
    ),
    "hub deployment time and the figures beside it, to the last digit": (
        KPI.format("value, n", "engineering.hub_deployment_time")
        + f" and (grain not like '%:rolling%' or period_end in (select period_end from {DEPLOYMENT} "
        "where grain like '%:rolling%'))",
        f"select grain, member, period_start, period_end, value, n from {DEPLOYMENT}",
    ),
    "upstream contributions, by month": (
        KPI.format("value::bigint", "upstream.upstream_contributions") + " and grain not like '%:%'",
        f"select grain, member, period_start, period_end, value from '{TRUTH}/upstream_contributions.csv'",
    ),
}


@pytest.mark.parametrize("what", COMPARISONS)
def test_published_equals_truth(sample_data: Path, what: str) -> None:
    mine, truth = COMPARISONS[what]
    with published(sample_data) as con:
        only_mine = con.execute(f"({mine}) except all ({truth}) order by all limit 3").fetchall()
        only_truth = con.execute(f"({truth}) except all ({mine}) order by all limit 3").fetchall()
        rows = con.execute(f"select count(*) from ({truth})").fetchall()[0][0]
    assert (only_mine, only_truth) == ([], [])
    assert rows > 0


def test_what_is_broken_is_in_quarantine_with_its_reason(sample_data: Path) -> None:
    with duckdb.connect(str(sample_data / "warehouse" / "warehouse.duckdb"), read_only=True) as con:
        found = con.execute(
            "select source, reason, count(*) from raw.quarantine where source in ('github', 'affiliations', "
            "'upstream_work') group by all order by all"
        ).fetchall()
        expected = con.execute(f"from '{TRUTH}/github_quarantine.csv' order by all").fetchall()
    assert found == expected


def test_deployments_end_with_their_first_terminal_state(sample_data: Path) -> None:
    with duckdb.connect(str(sample_data / "warehouse" / "warehouse.duckdb"), read_only=True) as con:
        found = con.execute("select deployment_id, finished_at, outcome from facts.deployments order by all").fetchall()
        expected = con.execute(f"from '{TRUTH}/deployments.csv' order by all").fetchall()
    assert found == expected
    assert len(found) > 40


def test_months_of_a_quarter_sum_to_it(sample_data: Path) -> None:
    with published(sample_data) as con:
        wrong = con.execute(
            """select q.member, q.period_start, q.value, sum(m.value) from kpi_values q
            join kpi_values m on m.kpi_id = q.kpi_id and m.member = q.member and q.grain = m.grain || ':quarter'
                and m.period_start >= q.period_start and m.period_end <= q.period_end
            where q.kpi_id in ('engineering.issues_closed_minus_opened', 'upstream.upstream_contributions')
            group by all having q.value <> sum(m.value)"""
        ).fetchall()
    assert wrong == []


def test_every_day_since_the_first_close_has_its_window(sample_data: Path) -> None:
    with published(sample_data) as con:
        rows = con.execute(
            "select count(*), count(distinct period_end), max(period_end) - min(period_end) + 1, "
            "bool_and(period_end - period_start = 29), max(period_end)::varchar, count(status), min(issues) "
            "from issue_completion where period = 'rolling_30_days' and grain = 'organisation'"
        ).fetchall()
        closed = con.execute(
            f"select min(period_end) from {COMPLETION} where grain = 'organisation:rolling_30_days'"
        ).fetchall()[0][0]
        begins = con.execute("select min(period_end) from issue_completion where period = 'rolling_30_days'").fetchall()
    days = rows[0][0]
    assert rows == [(days, days, days, True, "2026-09-30", days, rows[0][6])]
    assert days > 300
    assert begins[0][0] <= closed


def test_no_login_is_published_or_in_the_warehouse(sample_data: Path) -> None:
    for database in ("published/kpis.duckdb", "warehouse/warehouse.duckdb"):
        with duckdb.connect(str(sample_data / database), read_only=True) as con:
            tables = con.execute("select schema_name, table_name from duckdb_tables() where not internal").fetchall()
            for schema, name in tables:
                text = json.dumps(con.execute(f'from "{schema}"."{name}"').fetchall(), default=str).casefold()
                assert not any(login.casefold() in text for login in STAFF), f"{schema}.{name}"
