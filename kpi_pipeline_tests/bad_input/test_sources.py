"""Sources that aren't there, and files that are no data."""

import pytest

from kpi_pipeline.errors import SourceError

from .organisation import GOOD_DAYS, Organisation, with_second


def test_missing_folder_says_which_and_what_to_do(org: Organisation) -> None:
    with pytest.raises(SourceError) as caught:
        org.run()
    message = str(caught.value)
    assert f"source hub_activity: {org.root / 'hub_activity'}" in message
    assert "got no such file or folder" in message
    assert "expected the files of hub_activity" in message
    assert "Mend [sources.hub_activity] path in kpi.toml" in message
    assert "kpi run --replay" in message


def test_missing_file_says_which(org: Organisation) -> None:
    org.config.write_text(org.config.read_text().replace('path = "hub_activity"', 'path = "drop/people.csv"'))
    with pytest.raises(SourceError, match=r"drop/people\.csv: got no such file or folder") as caught:
        org.run()
    assert "relative to kpi.toml" in caught.value.fix


def test_single_file_is_a_source(org: Organisation) -> None:
    org.config.write_text(org.config.read_text().replace('path = "hub_activity"', 'path = "drop/people.csv"'))
    org.drop("drop", "people.csv", "date,cluster,hub,username\n2025-06-01,reef,coral,zz-alice\n")
    org.run()
    assert org.counts() == [("2025-06-01", 1, 1)]
    assert org.quarantine() == []


@pytest.mark.parametrize("others", [(), (".DS_Store", "_SUCCESS", "README.md", ".hidden/people.csv")])
def test_empty_folder(org: Organisation, others: tuple[str, ...]) -> None:
    (org.root / "hub_activity").mkdir()
    for name in others:
        org.drop("hub_activity", name, "not data")
    with pytest.raises(SourceError) as caught:
        org.run()
    message = str(caught.value)
    assert "source hub_activity: " in message
    assert "got an empty folder" in message
    assert "expected at least one file" in message
    assert "Deliver the files of hub_activity, or remove [sources.hub_activity]" in message


def test_nothing_is_landed_when_a_source_is_missing(org: Organisation) -> None:
    with pytest.raises(SourceError):
        org.run()
    assert org.landing.newest("hub_activity") is None


def test_stray_files_are_quarantined_and_hidden_ones_left_alone(org: Organisation) -> None:
    org.drop("hub_activity", "june.csv", with_second("2025-06-01,reef,coral,zz-carol"))
    org.drop("hub_activity", "2025/notes.txt", "zz-alice was here\n")
    org.drop("hub_activity", "people.xlsx", b"PK\x03\x04zz-alice")
    org.drop("hub_activity", ".DS_Store", b"\0\1")
    org.drop("hub_activity", "readme.txt", "how these files are made")
    org.run()
    assert org.quarantine() == [
        ("2025/notes.txt", None, "unsupported_format"),
        ("people.xlsx", None, "unsupported_format"),
    ]
    assert len(org.user_days()) == len(GOOD_DAYS) + 1
    org.assert_no_names(["zz-alice", "zz-bobby", "zz-carol"])


def test_suffix_in_the_middle_of_a_name_decides_nothing(org: Organisation) -> None:
    line = '{"date": "2025-06-01", "cluster": "reef", "hub": "coral", "username": "zz-alice"}\n'
    org.drop("hub_activity", "june.csv.ndjson", line + "broken\n")
    org.drop("hub_activity", "old.csv/july.ndjson", line + "broken\n")
    org.run()
    assert org.quarantine() == [("june.csv.ndjson", 2, "not_json"), ("old.csv/july.ndjson", 2, "not_json")]
    assert org.counts() == [("2025-06-01", 1, 1)]
