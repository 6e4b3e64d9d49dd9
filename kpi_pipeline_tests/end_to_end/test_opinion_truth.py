"""Surveys, publications, declarations and charges: what is published for the sample equals its ground truth."""

from pathlib import Path

import duckdb
import pytest

from kpi_pipeline_tests.end_to_end.commands import SAMPLE, published

TRUTH = SAMPLE / "truth" / "opinion"
COMPARISONS = {
    "community satisfaction, with what stands beside it": (
        "select grain, member, period_start, period_end, value, n, status from kpi_values "
        "where kpi_id = 'qualitative.community_satisfaction'",
        "select grain, member, period_start, period_end, value::decimal(38, 9), n, status from '{}/satisfaction.csv'",
    ),
    "publications": (
        "select grain, member, period_start, period_end, value, status from kpi_values "
        "where kpi_id = 'impact_centric.publications_from_hubs'",
        "select grain, member, period_start, period_end, value::decimal(38, 9), status from '{}/publications.csv'",
    ),
    "publications in the view": (
        "select grain, member, period_start, period_end, works, status from publications",
        "select grain, member, period_start, period_end, value, status from '{}/publications.csv'",
    ),
    "cost reduction, to the cent": (
        "select period_start, period_end, reduction, charges, status from cost_reduction where period = 'month'",
        "select period_start, period_end, value::decimal(38, 9), n, status from '{}/cost_reduction.csv'",
    ),
    "cost reduction by quarter": (
        "select period_start, period_end, reduction from cost_reduction where period = 'quarter'",
        "select date_trunc('quarter', period_start)::date, max(period_end), sum(value::decimal(38, 9)) "
        "from '{}/cost_reduction.csv' group by 1",
    ),
    "marginalised communities served": (
        "select v.period_end, v.period_start, v.value, b.value from kpi_values v "
        "join kpi_values b on b.kpi_id = v.kpi_id and b.grain = 'organisation:declared' "
        "and b.period_end = v.period_end where v.grain = 'organisation' "
        "and v.kpi_id = 'impact_centric.historically_marginalised_communities_served'",
        "from '{}/marginalised.csv'",
    ),
}


@pytest.mark.parametrize("what", COMPARISONS)
def test_published_equals_truth(sample_data: Path, what: str) -> None:
    mine, truth = (text.format(TRUTH) for text in COMPARISONS[what])
    with published(sample_data) as con:
        only_mine = con.execute(f"({mine}) except all ({truth}) order by all limit 3").fetchall()
        only_truth = con.execute(f"({truth}) except all ({mine}) order by all limit 3").fetchall()
        rows = con.execute(f"select count(*) from ({truth})").fetchall()[0][0]
    assert (only_mine, only_truth) == ([], [])
    assert rows >= 5


def test_quarantined_is_what_was_spoilt(sample_data: Path) -> None:
    with duckdb.connect(str(sample_data / "warehouse" / "warehouse.duckdb"), read_only=True) as con:
        found = con.execute(
            "select source, reason, count(*) from raw.quarantine "
            "where source in ('surveys', 'survey_invitations', 'publications', 'communities', 'charges') "
            "group by all order by all"
        ).fetchall()
        expected = con.execute(f"from '{TRUTH}/quarantined.csv' order by all").fetchall()
    assert found == expected


def test_no_community_is_shown_by_few_people(sample_data: Path) -> None:
    with published(sample_data) as con:
        shown, hidden = con.execute(
            "select count(mean) filter (where answers < 3), count(*) filter (where mean is null) "
            "from community_satisfaction where grain = 'community'"
        ).fetchall()[0]
    assert shown == 0
    assert hidden > 0


def test_respondents_live_in_the_landing_zone_only(sample_data: Path) -> None:
    files = [file for name in ("warehouse", "published") for file in (sample_data / name).iterdir() if file.is_file()]
    assert {"warehouse.duckdb", "kpis.duckdb", "kpi_values.parquet"} <= {file.name for file in files}
    for file in files:
        assert b"respondent-" not in file.read_bytes().lower(), file
