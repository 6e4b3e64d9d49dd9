"""What the UI shows of assets: groups, definitions, owners, columns, values, checks and freshness."""

from datetime import date
from typing import Any

import pytest

from kpi_pipeline import catalog
from kpi_pipeline.catalog import Kpi
from kpi_pipeline.contracts import RECORDS, TABLES, WAREHOUSE, delivery, metrics, opinion, outreach, product, quality
from kpi_pipeline.stages.checks import CHECKS
from kpi_pipeline_tests.end_to_end.commands import values, wait_until
from kpi_pipeline_tests.webserver.conftest import LAST_DAY
from kpi_pipeline_tests.webserver.live import PATIENCE, Live

KPIS = catalog.load().kpis
SOURCES = tuple(RECORDS)
ROLE_DOMAINS = (delivery, metrics, outreach, product, quality)
ENTRIES = """
  __typename label
  ... on TextMetadataEntry { text }
  ... on MarkdownMetadataEntry { mdStr }
  ... on IntMetadataEntry { intValue }
  ... on TableSchemaMetadataEntry { schema { columns { name type description } } }
"""
NODES = f"""{{
  assetNodes {{
    assetKey {{ path }} groupName description kinds
    owners {{ ... on TeamAssetOwner {{ team }} }}
    metadataEntries {{ {ENTRIES} }}
    internalFreshnessPolicy {{ __typename }}
    freshnessStatusInfo {{ freshnessStatus }}
    assetMaterializations(limit: 1) {{ runId metadataEntries {{ {ENTRIES} }} }}
    assetChecksOrError {{
      ... on AssetChecks {{
        checks {{
          name blocking
          executionForLatestMaterialization {{ status evaluation {{ success severity }} }}
        }}
      }}
    }}
  }}
}}"""
VALUE_OF = {
    "TextMetadataEntry": "text",
    "MarkdownMetadataEntry": "mdStr",
    "IntMetadataEntry": "intValue",
    "TableSchemaMetadataEntry": "schema",
}


@pytest.fixture(scope="module")
def nodes(live: Live) -> dict[str, Any]:
    return {"/".join(node["assetKey"]["path"]): node for node in live.ask(NODES)["assetNodes"]}


def metadata(entries: list[dict[str, Any]]) -> dict[str, Any]:
    return {entry["label"]: entry.get(VALUE_OF.get(entry["__typename"], "")) for entry in entries}


def latest(node: dict[str, Any]) -> dict[str, Any]:
    return metadata(node["assetMaterializations"][0]["metadataEntries"])


def key_of(kpi: Kpi) -> str:
    return f"kpi/{kpi.group}/{kpi.name}"


def test_every_asset_is_there_in_its_group(nodes: dict[str, Any]) -> None:
    groups: dict[str, set[str]] = {}
    for name, node in nodes.items():
        groups.setdefault(node["groupName"], set()).add(name)
    assert groups == {
        "hubs": {
            "landing/hub_registry",
            "landing/hub_activity",
            "raw/hub_registry",
            "raw/hub_activity",
            "raw/quarantine",
            "staged/hubs",
            "staged/user_days",
            "staged/binder_sessions",
            "staged/activity_accounting",
            "staged/exclusion_effects",
            "facts/active_users",
            "facts/coverage",
            "facts/missing_activity",
        },
        "calendar": {"facts/periods", "facts/business_hours", "staged/teams"},
        "cloud_costs": {
            "landing/cloud_costs",
            "raw/cloud_costs",
            "staged/cloud_costs",
            "staged/cloud_cost_accounting",
            "facts/hub_months",
            "facts/monthly_users",
            "facts/cloud_costs",
        },
        "engineering": {
            "kpi/engineering/cloud_cost_per_hub_user",
            "kpi/engineering/issues_closed_minus_opened",
            "kpi/engineering/issue_completion_time",
            "kpi/engineering/hub_deployment_time",
        },
        "github": {
            *(
                f"{stage}/{name}"
                for stage in ("landing", "raw")
                for name in ("github", "affiliations", "upstream_work")
            ),
            *(
                "staged/github_objects",
                "staged/issues",
                "facts/issue_flows",
                "facts/issue_open",
                "facts/technical_issues",
            ),
            *("facts/issue_assigned", "facts/issue_labels", "facts/upstream_contributions"),
            *("facts/deployments", "facts/hub_requests", "facts/hub_request_waits"),
        },
        "upstream": {"kpi/upstream/upstream_contributions"},
        "impact": {
            "kpi/impact/communities_served",
            "kpi/impact/monthly_active_users",
            "kpi/impact/mau_p10",
            "kpi/impact/mau_p50",
            "kpi/impact/mau_p90",
        },
        "impact_centric": {
            "kpi/impact_centric/publications_from_hubs",
            "kpi/impact_centric/historically_marginalised_communities_served",
            "kpi/impact_centric/cost_reduction_given",
        },
        "opinion": {
            *(f"{stage}/{record.source}" for record in opinion.RECORDS for stage in ("landing", "raw")),
            "staged/survey_answers",
            "staged/survey_invitations",
            "staged/community_declarations",
            "staged/charges",
            "facts/survey_answers",
            "facts/works",
            "facts/cost_reductions",
        },
        "qualitative": {"kpi/qualitative/community_satisfaction"},
        "community_guidance": {
            "kpi/community_guidance/nbgitpuller_clicks",
            "kpi/community_guidance/ticket_turnaround_time",
        },
        "clicks": {"landing/access_logs", "raw/access_logs", "facts/nbgitpuller_hits"},
        "support": {
            "landing/tickets",
            "raw/tickets",
            "staged/tickets",
            "staged/ticket_messages",
            "facts/ticket_waits",
            "facts/tickets",
            "facts/ticket_ratings",
        },
        "running_infrastructure": {"kpi/running_infrastructure/running_hubs_and_clusters"},
        "money": {
            *(f"{stage}/{source}" for stage in ("landing", "raw") for source in ("ledger", "deals", "rates")),
            "staged/ledger",
            "staged/deals",
            "staged/rates",
            "facts/recognised",
            "facts/recognised_periods",
            "facts/bookings",
            "facts/pipeline",
        },
        "sustainability": {
            "kpi/sustainability/monthly_revenue",
            "kpi/sustainability/monthly_operational_costs",
        },
        "published": {
            "published/active_users",
            "published/annotations",
            "published/closed_months",
            "published/communities",
            "published/data_health",
            "published/exclusions",
            "published/exemptions",
            "published/exports",
            "published/hubs",
            "published/kpi_definitions",
            "published/kpi_details",
            "published/kpi_values",
            "published/organisation",
            "published/scorecard",
            "published/scorecard_details",
            "published/site",
            "published/source_parts",
            "published/targets",
            "published/withheld_values",
        },
        **{domain.__name__.split(".")[-1]: of_domain(domain) for domain in ROLE_DOMAINS},
        **{kpi.group: {key_of(other) for other in KPIS if other.group == kpi.group} for kpi in KPIS if kpi.role},
    }


def of_domain(domain: Any) -> set[str]:
    """Landing and raw of its sources, and its tables."""
    landing = {f"landing/{record.source}" for record in domain.RECORDS}
    return landing | {table.name.replace(".", "/") for table in domain.WAREHOUSE}


@pytest.mark.parametrize("kpi", KPIS, ids=lambda kpi: kpi.name)
def test_a_kpi_says_what_it_means_whose_it_is_and_how_it_stands(nodes: dict[str, Any], kpi: Kpi) -> None:
    node = nodes[key_of(kpi)]
    assert kpi.measure.definition in node["description"]
    assert kpi.measure.caveats in node["description"]
    assert kpi.as_written in node["description"]
    assert node["owners"] == [{"team": kpi.owner.lower().replace(" ", "_")}]
    assert set(node["kinds"]) == {"duckdb", "kpi"}

    defined = metadata(node["metadataEntries"])
    assert defined["unit"] == kpi.measure.unit
    assert defined["owner"] == kpi.owner
    targets = [f"{t.comparator} {t.value} {t.unit} per {t.window}, from {t.valid_from}" for t in kpi.targets[-1:]]
    assert defined["target"] == (targets[0] if targets else f"none. {kpi.no_target}")
    assert defined.get("role") == kpi.role

    now = latest(node)
    assert now["latest_value"].split()[0].replace(",", "").replace(".", "").lstrip("-").isdigit()
    assert now["latest_period_end"] == LAST_DAY
    assert now["dagster/row_count"] > 0
    assert now["plot"].startswith(f"![{kpi.title}](data:image/svg+xml;base64,")


def test_the_newest_mau_is_the_truth(nodes: dict[str, Any], truth: dict[tuple[str, str, str], Any]) -> None:
    expected = int(truth[LAST_DAY, "organisation", "organisation"]["mau"])
    assert latest(nodes["kpi/impact/monthly_active_users"])["latest_value"] == f"{expected:,} people"


@pytest.mark.parametrize("name", [t.name for t in TABLES.values() if t.name != "kpi.kpi_values"])
def test_a_table_shows_its_columns_and_rows(nodes: dict[str, Any], name: str) -> None:
    node = nodes.get(name.replace(".", "/"))
    if node is None:
        # The pipeline's own bookkeeping, which is no asset.
        assert name in {t.name for t in WAREHOUSE}
        return
    columns = metadata(node["metadataEntries"])["dagster/column_schema"]["columns"]
    assert [(c["name"], c["type"], c["description"]) for c in columns] == [
        (c.name, c.type, c.comment) for c in TABLES[name].columns
    ]
    assert latest(node)["dagster/row_count"] >= 0


# What is made of the published tables, and is none itself; months are closed by a job of their own.
NO_TABLES = {"published/closed_months", "published/exports", "published/site"}


def test_the_report_and_the_exports_say_how_much_they_hold(nodes: dict[str, Any], live: Live) -> None:
    assert latest(nodes["published/site"])["pages"] == len(
        list((live.data_dir / "published" / "site").glob("**/*.html"))
    )
    assert latest(nodes["published/exports"])["tables"] == len(values(live.data_dir))
    assert nodes["published/closed_months"]["assetMaterializations"] == []


def test_row_counts_are_those_of_the_published_tables(nodes: dict[str, Any], live: Live) -> None:
    counted = {
        name: latest(node)["dagster/row_count"]
        for name, node in nodes.items()
        if name.startswith("published/") and name not in NO_TABLES
    }
    assert counted == {f"published/{name}": len(rows) for name, rows in values(live.data_dir).items()}


def test_publishing_says_what_the_landing_zone_has_forgotten(nodes: dict[str, Any]) -> None:
    shown = latest(nodes["published/data_health"])
    assert (shown["landing_contents_deleted"], shown["landing_bytes_deleted"]) == (0, 0)


def test_every_check_is_there_and_blocks_where_it_must(nodes: dict[str, Any]) -> None:
    shown = sorted((check["name"], check["blocking"]) for node in nodes.values() for check in checks_of(node))
    declared = [(check.name, check.severity == "ERROR") for check in CHECKS]
    late = [("data_is_newer_than_its_deadline", False) for _ in SOURCES]
    targets = [("target_is_reached", False) for kpi in KPIS if kpi.targets]
    assert len(targets) == 66
    # Of each source that can be asked over its API.
    parts = [("every_part_is_fetched", False)] * 8
    assert shown == sorted([*declared, *late, *parts, *targets])


# What the sample has on purpose, for these checks to notice; everything else passes.
NOTICED = {
    ("facts/api_calls", "api_calls_have_no_gap"),
    ("facts/api_times", "calls_have_durations"),
    ("facts/deployments", "production_deployments_name_a_hub"),
    ("facts/product_users", "activity_is_of_registered_users"),
    ("facts/technical_issues", "technical_issues_have_an_agreed_time"),
    ("raw/quarantine", "few_records_are_rejected"),
}


def test_every_check_passed_but_those_that_notice_something(nodes: dict[str, Any]) -> None:
    failed = set()
    for name, node in nodes.items():
        for check in checks_of(node):
            execution = check["executionForLatestMaterialization"]
            assert execution, (name, check)
            if not execution["evaluation"]["success"] and check["name"] != "target_is_reached":
                assert execution["evaluation"]["severity"] == "WARN"
                failed.add((name, check["name"]))
    assert failed == NOTICED


def test_a_target_that_is_missed_is_a_warning(nodes: dict[str, Any]) -> None:
    """What the scorecard calls met or exempt has passed, and nothing else."""
    for kpi in KPIS:
        for check in checks_of(nodes[key_of(kpi)]):
            if check["name"] == "target_is_reached":
                evaluation = check["executionForLatestMaterialization"]["evaluation"]
                assert evaluation["success"] == (latest(nodes[key_of(kpi)])["scorecard"] in ("met", "exempt"))
                assert evaluation["severity"] == "WARN"


def checks_of(node: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = node["assetChecksOrError"].get("checks", [])
    return found


def test_sources_kpis_and_published_tables_have_a_deadline(nodes: dict[str, Any], live: Live) -> None:
    with_policy = {name for name, node in nodes.items() if node["internalFreshnessPolicy"]}
    assert with_policy == {
        *(f"{stage}/{source}" for stage in ("landing", "raw") for source in SOURCES),
        *map(key_of, KPIS),
        *(name for name in nodes if name.startswith("published/") and name != "published/closed_months"),
    }

    def states() -> set[str]:
        found = {
            "/".join(node["assetKey"]["path"]): node["freshnessStatusInfo"] for node in live.ask(NODES)["assetNodes"]
        }
        return {found[name]["freshnessStatus"] for name in with_policy}

    # The daemon works them out after it has started.
    wait_until(lambda: "UNKNOWN" not in states(), PATIENCE)
    assert states() == {"HEALTHY"}


def test_days_that_hold_data_are_shown_as_made(live: Live, truth: dict[tuple[str, str, str], Any]) -> None:
    question = (
        "query ($keys: [AssetKeyInput!]!) { assetNodes(assetKeys: $keys) { partitionStats { numMaterialized } } }"
    )
    found = live.ask(question, keys=[{"path": ["facts", "active_users"]}, {"path": ["staged", "user_days"]}])
    days = {date.fromisoformat(day) for day, grain, _ in truth if grain == "organisation"}
    assert [node["partitionStats"]["numMaterialized"] for node in found["assetNodes"]] == [len(days)] * 2
