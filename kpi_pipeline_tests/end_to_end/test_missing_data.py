"""What was never delivered is never shown as a quiet day, and what is old is never shown as new."""

import shutil
from collections.abc import Callable
from pathlib import Path

from kpi_pipeline_tests.end_to_end.commands import kpi, published, run, values

Organisation = Callable[[], Path]


def statuses(data: Path) -> dict[str, str]:
    with published(data) as con:
        rows = con.execute(
            "select period_end::varchar, status from kpi_values "
            "where kpi_id = 'impact.monthly_active_users' and grain = 'organisation'"
        )
        return dict(rows.fetchall())


def test_days_after_the_newest_data_are_stale(small: Organisation, tmp_path: Path) -> None:
    """The small organisation's data ends on 31 March; as of 5 April, five days are unknown."""
    config, data = small(), tmp_path / "data"
    run(config, data, "--as-of", "2026-04-05")
    found = statuses(data)
    assert {found[f"2026-04-0{n}"] for n in range(1, 6)} == {"stale"}
    assert found["2026-03-31"] == "ok"
    with published(data) as con:
        assert con.execute("select max(date)::varchar from active_users").fetchall() == [("2026-03-31",)]
        health = con.execute("select freshness, age_days from data_health where source = 'hub_activity'").fetchall()
    assert health == [("late", 5)]


def test_a_gap_makes_its_windows_incomplete(small: Organisation, tmp_path: Path) -> None:
    """Nothing is delivered for 10 March: every window that holds it says so, the others don't."""
    config, data = small(), tmp_path / "data"
    run(config, data)
    before = statuses(data)
    for path in (config.parent / "hub_activity").rglob("*.csv"):
        lines = path.read_bytes().splitlines(keepends=True)
        path.write_bytes(b"".join(line for line in lines if b"2026-03-10" not in line))
    for path in (config.parent / "hub_activity").rglob("*2026-03-10*"):
        path.unlink()
    run(config, tmp_path / "gap")
    after = statuses(tmp_path / "gap")
    changed = {day for day in before if before[day] != after[day]}
    expected = {f"2026-03-{n:02d}" for n in range(10, 32)}
    assert changed == {day for day in expected if before[day] == "ok"}
    assert changed
    assert {after[day] for day in changed} == {"incomplete"}


def test_old_values_are_not_published_as_todays(small: Organisation, tmp_path: Path) -> None:
    """KPIs of another as-of day, or an empty warehouse, don't get through the gate."""
    config, data = small(), tmp_path / "data"
    run(config, data)
    before = values(data)
    done = run(config, data, "--as-of", "2026-03-01", "--select", "group:impact")
    assert "Nothing was published" in done.stdout
    for spoil in (lambda: None, lambda: shutil.rmtree(data / "warehouse")):
        spoil()
        refused = kpi("run", "--config", config, "--data-dir", data, "--select", "group:published")
        assert refused.returncode == 1
        assert "every_kpi_is_computed" in refused.stdout
        assert values(data) == before


def test_a_data_folder_belongs_to_one_organisation(small: Organisation, tmp_path: Path) -> None:
    config, data = small(), tmp_path / "data"
    run(config, data)
    other = tmp_path / "other"
    shutil.copytree(config.parent, other)
    text = (other / "kpi.toml").read_text()
    (other / "kpi.toml").write_text(text.replace('name = "Example Hubs"', 'name = "Somebody Else"'))
    refused = kpi("run", "--config", other / "kpi.toml", "--data-dir", data)
    assert refused.returncode == 2
    assert "'Example Hubs'" in refused.stderr


def test_a_warehouse_of_another_version_is_rebuilt(small: Organisation, tmp_path: Path) -> None:
    """A table with other columns than its contract: everything is had again from the landing zone."""
    import duckdb

    config, data = small(), tmp_path / "data"
    run(config, data)
    before = values(data)
    with duckdb.connect(str(data / "warehouse" / "warehouse.duckdb")) as con:
        con.execute("alter table raw.hub_activity drop column sessions")
    run(config, data)
    assert values(data) == before


def test_a_lapsed_rule_still_holds_for_its_days(small: Organisation, tmp_path: Path) -> None:
    """An exclusion that lapses changes nothing of what was reported before."""
    config = small()
    text = config.read_text()
    assert 'id = "staff"\n' in text
    config.write_text(text.replace('id = "staff"\n', 'id = "staff"\nuntil = 2026-03-15\n'))
    run(config, tmp_path / "on", "--as-of", "2026-03-15")
    run(config, tmp_path / "after", "--as-of", "2026-03-31")
    on, after = values(tmp_path / "on")["active_users"], values(tmp_path / "after")["active_users"]
    assert [row for row in after if str(row[0]) <= "2026-03-15"] == on


def test_an_as_of_before_the_first_day_is_refused(small: Organisation, tmp_path: Path) -> None:
    refused = kpi("run", "--config", small(), "--data-dir", tmp_path / "data", "--as-of", "2015-01-01")
    assert refused.returncode == 2
    assert "first_day" in refused.stderr
