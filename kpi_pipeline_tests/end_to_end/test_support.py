"""Support figures of the sample equal their ground truth, and so do the records that were rejected."""

from pathlib import Path

import duckdb

from kpi_pipeline_tests.end_to_end.commands import SAMPLE, published

TRUTH = SAMPLE / "truth"
TURNAROUND = (
    "select grain, member, period_start, period_end, value, n from kpi_values "
    "where kpi_id = 'community_guidance.ticket_turnaround_time'"
)
TRUE_TURNAROUND = (
    "select grain, member, period_start, period_end, value::decimal(38, 9), n "
    f"from read_csv('{TRUTH}/ticket_turnaround.csv', types = {{'value': 'VARCHAR'}})"
)


ROLLING = "grain like '%:rolling_30_days%'"


def test_ticket_turnaround_equals_truth(sample_data: Path) -> None:
    """Rolling windows on the days that the truth has: the last ones and a spread of others."""
    mine = (
        f"{TURNAROUND} and (not {ROLLING} or period_end in "
        f"(select period_end from '{TRUTH}/ticket_turnaround.csv' where {ROLLING}))"
    )
    with published(sample_data) as con:
        rows = con.execute(f"select count(*), count(*) filter (where {ROLLING}) from ({TRUE_TURNAROUND})").fetchall()
        only_mine = con.execute(f"({mine}) except all ({TRUE_TURNAROUND}) order by all limit 3").fetchall()
        only_truth = con.execute(f"({TRUE_TURNAROUND}) except all ({mine}) order by all limit 3").fetchall()
    assert rows[0][0] > 2000
    assert rows[0][1] > 1000
    assert (only_mine, only_truth) == ([], [])


def test_every_day_since_the_first_ticket_has_its_window(sample_data: Path) -> None:
    with published(sample_data) as con:
        found = con.execute(
            "select count(*), max(period_end) - min(period_end) + 1, bool_and(period_end - period_start = 29), "
            "max(period_end)::varchar from ticket_turnaround "
            "where period = 'rolling_30_days' and grain = 'organisation'"
        ).fetchall()
    days = found[0][0]
    assert found == [(days, days, True, "2026-09-30")]
    assert days > 400


def test_clicks_equal_truth(sample_data: Path) -> None:
    """Rolling windows on the days that the truth has: the last ones and a spread of others."""
    truth = f"select * replace (coalesce(\"window\", '') as \"window\") from '{TRUTH}/nbgitpuller_clicks.csv'"
    mine = (
        "select grain, member, if(period = 'rolling_30_days', period, '') as \"window\", period_start, period_end, "
        "clicks, hits from nbgitpuller_clicks where clicks is not null and (period <> 'rolling_30_days' "
        f"or period_end in (select period_end from ({truth}) where \"window\" = 'rolling_30_days'))"
    )
    with published(sample_data) as con:
        rows = con.execute(f'select "window", count(*) from ({truth}) group by all order by all').fetchall()
        only_mine = con.execute(f"({mine}) except all ({truth}) order by all limit 3").fetchall()
        only_truth = con.execute(f"({truth}) except all ({mine}) order by all limit 3").fetchall()
        days = con.execute(
            "select count(*), max(period_end) - min(period_end) + 1 from nbgitpuller_clicks "
            "where period = 'rolling_30_days' and grain = 'organisation'"
        ).fetchall()
    assert rows[0][1] >= 20
    assert rows[1][1] >= 20
    assert (only_mine, only_truth) == ([], [])
    assert days == [(75, 75)]


def test_faulty_tickets_are_rejected_by_reason(sample_data: Path) -> None:
    with duckdb.connect(str(sample_data / "warehouse" / "warehouse.duckdb"), read_only=True) as con:
        found = con.execute(
            "select reason, count(*) from raw.quarantine where source = 'tickets' group by reason order by reason"
        ).fetchall()
        truth = con.execute(f"select reason, rows from '{TRUTH}/ticket_faults.csv' order by reason").fetchall()
    assert found == truth


def test_the_view_shows_what_is_published(sample_data: Path) -> None:
    with published(sample_data) as con:
        rows = con.execute(
            "select t.reply_hours = v.value, t.replies = v.n from ticket_turnaround t join kpi_values v "
            "using (member, period_start, period_end) where v.kpi_id = 'community_guidance.ticket_turnaround_time' "
            "and t.grain = 'organisation' and v.value is not null and v.grain = "
            "case t.period when 'rolling_30_days' then 'organisation:rolling_30_days' else 'organisation' end"
        ).fetchall()
    assert len(rows) > 400
    assert set(rows) == {(True, True)}
