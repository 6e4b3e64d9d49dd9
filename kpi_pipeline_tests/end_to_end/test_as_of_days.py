"""The whole sample as of days on which periods coincide, or have only just begun: everything still publishes."""

from pathlib import Path

import pytest

from kpi_pipeline_tests.end_to_end.commands import SAMPLE, published, run


@pytest.mark.parametrize("day", ["2026-07-31", "2026-01-31", "2026-01-01", "2025-07-15"])
def test_every_domain_publishes(tmp_path: Path, day: str) -> None:
    """The end of a quarter's first month, its first day, and a day before most sources begin."""
    run(SAMPLE / "kpi.toml", tmp_path, "--as-of", day)
    with published(tmp_path) as con:
        assert con.execute("select max(period_end)::varchar from kpi_values").fetchall() == [(day,)]
        kpis = con.execute("select count(distinct kpi_id) from kpi_values").fetchall()[0][0]
        assert con.execute("select count(*) from kpi_definitions").fetchall() == [(kpis,)]
