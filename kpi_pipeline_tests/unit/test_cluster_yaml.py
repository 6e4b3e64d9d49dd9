"""A registry kept as cluster.yaml files: what each fetch shows becomes the history of the hubs."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from kpi_pipeline.errors import SourceError
from kpi_pipeline.sources import cluster_yaml
from kpi_pipeline_tests.bad_input.organisation import (
    HEADER,
    KPI_TOML,
    REGISTRY,
    SECRET,
    Organisation,
    key_of,
)

FIRST, SECOND, THIRD, FOURTH = (datetime(2025, 6, day, 12, tzinfo=UTC) for day in (1, 5, 10, 15))
ALWAYS = "9999-12-31"


@pytest.fixture
def org(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Organisation:
    for name in ("KPI_CONFIG", "KPI_DATA_DIR", "KPI_AS_OF"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("KPI_ID_SECRET", SECRET)
    organisation = Organisation(tmp_path)
    (tmp_path / "hub_registry" / "hubs.csv").unlink()
    configure(organisation)
    organisation.drop("hub_activity", "a.csv", HEADER + "\n")
    return organisation


def configure(org: Organisation, more: str = "", kind: str = "cluster_yaml") -> None:
    old = 'kind = "table"\npath = "hub_registry"\n'
    assert old in KPI_TOML
    org.config.write_text(KPI_TOML.replace(old, f'kind = "{kind}"\npath = "hub_registry"\n{more}'))


def cluster(org: Organisation, name: str, *hubs: str) -> None:
    """Each hub is name:display name."""
    lines = [f"name: {name}", "provider: gcp", "hubs:" if hubs else "hubs: []"]
    for hub in hubs:
        hub_name, shown = hub.split(":")
        lines += [f"  - name: {hub_name}", f"    display_name: {shown}", f"    domain: {hub_name}.example.org"]
    org.drop("hub_registry", f"{name}/cluster.yaml", "\n".join(lines) + "\n")


def intervals(org: Organisation) -> list[tuple[object, ...]]:
    return org.query(
        "select hub, display_name, valid_from::varchar, valid_to::varchar from raw.hub_registry order by all"
    )


def test_hub_appears_is_renamed_disappears_and_comes_back(org: Organisation) -> None:
    cluster(org, "reef", "coral:Coral", "kelp:Kelp")
    org.run(FIRST)
    assert intervals(org) == [
        ("coral", "Coral", "2025-06-01 12:00:00", None),
        ("kelp", "Kelp", "2025-06-01 12:00:00", None),
    ]
    cluster(org, "reef", "coral:Coral Reef", "kelp:Kelp", "atoll:Atoll")
    org.run(SECOND)
    cluster(org, "reef", "coral:Coral Reef", "atoll:Atoll")
    org.run(THIRD)
    assert intervals(org) == [
        ("atoll", "Atoll", "2025-06-05 12:00:00", None),
        ("coral", "Coral", "2025-06-01 12:00:00", "2025-06-05 12:00:00"),
        ("coral", "Coral Reef", "2025-06-05 12:00:00", None),
        ("kelp", "Kelp", "2025-06-01 12:00:00", "2025-06-10 12:00:00"),
    ]
    cluster(org, "reef", "coral:Coral Reef", "atoll:Atoll", "kelp:Kelp")
    org.run(FOURTH)
    assert intervals(org) == [
        ("atoll", "Atoll", "2025-06-05 12:00:00", None),
        ("coral", "Coral", "2025-06-01 12:00:00", "2025-06-05 12:00:00"),
        ("coral", "Coral Reef", "2025-06-05 12:00:00", None),
        ("kelp", "Kelp", "2025-06-01 12:00:00", "2025-06-10 12:00:00"),
        ("kelp", "Kelp", "2025-06-15 12:00:00", None),
    ]
    assert org.hubs() == [
        ("reef/atoll", "2025-06-05", ALWAYS, "Atoll"),
        ("reef/coral", "2025-06-01", "2025-06-05", "Coral"),
        ("reef/coral", "2025-06-05", ALWAYS, "Coral Reef"),
        ("reef/kelp", "2025-06-01", "2025-06-11", "Kelp"),
        ("reef/kelp", "2025-06-15", ALWAYS, "Kelp"),
    ]
    assert org.quarantine() == []


def test_unreadable_file_keeps_its_last_good_version(org: Organisation) -> None:
    cluster(org, "reef", "coral:Coral")
    cluster(org, "pond", "lily:Lily")
    org.drop("hub_activity", "a.csv", f"{HEADER}\n2025-06-06,reef,coral,zz-alice\n")
    org.run(FIRST)
    org.drop("hub_registry", "reef/cluster.yaml", "name: reef\nhubs: [ {name: coral\n")
    cluster(org, "pond", "lily:Lily", "frog:Frog")
    org.run(SECOND)
    assert org.quarantine() == [("a.csv", 1, "future:date"), ("reef/cluster.yaml", None, "not_cluster_yaml")]
    assert intervals(org) == [
        ("coral", "Coral", "2025-06-01 12:00:00", None),
        ("frog", "Frog", "2025-06-05 12:00:00", None),
        ("lily", "Lily", "2025-06-01 12:00:00", None),
    ]
    org.drop("hub_activity", "a.csv", f"{HEADER}\n2025-06-06,reef,coral,zz-alice\n\n")
    cluster(org, "reef", "coral:Coral")
    org.run(THIRD)
    assert org.quarantine() == []
    assert org.user_days() == [("2025-06-06", "reef/coral", key_of("zz-alice"))]


NO_CLUSTER_YAML = [
    b"",
    b"\xff\xfe",
    b"just text",
    b"hubs: {}",
    b"name: reef",
    b"hubs:\n  - display_name: nameless\n",
    b"hubs:\n  - name: '  '\n",
    b"hubs:\n  - coral\n",
    b"hubs:\n  - {name: coral, hub_type: school}\n",
    b"hubs:\n  - {name: coral, environment: prod}\n",
    b"hubs: [!!python/object/apply:os.system ['true']]\n",
    b"hubs: [2025-13-45]\n",
    # Both would end the process: one by its depth, one by what its aliases unfold to.
    b"hubs: " + b"[" * 200_000,
    b"a0: &a0 [x]\n"
    + b"".join(b"a%d: &a%d [%s]\n" % (n, n, b",".join([b"*a%d" % (n - 1)] * 9)) for n in range(1, 10))
    + b"hubs: [{name: *a9}]\n",
    b"hubs: &a [*a]\n",
]


def test_file_that_is_no_cluster_yaml(org: Organisation) -> None:
    cluster(org, "pond", "lily:Lily")
    for n, content in enumerate(NO_CLUSTER_YAML):
        org.drop("hub_registry", f"reef{n:02d}/cluster.yaml", content)
    org.run(FIRST)
    assert org.quarantine() == [
        (f"reef{n:02d}/cluster.yaml", None, "not_cluster_yaml") for n in range(len(NO_CLUSTER_YAML))
    ]
    assert [hub[0] for hub in org.hubs()] == ["pond/lily"]


def test_since_dates_what_the_first_fetch_shows(org: Organisation) -> None:
    configure(org, "since = 2024-01-01\n")
    cluster(org, "reef", "coral:Coral")
    org.run(FIRST)
    cluster(org, "reef", "coral:Coral", "kelp:Kelp")
    org.run(SECOND)
    assert org.hubs() == [
        ("reef/coral", "2024-01-01", ALWAYS, "Coral"),
        ("reef/kelp", "2025-06-05", ALWAYS, "Kelp"),
    ]
    configure(org, "since = 2023-01-01\n")
    org.run(SECOND)
    assert org.hubs()[0] == ("reef/coral", "2023-01-01", ALWAYS, "Coral")


def test_nothing_new_is_not_loaded_again(org: Organisation) -> None:
    cluster(org, "reef", "coral:Coral")
    org.run(FIRST)
    loads = org.query("select * from raw.loads order by all")
    org.run(SECOND)
    assert org.query("select * from raw.loads order by all") == loads
    assert len(org.landing.manifests("hub_registry")) == 1


def test_the_same_content_in_two_folders_is_two_clusters(org: Organisation) -> None:
    """A cluster without a name has its folder's."""
    for name in ("reef", "pond"):
        org.drop("hub_registry", f"{name}/cluster.yaml", "hubs: [{name: coral, display_name: Coral}]\n")
    org.run(FIRST)
    assert [hub[0] for hub in org.hubs()] == ["pond/coral", "reef/coral"]


def test_a_file_that_comes_back_broken_shows_nothing_of_before(org: Organisation) -> None:
    cluster(org, "pond", "lily:Lily")
    cluster(org, "reef", "coral:Coral")
    org.run(FIRST)
    (org.root / "hub_registry" / "reef" / "cluster.yaml").unlink()
    org.run(SECOND)
    org.drop("hub_registry", "reef/cluster.yaml", "broken")
    org.run(THIRD)
    assert intervals(org) == [
        ("coral", "Coral", "2025-06-01 12:00:00", "2025-06-05 12:00:00"),
        ("lily", "Lily", "2025-06-01 12:00:00", None),
    ]
    assert org.quarantine() == [("reef/cluster.yaml", None, "not_cluster_yaml")]


def test_a_clock_that_was_set_back_ends_nothing_before_it_began(org: Organisation) -> None:
    for at, name in ((SECOND, "coral:A"), (FIRST, "coral:B"), (THIRD, "coral:C")):
        cluster(org, "reef", name)
        org.run(at)
    assert intervals(org) == [
        ("coral", "B", "2025-06-05 12:00:00", "2025-06-10 12:00:00"),
        ("coral", "C", "2025-06-10 12:00:00", None),
    ]


def test_hub_listed_twice_stays_one(org: Organisation) -> None:
    cluster(org, "reef", "coral:Coral", "coral:Coral")
    for at, other in ((FIRST, "a:A"), (SECOND, "b:B"), (THIRD, "c:C")):
        cluster(org, "pond", other)
        org.run(at)
    assert [hub for hub in org.hubs() if hub[0] == "reef/coral"] == [("reef/coral", "2025-06-01", ALWAYS, "Coral")]
    assert org.quarantine() == []


def test_registry_that_becomes_a_table_forgets_the_files(org: Organisation) -> None:
    cluster(org, "reef", "coral:Coral", "old:Old")
    org.drop("hub_registry", "pond/cluster.yaml", "broken")
    org.run(FIRST)
    for name in ("reef", "pond"):
        (org.root / "hub_registry" / name / "cluster.yaml").unlink()
    org.drop("hub_registry", "hubs.csv", REGISTRY)
    configure(org, kind="table")
    org.run(SECOND)
    assert [hub[0] for hub in org.hubs()] == ["reef/coral", "reef/kelp"]
    assert org.quarantine() == []
    assert org.query("select file from raw.loads where source = 'hub_registry'") == [("hubs.csv",)]


def test_table_that_becomes_files_counts_from_the_first_files(org: Organisation) -> None:
    """What was landed as a table is no snapshot of cluster.yaml files."""
    cluster(org, "reef", "coral:Coral")
    configure(org, kind="table")
    org.run(FIRST)
    assert org.quarantine() == [("reef/cluster.yaml", None, "unsupported_format")]
    configure(org, "since = 2024-01-01\n")
    org.run(SECOND)
    assert org.hubs() == [("reef/coral", "2024-01-01", ALWAYS, "Coral")]
    assert org.quarantine() == []


def test_folder_without_cluster_yaml(org: Organisation) -> None:
    org.drop("hub_registry", "hubs.csv", REGISTRY)
    with pytest.raises(SourceError) as caught:
        org.run(FIRST)
    message = str(caught.value)
    assert f"source hub_registry: {org.root / 'hub_registry'}" in message
    assert "got no file named cluster.yaml" in message
    assert "expected a folder of <cluster>/cluster.yaml files" in message
    assert "Point [sources.hub_registry] path at" in message


def test_parse_gives_the_registrys_columns() -> None:
    content = b"provider: aws\nhubs:\n  - {name: 12, display_name: ' A ', domain: '', kind: Hub, extra: [1]}\n"
    assert cluster_yaml.parse("clusters/reef/cluster.yaml", content) == [
        {
            "cluster": "reef",
            "provider": "aws",
            "hub": "12",
            "display_name": "A",
            "domain": None,
            "helm_chart": None,
            "hubspot_deal_id": None,
            "community": None,
            "hub_type": None,
            "environment": None,
            "kind": "Hub",
        }
    ]


def test_cluster_needs_a_name() -> None:
    with pytest.raises(ValueError, match="cluster without a name"):
        cluster_yaml.parse("cluster.yaml", b"hubs: [{name: coral}]")
