"""A wrong configuration says which key, what came, what was expected and what to do; never who is in it."""

import traceback
from datetime import date, timedelta
from pathlib import Path

import pytest

from kpi_pipeline import clock, settings
from kpi_pipeline.errors import ConfigError

GOOD = """
[organisation]
name = "Reef"

[sources.hub_registry]
kind = "table"
path = "hub_registry"

[sources.hub_activity]
kind = "table"
path = "hub_activity"

[[exclusions]]
source = "hub_activity"
match = { cluster = "reef", username = ["zz-alice", "zz-bobby"] }
from = 2025-02-06
to = 2025-04-02
reason = "staff"
approved_by = "infrastructure"
"""


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("KPI_CONFIG", "KPI_DATA_DIR", "KPI_AS_OF", "KPI_ID_SECRET"):
        monkeypatch.delenv(name, raising=False)


def written(folder: Path, text: str) -> Path:
    path = folder / "kpi.toml"
    path.write_text(text)
    return path


def load(folder: Path, text: str = GOOD, as_of: date | None = date(2025, 6, 30)) -> settings.Settings:
    return settings.load(written(folder, text), folder / "data", as_of)


def changed(old: str, new: str) -> str:
    assert GOOD.count(old) == 1
    return GOOD.replace(old, new)


def refused(folder: Path, text: str) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        load(folder, text)
    shown = "".join(traceback.format_exception(caught.value))
    assert "zz-" not in shown
    error = caught.value
    assert str(error) == f"{error.culprit}: got {error.got}; expected {error.expected}. {error.fix}"
    assert all((error.culprit, error.got, error.expected, error.fix))
    return error


def test_two_people_are_too_few_to_be_shown(tmp_path: Path) -> None:
    """Each of two would know what the other said."""
    more = "[privacy]\nmin_people = {}\n\n[organisation]"
    assert load(tmp_path).config.privacy.min_people == 3
    assert load(tmp_path, changed("[organisation]", more.format(5))).config.privacy.min_people == 5
    error = refused(tmp_path, changed("[organisation]", more.format(2)))
    assert "min_people" in error.culprit


def test_good_configuration(tmp_path: Path) -> None:
    found = load(tmp_path)
    rule = found.config.exclusions[0]
    assert (rule.id, rule.first, rule.last) == ("rule-1", date(2025, 2, 6), date(2025, 4, 2))
    assert rule.match.username == ("zz-alice", "zz-bobby")
    assert found.as_of == date(2025, 6, 30)
    assert found.source_path(Path("hub_activity")) == tmp_path / "hub_activity"
    assert found.landing_dir == tmp_path / "data" / "landing"


@pytest.mark.parametrize(
    ("old", "new", "key", "hint"),
    [
        ('name = "Reef"', 'name = "Reef"\ntimezoen = "UTC"', "organisation.timezoen", "'timezone'"),
        ("[sources.hub_activity]", "[sources.hub_activty]", "sources.hub_activty", "'hub_activity'"),
        ("[organisation]", "[organization]\n[organisation]", "organization", "'organisation'"),
        ("approved_by", "aproved_by = 'us'\napproved_by", "exclusions.0.aproved_by", "'approved_by'"),
        ("username = [", "usernames = [", "exclusions.0.match.usernames", "'username'"),
        ("from =", "form =", "exclusions.0.form", "'from'"),
    ],
)
def test_key_that_nothing_reads(tmp_path: Path, old: str, new: str, key: str, hint: str) -> None:
    error = refused(tmp_path, changed(old, new))
    assert error.culprit == f"{tmp_path / 'kpi.toml'}: {key}"
    assert error.got == "a key that nothing reads"
    assert hint.strip("'") in error.expected.split(", ")
    assert error.fix == f"Did you mean {hint}?"


def test_key_that_resembles_nothing(tmp_path: Path) -> None:
    error = refused(tmp_path, changed('name = "Reef"', 'name = "Reef"\nqqqq = 1'))
    assert error.fix.startswith("Remove it, or look it up")


@pytest.mark.parametrize(
    ("old", "key"),
    [
        ('name = "Reef"\n', "organisation.name"),
        ('reason = "staff"\n', "exclusions.0.reason"),
        ('approved_by = "infrastructure"\n', "exclusions.0.approved_by"),
        ('path = "hub_registry"\n', "sources.hub_registry.path"),
        ('match = { cluster = "reef", username = ["zz-alice", "zz-bobby"] }\n', "exclusions.0.match"),
    ],
)
def test_missing_key(tmp_path: Path, old: str, key: str) -> None:
    error = refused(tmp_path, changed(old, ""))
    assert error.culprit == f"{tmp_path / 'kpi.toml'}: {key}"
    assert error.got == "nothing"
    assert "required" in error.expected


@pytest.mark.parametrize(
    ("old", "new", "key", "got", "expected"),
    [
        ('"Reef"', "7", "organisation.name", "7", "string"),
        ('"Reef"', '""', "organisation.name", "''", "at least 1"),
        ('"Reef"', '"Reef"\ntimezone = "Mars/Base"', "organisation.timezone", "'Mars/Base'", "'Europe/Berlin'"),
        ('"Reef"', '"Reef"\ntimezone = "../etc"', "organisation.timezone", "'../etc'", "time zone"),
        ('"Reef"', '"Reef"\nreporting_currency = "Euro"', "organisation.reporting_currency", "'Euro'", "[A-Z]"),
        ('path = "hub_registry"', "path = 3", "sources.hub_registry.path", "3", "path"),
        ("from = 2025-02-06", 'from = "soon"', "exclusions.0.from", "'soon'", "date"),
        ('source = "hub_activity"', 'source = "tickets"', "exclusions.0.source", "'tickets'", "hub_activity"),
        ('"staff"', '""', "exclusions.0.reason", "''", "at least 1"),
    ],
)
def test_wrong_value(tmp_path: Path, old: str, new: str, key: str, got: str, expected: str) -> None:
    error = refused(tmp_path, changed(old, new))
    assert error.culprit == f"{tmp_path / 'kpi.toml'}: {key}"
    assert error.got == got
    assert expected in error.expected
    assert error.fix == "Mend that key."


@pytest.mark.parametrize(
    ("old", "new", "key", "expected"),
    [
        ("to = 2025-04-02", "to = 2025-02-05", "exclusions.0", "'to' (2025-02-05) is before 'from' (2025-02-06)"),
        ('cluster = "reef", username = ["zz-alice", "zz-bobby"]', "", "exclusions.0.match", "an empty match"),
        ('cluster = "reef", username = ["zz-alice", "zz-bobby"]', "username = []", "exclusions.0.match", "an empty"),
        ('"zz-bobby"]', "7]", "exclusions.0.match.username.1", "string"),
        ('["zz-alice", "zz-bobby"]', "{ a = 'zz-alice' }", "exclusions.0.match.username", "tuple"),
        ('{ cluster = "reef", username = ["zz-alice", "zz-bobby"] }', '"zz-alice"', "exclusions.0.match", "Match"),
        ('{ cluster = "reef", username = ["zz-alice", "zz-bobby"] }', '["zz-alice"]', "exclusions.0.match", "Match"),
        ('cluster = "reef"', 'cluster = ["zz-alice"]', "exclusions.0.match.cluster", "string"),
        ("[[exclusions]]", "[exclusions]", "exclusions", "tuple"),
    ],
)
def test_wrong_exclusion_names_nobody(tmp_path: Path, old: str, new: str, key: str, expected: str) -> None:
    error = refused(tmp_path, changed(old, new))
    assert error.culprit == f"{tmp_path / 'kpi.toml'}: {key}"
    assert expected in error.expected


def test_two_exclusions_with_one_id(tmp_path: Path) -> None:
    rule = GOOD[GOOD.index("[[exclusions]]") :]
    error = refused(tmp_path, GOOD.replace("[[exclusions]]\n", '[[exclusions]]\nid = "rule-2"\n') + rule)
    assert "exclusions share the id 'rule-2'" in error.expected


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("(", "not a regular expression"),
        ("hub", "has 0 capture groups; exactly one is needed"),
        ("(a)(b)", "has 2 capture groups"),
    ],
)
def test_bad_pattern_of_a_community(tmp_path: Path, pattern: str, expected: str) -> None:
    rule = f"[[sources.hub_registry.community]]\ncolumn = 'hub'\npattern = '{pattern}'\n\n[sources.hub_activity]"
    error = refused(tmp_path, changed("[sources.hub_activity]", rule))
    assert error.culprit == f"{tmp_path / 'kpi.toml'}: sources.hub_registry.community.0.pattern"
    assert error.got == repr(pattern)
    assert expected in error.expected


@pytest.mark.parametrize(
    "text",
    [
        "organisation = ",
        GOOD + "\nthis is no TOML\n",
        GOOD.replace('"staff"', "'staff"),
        GOOD.replace('["zz-alice", "zz-bobby"]', '["zz-alice", zz-bobby]'),
        GOOD.replace('"zz-bobby"] }', '"zz-bobby"], username = ["zz-carol"] }'),
        GOOD.replace('cluster = "reef"', "zz-alice"),
    ],
)
def test_no_toml(tmp_path: Path, text: str) -> None:
    error = refused(tmp_path, text)
    assert error.culprit == str(tmp_path / "kpi.toml")
    assert "(at " in error.got
    assert error.expected == "TOML in UTF-8"
    assert error.fix == "Mend that line."


def test_another_encoding(tmp_path: Path) -> None:
    (tmp_path / "kpi.toml").write_bytes(GOOD.replace("Reef", "Réef").encode("latin-1"))
    with pytest.raises(ConfigError, match="expected TOML in UTF-8"):
        settings.load(tmp_path / "kpi.toml", tmp_path, date(2025, 6, 30))


@pytest.mark.parametrize("name", ["kpi.toml", "folder"])
def test_missing_configuration(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(ConfigError, match="expected a configuration file") as caught:
        settings.load(tmp_path / name, tmp_path, date(2025, 6, 30))
    assert caught.value.culprit == str(tmp_path / name)
    assert caught.value.got in ("No such file or directory", "Is a directory")
    assert "--config or KPI_CONFIG" in caught.value.fix


def test_as_of_in_the_future(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "last_closed_day", lambda: date(2025, 7, 9))
    assert load(tmp_path, as_of=date(2025, 7, 9)).as_of == date(2025, 7, 9)
    assert load(tmp_path, as_of=None).as_of == date(2025, 7, 9)
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, as_of=date(2025, 7, 10))
    assert caught.value.culprit == "as-of"
    assert caught.value.got == "2025-07-10"
    assert "2025-07-09 (UTC) at the latest" in caught.value.expected
    assert "KPI_AS_OF" in caught.value.fix


def test_today_is_not_closed(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="a closed day"):
        load(tmp_path, as_of=clock.last_closed_day() + timedelta(days=2))


@pytest.mark.parametrize("value", ["yesterday", "2025-02-30", "30.06.2025"])
def test_as_of_that_is_no_date(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("KPI_AS_OF", value)
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, as_of=None)
    assert caught.value.culprit == "environment variable KPI_AS_OF"
    assert caught.value.got == repr(value)
    assert "date" in caught.value.expected
    assert "KPI_AS_OF=2026-09-30" in caught.value.fix


def test_arguments_win_over_the_environment_and_empty_is_not_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KPI_AS_OF", "2025-01-31")
    monkeypatch.setenv("KPI_DATA_DIR", "")
    monkeypatch.setenv("KPI_CONFIG", str(written(tmp_path, GOOD)))
    assert settings.load().as_of == date(2025, 1, 31)
    assert settings.load().data_dir == Path("data").resolve()
    assert load(tmp_path).as_of == date(2025, 6, 30)


def test_fixed_day_is_for_demos(tmp_path: Path) -> None:
    error = refused(tmp_path, changed('name = "Reef"', 'name = "Reef"\nas_of = 2025-06-01'))
    assert "as_of is fixed only where demo = true" in error.expected
    demo = changed('name = "Reef"', 'name = "Reef"\ndemo = true\nas_of = 2025-06-01')
    assert load(tmp_path, demo, as_of=None).as_of == date(2025, 6, 1)


@pytest.mark.parametrize(("secret", "got"), [(None, "nothing"), ("", "nothing"), ("tooshort-secret", "15 characters")])
def test_missing_or_short_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, secret: str | None, got: str) -> None:
    if secret is not None:
        monkeypatch.setenv("REEF_SECRET", secret)
    found = load(tmp_path, changed('name = "Reef"', 'name = "Reef"\nid_secret_env = "REEF_SECRET"'))
    with pytest.raises(ConfigError) as caught:
        _ = found.id_secret
    error = caught.value
    assert error.culprit == "environment variable REEF_SECRET"
    assert error.got == got
    assert "at least 16 characters" in error.expected
    assert "export REEF_SECRET" in error.fix
    assert "tooshort" not in "".join(traceback.format_exception(error))


def test_secret_is_not_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KPI_ID_SECRET", "sixteen-letters!")
    found = load(tmp_path)
    assert found.id_secret.get_secret_value() == "sixteen-letters!"
    assert "sixteen" not in repr(found)
    assert "sixteen" not in str(found.id_secret)


def test_data_folder_that_duckdb_takes_for_an_address(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="a path without '\\?'") as caught:
        settings.load(written(tmp_path, GOOD), tmp_path / "d?ta", date(2025, 6, 30))
    assert caught.value.culprit == "data folder"
    assert "--data-dir" in caught.value.fix


def test_teams_are_compared_without_capitals_and_know_what_they_are_part_of(tmp_path: Path) -> None:
    teams = load(tmp_path, GOOD + '\n[teams]\nFrontend = ["Frontend  Engineers"]\n').config.teams
    assert teams == {"frontend": ("frontend engineers",)}
    assert settings.ancestry({"frontend engineers": "frontend"}, "frontend engineers") == [
        "frontend engineers",
        "frontend",
    ]


@pytest.mark.parametrize(
    ("teams", "wrong"),
    [
        ('a = ["c"]\nb = ["c"]', "'c' is part of both 'a' and 'b'"),
        ('a = ["b"]\nb = ["a"]', "is part of itself"),
        ('a = ["a"]', "'a' is part of itself"),
        ('a = [" "]', "a team without a name"),
    ],
)
def test_teams_that_can_not_be(tmp_path: Path, teams: str, wrong: str) -> None:
    error = refused(tmp_path, f"{GOOD}\n[teams]\n{teams}\n")
    assert "teams" in error.culprit
    assert wrong in error.expected


EXEMPTION = """
[[exemptions]]
kpi = "frontend_team.qa_pass_rate"
from = 2026-01-01
to = 2026-03-31
reason = "a new team"
approved_by = "operations"
"""


def test_an_exemption(tmp_path: Path) -> None:
    [exemption] = load(tmp_path, GOOD + EXEMPTION).config.exemptions
    assert (exemption.kpi, exemption.first, exemption.last) == (
        "frontend_team.qa_pass_rate",
        date(2026, 1, 1),
        date(2026, 3, 31),
    )


@pytest.mark.parametrize(
    ("old", "new", "culprit"),
    [
        ("to = 2026-03-31", "to = 2025-12-31", "exemptions.0"),
        ("to = 2026-03-31\n", "", "exemptions.0.to"),
        ('reason = "a new team"\n', "", "exemptions.0.reason"),
        ('approved_by = "operations"\n', "", "exemptions.0.approved_by"),
        ("frontend_team.qa_pass_rate", "qa pass rate", "exemptions.0.kpi"),
    ],
)
def test_an_exemption_has_an_end_a_reason_and_somebody_who_approved_it(
    tmp_path: Path, old: str, new: str, culprit: str
) -> None:
    assert culprit in refused(tmp_path, GOOD + EXEMPTION.replace(old, new)).culprit
