"""What is rejected of ceremonies, projects and tasks of the sample is what was spoilt. Their KPIs: test_truth_roles."""

from pathlib import Path

import duckdb

from kpi_pipeline_tests.end_to_end.commands import SAMPLE


def test_quarantined_is_what_was_spoilt(sample_data: Path) -> None:
    with duckdb.connect(str(sample_data / "warehouse" / "warehouse.duckdb"), read_only=True) as con:
        found = con.execute(
            "select source, reason, count(*) from raw.quarantine "
            "where source in ('ceremonies', 'projects', 'intern_tasks') group by all order by all"
        ).fetchall()
        expected = con.execute(f"from '{SAMPLE}/truth/delivery_quarantine.csv' order by all").fetchall()
    assert found == expected
    assert len(found) >= 9
