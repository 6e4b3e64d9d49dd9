"""The KPIs of roles that are published for the sample equal their ground truth, to the last digit."""

from pathlib import Path

import duckdb
import pytest

from kpi_pipeline import catalog
from kpi_pipeline_tests.end_to_end.commands import SAMPLE, published

TRUTH = SAMPLE / "truth" / "roles"
ROLE_KPIS = [kpi for kpi in catalog.load().kpis if kpi.role]
# The KPI's own value, and the figures beside it, where it stands.
PUBLISHED = """
select v.kpi_id, v.period_start, v.period_end, v.value, v.n
from kpi_values v
where v.kpi_id = $kpi and v.grain = $grain and v.member = $member
"""
EXPECTED = f"""
select kpi_id, period_start, period_end, value, n
from read_csv('{TRUTH}/*.csv', types = {{'value': 'DECIMAL(38, 9)', 'figure': 'VARCHAR'}}, nullstr = '')
where kpi_id = $kpi and coalesce(figure, '') = $figure
"""


@pytest.mark.parametrize("kpi", ROLE_KPIS, ids=lambda kpi: kpi.id)
def test_published_equals_truth(sample_data: Path, kpi: catalog.Kpi) -> None:
    grain, member = kpi.place
    figures = ("", *(figure for figure in kpi.measure.figures if figure in _figures(kpi)))
    with published(sample_data) as con:
        for figure in figures:
            own = {"kpi": kpi.id, "grain": f"{grain}:{figure}" if figure else grain, "member": member}
            found = set(con.execute(PUBLISHED, own).fetchall())
            expected = set(con.execute(EXPECTED, {"kpi": kpi.id, "figure": figure}).fetchall())
            periods = {(start, end) for _, start, end, _, _ in expected}
            assert expected
            assert {row for row in found if (row[1], row[2]) in periods} == expected
            # The truth has every month and quarter, but only some of the rolling windows.
            assert found == expected or "rolling" in figure


def _figures(kpi: catalog.Kpi) -> set[str]:
    with duckdb.connect() as con:
        return {f for (f,) in con.execute(
            f"select distinct figure from read_csv('{TRUTH}/*.csv', nullstr = '', types = {{'figure': 'VARCHAR'}}) "
            "where kpi_id = ? and figure is not null", [kpi.id]
        ).fetchall()}  # fmt: skip


def test_no_value_of_a_role_that_one_person_may_hold_is_external(sample_data: Path) -> None:
    with published(sample_data) as con:
        roles = con.execute(
            "select distinct d.role from external_values v join kpi_definitions d on v.kpi_id = d.kpi_id"
        ).fetchall()
    assert not {role for (role,) in roles} & {"Product Manager", "Software Architect"}
