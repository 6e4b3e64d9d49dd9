"""Registry entries that contradict each other or themselves."""

from datetime import UTC, datetime, timedelta

import pytest

from kpi_pipeline.errors import ConfigError

from .organisation import FETCHED, GOOD_DAYS, HEADER, REGISTRY, REGISTRY_HEADER, Organisation, key_of, with_second

ACTIVITY = with_second("2025-06-03,reef,coral,zz-carol")
FOUR_DAYS = sorted([*GOOD_DAYS, ("2025-06-03", "reef/coral", key_of("zz-carol"))])
KELP = ("reef/kelp", "2025-01-01", "9999-12-31", "Kelp")
CORAL = ("reef/coral", "2025-01-01", "9999-12-31", "Coral")


def entry(start: str, end: str = "", hub: str = "coral", name: str = "Coral") -> str:
    return f"{start},{end},reef,gcp,{hub},{name},,,\n"


def run_with(org: Organisation, *entries: str) -> None:
    org.drop("hub_registry", "hubs.csv", "".join([REGISTRY_HEADER, "\n", entry("2025-01-01", hub="kelp"), *entries]))
    org.drop("hub_activity", "june.csv", ACTIVITY)
    org.run()


def test_later_of_two_overlapping_versions_is_quarantined(org: Organisation) -> None:
    run_with(org, entry("2025-06-02", "", name="Later"), entry("2025-01-01", "2025-06-10", name="Earlier"))
    assert org.quarantine() == [("hubs.csv", 2, "overlaps_another_version")]
    assert org.hubs()[0] == ("reef/coral", "2025-01-01", "2025-06-10", "Earlier")
    assert org.user_days() == FOUR_DAYS


def test_version_within_another_is_quarantined(org: Organisation) -> None:
    run_with(org, entry("2025-01-01"), entry("2025-06-01", "2025-06-02", name="Within"))
    assert org.quarantine() == [("hubs.csv", 3, "overlaps_another_version")]
    assert org.user_days() == FOUR_DAYS


def test_a_version_that_overlaps_takes_none_with_it(org: Organisation) -> None:
    """January to March, February to December (wrong), June on: the third overlaps nothing that is right."""
    run_with(
        org,
        entry("2025-01-01", "2025-03-01", name="First"),
        entry("2025-02-01", "2025-12-01", name="Wrong"),
        entry("2025-06-01", name="Third"),
    )
    assert org.quarantine() == [("hubs.csv", 3, "overlaps_another_version")]
    assert org.hubs()[:2] == [
        ("reef/coral", "2025-01-01", "2025-03-01", "First"),
        ("reef/coral", "2025-06-01", "9999-12-31", "Third"),
    ]
    assert org.user_days() == FOUR_DAYS


def test_exact_duplicates_in_two_files(org: Organisation) -> None:
    org.drop("hub_registry", "hubs.csv", REGISTRY)
    org.drop("hub_registry", "also/hubs.csv", REGISTRY)
    org.drop("hub_activity", "june.csv", ACTIVITY)
    org.run()
    assert org.quarantine() == [
        ("hubs.csv", 1, "overlaps_another_version"),
        ("hubs.csv", 2, "overlaps_another_version"),
    ]
    assert org.hubs() == [CORAL, KELP]
    assert org.user_days() == FOUR_DAYS


def test_versions_that_meet_do_not_overlap(org: Organisation) -> None:
    run_with(org, entry("2025-06-02", name="Second"), entry("2025-01-01", "2025-06-02", name="First"))
    assert org.quarantine() == []
    assert org.hubs()[:2] == [
        ("reef/coral", "2025-01-01", "2025-06-02", "First"),
        ("reef/coral", "2025-06-02", "9999-12-31", "Second"),
    ]
    assert org.user_days() == FOUR_DAYS


BAD_ENTRIES = {
    "ends before it begins": ("2025-06-01,2025-05-01,reef,gcp,atoll,Atoll,,,", "ends_before_it_begins"),
    "no begin": (",,reef,gcp,atoll,Atoll,,,", "missing:valid_from"),
    "begin is no moment": ("soon,,reef,gcp,atoll,Atoll,,,", "invalid:valid_from"),
    "end is no moment": ("2025-01-01,never,reef,gcp,atoll,Atoll,,,", "invalid:valid_to"),
    "no hub": ("2025-01-01,,reef,gcp,,Atoll,,,", "missing:hub"),
    "no cluster": ("2025-01-01,, ,gcp,atoll,Atoll,,,", "missing:cluster"),
    "too few columns": ("2025-01-01,,reef,gcp,atoll", "wrong_column_count"),
}


@pytest.mark.parametrize(("bad", "reason"), BAD_ENTRIES.values(), ids=BAD_ENTRIES.keys())
def test_bad_entry(org: Organisation, bad: str, reason: str) -> None:
    run_with(org, bad + "\n", entry("2025-01-01"))
    assert org.quarantine() == [("hubs.csv", 2, reason)]
    assert org.hubs() == [CORAL, ("reef/kelp", "2025-01-01", "9999-12-31", "Coral")]
    assert org.user_days() == FOUR_DAYS


@pytest.mark.parametrize(("column", "value"), [("hub_type", "school"), ("environment", "prod"), ("kind", "lab")])
def test_value_that_is_not_of_the_list(org: Organisation, column: str, value: str) -> None:
    lines = [f"{REGISTRY_HEADER},{column}", *(line + "," for line in REGISTRY.splitlines()[1:])]
    lines.insert(2, f"2025-01-01,,reef,gcp,atoll,Atoll,,,,{value}")
    org.drop("hub_registry", "hubs.csv", "\n".join(lines))
    org.drop("hub_activity", "june.csv", ACTIVITY)
    org.run()
    assert org.quarantine() == [("hubs.csv", 2, f"invalid:{column}")]
    assert org.user_days() == FOUR_DAYS


def test_offsets_are_moments_in_utc(org: Organisation) -> None:
    """Half past one in Berlin on 3 June is still 2 June in UTC."""
    run_with(org, entry("2025-06-01T00:00:00Z", "2025-06-03T01:30:00+02:00"))
    assert org.hubs()[0][1:3] == ("2025-06-01", "2025-06-03")
    assert org.quarantine() == [("june.csv", 2, "hub_not_in_service")]


def test_pattern_that_only_python_understands_is_a_config_error(org: Organisation) -> None:
    org.config.write_text(
        org.config.read_text().replace(
            "[sources.hub_activity]",
            "[[sources.hub_registry.community]]\ncolumn = 'hub'\npattern = '(?<=c)(oral)'\n\n[sources.hub_activity]",
        )
    )
    org.drop("hub_activity", "june.csv", ACTIVITY)
    with pytest.raises(ConfigError) as caught:
        org.run()
    message = str(caught.value)
    assert "sources.hub_registry.community" in message
    assert "(?<=c)(oral)" in message
    assert "RE2" in message


def test_activity_before_its_hub_is_registered(org: Organisation) -> None:
    """It waits in quarantine, and counts once the registry knows the hub."""
    org.drop("hub_activity", "june.csv", with_second("2025-06-03,reef,atoll,zz-carol"))
    org.run()
    assert org.quarantine() == [("june.csv", 2, "unknown_hub")]
    assert org.user_days() == GOOD_DAYS

    org.drop("hub_registry", "hubs.csv", REGISTRY + entry("2025-06-04", hub="atoll"))
    assert org.run(FETCHED + timedelta(days=1)) == []
    # Still not in service on that day; the reason in quarantine is that of the day it was staged.
    assert org.user_days() == GOOD_DAYS

    org.drop("hub_registry", "hubs.csv", REGISTRY + entry("2025-06-03", hub="atoll"))
    staged = org.run(FETCHED + timedelta(days=2))
    assert [str(day) for day in staged] == ["2025-06-03"]
    assert org.quarantine() == []
    assert org.user_days() == sorted([*GOOD_DAYS, ("2025-06-03", "reef/atoll", key_of("zz-carol"))])
    assert org.counts() == [("2025-06-01", 2, 2), ("2025-06-02", 1, 2), ("2025-06-03", 1, 3)]
    assert org.counts("hub", "reef/atoll") == [("2025-06-03", 1, 1)]
    org.assert_no_names(["zz-"])


def test_hub_that_leaves_the_registry_takes_its_activity_along(org: Organisation) -> None:
    org.drop("hub_activity", "june.csv", ACTIVITY)
    org.run()
    org.drop("hub_registry", "hubs.csv", "\n".join(REGISTRY.splitlines()[:2]) + "\n")
    org.run(FETCHED + timedelta(days=1))
    assert org.quarantine() == [("june.csv", 4, "unknown_hub")]
    assert org.user_days() == [day for day in FOUR_DAYS if day[1] == "reef/coral"]
    assert org.counts() == [("2025-06-01", 2, 2), ("2025-06-03", 1, 3)]


def test_shared_issuer_makes_one_person_of_two(org: Organisation) -> None:
    def registry(issuer: str) -> str:
        rows = [f"2025-01-01,,{cluster},gcp,lab,Lab,,,,{issuer}" for cluster in ("east", "west")]
        return "\n".join([f"{REGISTRY_HEADER},identity_issuer", *rows, ""])

    org.drop("hub_registry", "hubs.csv", registry(""))
    activity = [HEADER, "2025-06-01,east,lab,zz-alice", "2025-06-02,west,lab,ZZ-Alice", "2025-06-02,west,lab,zz-bobby"]
    org.drop("hub_activity", "june.csv", "\n".join(activity))
    org.run()
    assert org.user_days() == sorted(
        [
            ("2025-06-01", "east/lab", key_of("zz-alice", "east")),
            ("2025-06-02", "west/lab", key_of("zz-alice", "west")),
            ("2025-06-02", "west/lab", key_of("zz-bobby", "west")),
        ]
    )
    assert org.counts() == [("2025-06-01", 1, 1), ("2025-06-02", 2, 3)]

    org.drop("hub_registry", "hubs.csv", registry("https://id.example.org"))
    org.run(datetime(2025, 7, 11, tzinfo=UTC))
    issuer = "https://id.example.org"
    assert org.user_days() == sorted(
        [
            ("2025-06-01", "east/lab", key_of("zz-alice", issuer)),
            ("2025-06-02", "west/lab", key_of("zz-alice", issuer)),
            ("2025-06-02", "west/lab", key_of("zz-bobby", issuer)),
        ]
    )
    assert org.counts() == [("2025-06-01", 1, 1), ("2025-06-02", 2, 2)]

    org.drop("hub_registry", "hubs.csv", registry(""))
    org.run(datetime(2025, 7, 12, tzinfo=UTC))
    assert org.counts() == [("2025-06-01", 1, 1), ("2025-06-02", 2, 3)]
    org.assert_no_names(["zz-", "ZZ-"])


def test_issuer_holds_from_the_day_it_is_registered_for(org: Organisation) -> None:
    rows = [
        "2025-01-01,2025-06-02,reef,gcp,coral,Coral,,,,",
        "2025-06-02,,reef,gcp,coral,Coral,,,,sso",
        "2025-01-01,,reef,gcp,kelp,Kelp,,,,",
    ]
    org.drop("hub_registry", "hubs.csv", "\n".join([f"{REGISTRY_HEADER},identity_issuer", *rows]))
    org.drop("hub_activity", "june.csv", ACTIVITY)
    org.run()
    expected = [*GOOD_DAYS, ("2025-06-03", "reef/coral", key_of("zz-carol", "sso"))]
    assert org.user_days() == sorted(expected)
