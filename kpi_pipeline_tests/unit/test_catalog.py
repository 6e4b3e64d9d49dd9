"""The catalogue: every worked example is run as a test, and a wrong definition is refused with file and field."""

import shutil
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest

from kpi_pipeline import catalog
from kpi_pipeline.catalog import Example, Measure
from kpi_pipeline.contracts import TABLES
from kpi_pipeline.errors import CatalogError
from kpi_pipeline.warehouse import create_tables, quote, run, set_up

PACKAGED = Path(catalog.__file__).parent
# What a KPI without a scope binds; an example may say otherwise.
UNSCOPED = {"own_grain": "organisation", "own_member": "organisation", "scope": []}
MIN_PEOPLE = 3  # what examples say of few people is by the default
EXAMPLES = [(m, e) for m in catalog.load().measures for e in m.examples]


@pytest.mark.parametrize(("measure", "example"), EXAMPLES, ids=[f"{m.name}-{e.as_of}" for m, e in EXAMPLES])
def test_worked_example(measure: Measure, example: Example) -> None:
    with set_up(duckdb.connect()) as con:
        create_tables(con, [TABLES[name] for name in {*measure.reads, *example.input, "facts.periods"}])
        for name, rows in example.input.items():
            for row in rows:
                columns = ", ".join(quote(column) for column in row)
                marks = ", ".join(f"${column}" for column in row)
                con.execute(f"insert into {quote(name)} ({columns}) values ({marks})", row)
        bound = {
            **measure.bound, **UNSCOPED, **connected(measure), "as_of": example.as_of, "min_people": MIN_PEOPLE,
            **example.parameters,
        }  # fmt: skip
        fields = ("grain", "member", "period_start", "period_end", "value", "n", "status")
        found = run(con, f"select {', '.join(fields)} from ({measure.formula})", bound)
    # TOML knows no null: a field that an example leaves out has none.
    expected = [{**dict.fromkeys(fields), **row} for row in example.expected]
    assert comparable([dict(zip(fields, row, strict=True)) for row in found]) == comparable(expected)


def connected(measure: Measure) -> dict[str, bool]:
    return {f"has_{source}": False for source in (*measure.sources, *measure.better_with)}


def comparable(rows: Any) -> list[str]:
    """Rows in a fixed order, numbers by value: 9, Decimal('9.000') and 9.0 are the same."""

    def plain(value: object) -> object:
        is_number = isinstance(value, int | float | Decimal)
        return format(Decimal(str(value)).normalize(), "f") if is_number else str(value)

    return sorted(str({name: plain(value) for name, value in sorted(row.items())}) for row in rows)


def test_every_kpi_of_the_organisation_is_there() -> None:
    assert sorted(kpi.id for kpi in catalog.load().kpis if not kpi.role) == [
        "community_guidance.nbgitpuller_clicks",
        "community_guidance.ticket_turnaround_time",
        "engineering.cloud_cost_per_hub_user",
        "engineering.hub_deployment_time",
        "engineering.issue_completion_time",
        "engineering.issues_closed_minus_opened",
        "impact.communities_served",
        "impact.mau_p10",
        "impact.mau_p50",
        "impact.mau_p90",
        "impact.monthly_active_users",
        "impact_centric.cost_reduction_given",
        "impact_centric.historically_marginalised_communities_served",
        "impact_centric.publications_from_hubs",
        "qualitative.community_satisfaction",
        "running_infrastructure.running_hubs_and_clusters",
        "sustainability.monthly_operational_costs",
        "sustainability.monthly_revenue",
        "upstream.upstream_contributions",
    ]


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    shutil.copytree(PACKAGED, tmp_path / "catalog", ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    return tmp_path / "catalog"


def change(folder: Path, old: str, new: str, name: str = "impact.toml") -> None:
    text = (folder / name).read_text()
    assert old in text
    (folder / name).write_text(text.replace(old, new, 1))


def test_a_kpi_on_an_existing_measure_is_one_entry(copy: Path) -> None:
    with (copy / "impact.toml").open("a") as file:
        file.write(
            '\n[[kpi]]\nid = "impact.people"\nmeasure = "monthly_active_users"\ntitle = "People"\n'
            'question = "How many?"\nas_written = "People."\nowner = "Engineering"\naudience = "external"\n'
            'status = "active"\n\n[[kpi.targets]]\ncomparator = ">="\nvalue = 1000\nunit = "people"\n'
            "valid_from = 2026-01-01\n"
        )
    kpi = catalog.load(copy).kpi("impact.people")
    [target] = kpi.targets
    assert (target.value, target.valid_from, kpi.measure.unit) == (1000, date(2026, 1, 1), "people")


@pytest.mark.parametrize(
    ("old", "new", "culprit"),
    [
        ('measure = "mau_p10"', 'measure = "mau_p11"', "kpi impact.mau_p10: measure"),
        ('owner = "Engineering"', "", "kpi impact.monthly_active_users: owner"),
        ('id = "impact.mau_p10"', 'id = "impact.mau_p50"', "id"),
        ('audience = "external"', 'audience = "everybody"', "kpi impact.communities_served: audience"),
        ("no_target = ", "no_targt = ", "kpi impact.communities_served: no_targt"),
        ('theme = "impact"', 'theme = "impact"\ncolour = "red"', "colour"),
        (
            'no_target = "The document sets none: what is enough follows from the organisation\'s strategy."',
            'targets = [{comparator = ">=", value = 3, unit = "percent", valid_from = 2026-01-01}]',
            "kpi impact.communities_served: entry",
        ),
        ("[[kpi]]", "[[kpi]", "impact.toml"),
    ],
)
def test_a_wrong_kpi_is_refused_with_file_and_field(copy: Path, old: str, new: str, culprit: str) -> None:
    change(copy, old, new)
    with pytest.raises(CatalogError) as caught:
        catalog.load(copy)
    assert culprit in caught.value.culprit
    assert str(copy) in caught.value.culprit


def test_a_ratio_has_one_figure_beside_it(copy: Path) -> None:
    change(copy / "measures", 'beside = ["flaky"]', 'beside = ["flaky", "slow"]', "qa_pass_rate.toml")
    with pytest.raises(CatalogError, match="one figure beside it, not 2"):
        catalog.load(copy)


def test_five_headlines_are_refused(copy: Path) -> None:
    text = (copy / "impact.toml").read_text()
    (copy / "impact.toml").write_text(text.replace('status = "active"\nno', 'status = "active"\nheadline = true\nno'))
    with pytest.raises(CatalogError, match="at most 4"):
        catalog.load(copy)


@pytest.mark.parametrize(
    ("old", "new", "culprit"),
    [
        ('unit = "people"', "", "monthly_active_users.toml: unit"),
        ('sources = ["hub_activity", "hub_registry"]', 'sources = ["hub_activty"]', "monthly_active_users.toml"),
        (
            '"facts.coverage", "facts.missing_activity"]',
            '"facts.coverage", "facts.users"]',
            "monthly_active_users.toml",
        ),
        ('caveats = """', 'caveat = """', "monthly_active_users.toml: caveats"),
    ],
)
def test_a_wrong_measure_is_refused(copy: Path, old: str, new: str, culprit: str) -> None:
    change(copy, old, new, "measures/monthly_active_users.toml")
    with pytest.raises(CatalogError) as caught:
        catalog.load(copy)
    assert culprit in caught.value.culprit


def test_a_measure_without_its_formula_is_refused(copy: Path) -> None:
    (copy / "measures" / "communities_served.sql").unlink()
    with pytest.raises(CatalogError, match=r"communities_served\.sql"):
        catalog.load(copy)


def test_definition_hash_follows_the_formula_and_nothing_else(copy: Path) -> None:
    before = catalog.load(copy).kpi("impact.monthly_active_users").definition_hash
    change(copy, 'title = "Monthly active users"', 'title = "MAU"')
    assert catalog.load(copy).kpi("impact.monthly_active_users").definition_hash == before
    change(copy, "mau as value", "n as value", "measures/monthly_active_users.sql")
    assert catalog.load(copy).kpi("impact.monthly_active_users").definition_hash != before


TARGET = 'targets = [{ comparator = ">=", value = 80, unit = "percent", valid_from = 2025-01-01 }]'


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ('scope = { team = "frontend" }', 'scope = { tribe = "frontend" }', "no dimension 'tribe'"),
        ('scope = { team = "frontend" }', "scope = { team = [] }", "at least 1"),
        ('unit = "percent"', 'unit = "hours"', "target is in 'hours'"),
        ("valid_from = 2025-01-01 }", 'valid_from = 2025-01-01, statistic = "p99" }', "'p99'"),
        ("valid_from = 2025-01-01 }", "valid_from = 2025-01-01, min_n = 0 }", "greater than or equal to 1"),
        ("valid_from = 2025-01-01 }", 'valid_from = 2025-01-01, window = "decade" }', "quarter"),
        (TARGET, 'no_target = "none"\n' + TARGET, "either targets or no_target"),
        (TARGET, "", "either targets or no_target"),
        ("2025-01-01 }]", '2025-01-01 }, { comparator = ">=", value = 90, unit = "percent", valid_from = 2024-01-01 }]',
         "in the order of valid_from"),
        ('measure = "ceremony_attendance_rate"', 'measure = "issue_completion_time"', "is in 'hours'"),
    ],
)  # fmt: skip
def test_a_wrong_kpi_of_a_role_is_refused(copy: Path, old: str, new: str, expected: str) -> None:
    name = "frontend_team.toml"
    text = (copy / name).read_text()
    entry = text[text.index('[[kpi]]\nid = "frontend_team.ceremony_attendance_rate"') :]
    assert old in entry
    (copy / name).write_text(text.replace(entry, entry.replace(old, new, 1)))
    with pytest.raises(CatalogError) as caught:
        catalog.load(copy)
    assert "frontend_team.toml: kpi frontend_team.ceremony_attendance_rate" in caught.value.culprit
    assert expected in str(caught.value)


def test_a_role_that_one_person_may_hold_is_internal(copy: Path) -> None:
    change(copy, 'audience = "internal"', 'audience = "external"', "product_manager.toml")
    with pytest.raises(CatalogError, match="one person may hold"):
        catalog.load(copy)
