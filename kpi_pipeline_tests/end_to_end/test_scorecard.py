"""All 95 KPIs of the register are there; the sample's scorecard is what its truth and the register's targets give."""

import csv
import json
from decimal import Decimal
from pathlib import Path

import pytest

from kpi_pipeline import catalog
from kpi_pipeline_tests.end_to_end.commands import SAMPLE, kpi, published

# As the customer wrote it down: id, measure, comparator, target, unit. The catalogue is compared with it.
REGISTER = list(csv.DictReader((Path(__file__).parents[1] / "kpi_register.csv").open(encoding="utf-8")))
ROLES = [row for row in REGISTER if row["document"].startswith("004")]
LAST_QUARTER = ("2026-07-01", "2026-09-30")


def test_every_kpi_of_the_register_is_in_the_catalogue() -> None:
    kpis = catalog.load().kpis
    assert sorted(kpi.id for kpi in kpis) == sorted(row["id"] for row in REGISTER)
    assert len(kpis) == 95


@pytest.mark.parametrize("row", ROLES, ids=lambda row: row["id"])
def test_target_and_unit_are_those_of_the_register(row: dict[str, str]) -> None:
    found = catalog.load().kpi(row["id"])
    assert (found.role, found.document, found.measure.name, found.measure.unit) == (
        row["owner"],
        row["document"],
        row["measure"],
        row["unit"],
    )
    if row["target"]:
        [target] = found.targets
        assert (target.comparator, target.value) == (row["comparator"], Decimal(row["target"]))
    else:
        assert found.no_target
        assert found.status == "not available"


def expected_status(row: dict[str, str], value: Decimal | None, n: int) -> str:
    surveys = ("satisfaction_score", "recommend_score", "acceptance_score")
    if value is None:
        return "no data"
    if n < 10 and row["measure"] in surveys:
        return "insufficient"
    if not row["target"]:
        return "no target"
    target, tenth = Decimal(row["target"]), Decimal(row["target"]) / 10
    if row["comparator"] == ">=":
        return "met" if value >= target else "near" if value >= target - tenth else "missed"
    return "met" if value <= target else "near" if value <= target + tenth else "missed"


def test_the_last_quarter_is_scored_as_its_truth_says(sample_data: Path) -> None:
    truth: dict[str, tuple[Decimal | None, int]] = {}
    for path in sorted((SAMPLE / "truth" / "roles").glob("*.csv")):
        for line in csv.DictReader(path.open(encoding="utf-8")):
            if not line["figure"] and (line["period_start"], line["period_end"]) == LAST_QUARTER:
                truth[line["kpi_id"]] = (Decimal(line["value"]) if line["value"] else None, int(line["n"]))
    assert len(truth) == 76
    expected = {row["id"]: (truth[row["id"]][0], expected_status(row, *truth[row["id"]])) for row in ROLES}
    with published(sample_data) as con:
        found = con.execute(
            "select kpi_id, value, status from scorecard where (period_start::varchar, period_end::varchar) = (?, ?)",
            LAST_QUARTER,
        ).fetchall()
    assert {kpi_id: (value, status) for kpi_id, value, status in found} == expected


def test_kpi_scorecard_as_json_and_as_text(sample_data: Path) -> None:
    where = ("--config", SAMPLE / "kpi.toml", "--data-dir", sample_data)
    shown = kpi("scorecard", *where, "--role", "tech team", "--quarter", "2026Q3", "--json")
    rows = json.loads(shown.stdout)
    assert {row["kpi_id"] for row in rows} == {row["id"] for row in ROLES if row["owner"] == "Tech Team"}
    assert {row["period_end"] for row in rows} == {"2026-09-30"}
    text = kpi("scorecard", *where)
    assert text.returncode == 0
    assert all(row["owner"] in text.stdout for row in ROLES)
    wrong = kpi("scorecard", *where, "--quarter", "2026-5")
    assert wrong.returncode == 2
    assert "a calendar quarter, such as 2026Q3" in wrong.stderr
