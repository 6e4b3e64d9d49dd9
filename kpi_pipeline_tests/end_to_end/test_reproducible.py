"""The same landing zone gives the same values: again, from nothing, in other orders, after kill -9, two at once."""

import json
import random
import shutil
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import duckdb
import pytest

from kpi_pipeline_tests.end_to_end.commands import (
    KPI,
    PROJECT,
    environment,
    kpi,
    published,
    run,
    run_and_kill,
    values,
)

KILLS = 20
Organisation = Callable[[], Path]


def bookkeeping(data: Path) -> list[tuple[object, ...]]:
    with published(data) as con:
        return con.execute(
            "select kpi_id, grain, member, period_end, run_id, computed_at from kpi_values order by all"
        ).fetchall()


def test_a_second_run_changes_nothing(small: Organisation, tmp_path: Path) -> None:
    config, data = small(), tmp_path / "data"
    run(config, data)
    before, rows = values(data), bookkeeping(data)
    run(config, data)
    assert values(data) == before
    assert bookkeeping(data) == rows, "rows that stayed as they were keep their run and time"
    assert len(list((data / "landing" / "hub_activity" / "manifests").iterdir())) == 1


def test_landing_alone_rebuilds_everything(small: Organisation, tmp_path: Path) -> None:
    config, data = small(), tmp_path / "data"
    run(config, data)
    before = values(data)
    shutil.rmtree(data / "warehouse")
    shutil.rmtree(data / "published")
    for source in ("hub_activity", "hub_registry"):
        shutil.rmtree(config.parent / source)
    failed = kpi("run", "--config", config, "--data-dir", data)
    assert failed.returncode == 1
    assert "--replay" in failed.stdout
    run(config, data, "--replay")
    assert values(data) == before


def test_files_in_any_order_end_in_the_same_values(small: Organisation, tmp_path: Path) -> None:
    """The registry last, days late, one by one: as if all had come at once."""
    config = small()
    run(config, tmp_path / "at once")
    incoming = tmp_path / "incoming"
    shutil.copytree(config.parent, incoming)
    registry = (incoming / "hub_registry" / "registry.csv").read_text().splitlines(keepends=True)
    files = sorted(path for path in (incoming / "hub_activity").rglob("*") if path.is_file())
    random.Random(4).shuffle(files)
    held = {path: path.read_bytes() for path in files}
    for path in files:
        path.unlink()
    (incoming / "hub_registry" / "registry.csv").write_text("".join(registry[:3]))
    for batch in (files[:2], files[2:5], files[5:]):
        for path in batch:
            path.write_bytes(held[path])
        run(incoming / "kpi.toml", tmp_path / "one by one")
    (incoming / "hub_registry" / "registry.csv").write_text("".join(registry))
    run(incoming / "kpi.toml", tmp_path / "one by one")
    assert values(tmp_path / "one by one") == values(tmp_path / "at once")


def test_an_earlier_as_of_is_what_was_known_of_those_days(small: Organisation, tmp_path: Path) -> None:
    """Going back and forth in time ends where it began; later days don't leak into an earlier as-of."""
    config, data = small(), tmp_path / "data"
    run(config, data)
    last = values(data)
    run(config, data, "--as-of", "2026-03-10")
    earlier = values(data)
    with published(data) as con:
        newest = con.execute("select max(period_end)::varchar from kpi_values").fetchall()[0][0]
        assert newest == con.execute("select max(date)::varchar from active_users").fetchall()[0][0] == "2026-03-10"
    assert set(earlier["active_users"]) < set(last["active_users"])
    run(config, data)
    assert values(data) == last


@pytest.mark.timeout(2700)
def test_killed_at_random_moments(small: Organisation, tmp_path: Path) -> None:
    """20 times kill -9: the next run succeeds, the values are those of an undisturbed run, and the published file
    can be read throughout. Between kills new and late files arrive, so that there is always something to be lost."""
    chance = random.Random(20)
    config, data = small(), tmp_path / "data"
    files = sorted(path for path in (config.parent / "hub_activity").rglob("*") if path.is_file())
    held = {path: path.read_bytes() for path in files}
    for path in files[::2]:
        path.unlink()
    run(config, data)
    seconds = 7.0
    killed = 0
    while killed < KILLS:
        for path in files[::2][killed // 5 :: 4]:
            path.write_bytes(held[path])
        for _ in range(5):
            killed += run_and_kill(config, data, after=chance.uniform(1.0, seconds)) == -9
            with published(data) as con:
                assert con.execute("select count(*) from kpi_values").fetchall()[0][0] > 0
        run(config, data)
    undisturbed = tmp_path / "undisturbed"
    run(config, undisturbed)
    assert values(data) == values(undisturbed)
    assert not list(data.rglob("*.tmp-*"))


def test_two_runs_at_once_both_end_well(small: Organisation, tmp_path: Path) -> None:
    config, data = small(), tmp_path / "data"
    with ThreadPoolExecutor() as pool:
        done = list(pool.map(lambda _: kpi("run", "--config", config, "--data-dir", data), range(2)))
    assert [process.returncode for process in done] == [0, 0], "".join(p.stdout + p.stderr for p in done)
    run(config, tmp_path / "alone")
    assert values(data) == values(tmp_path / "alone")


READER = """
import sys, duckdb
con = duckdb.connect(sys.argv[1], read_only=True)
first = con.execute("select count(*), sum(value) from kpi_values").fetchall()
print("open", flush=True)
for line in sys.stdin:
    assert con.execute("select count(*), sum(value) from kpi_values").fetchall() == first
    with duckdb.connect(sys.argv[1] + "", read_only=True):
        pass
    print("read", flush=True)
"""


def test_a_reader_that_stays_is_never_refused(small: Organisation, tmp_path: Path) -> None:
    """A notebook holds the file open through three runs that change it: it reads on what it had, and nobody waits."""
    config, data = small(), tmp_path / "data"
    run(config, data, "--as-of", "2026-03-01")
    path = str(data / "published" / "kpis.duckdb")
    reader = subprocess.Popen(
        [KPI[0], "-c", READER, path],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment(),
        cwd=PROJECT,
    )
    assert reader.stdin is not None
    assert reader.stdout is not None
    try:
        assert reader.stdout.readline() == "open\n"
        for day in ("2026-03-11", "2026-03-21", "2026-03-31"):
            run(config, data, "--as-of", day)
            reader.stdin.write("\n")
            reader.stdin.flush()
            assert reader.stdout.readline() == "read\n"
            with published(data) as con:
                assert con.execute("select max(period_end)::varchar from kpi_values").fetchall() == [(day,)]
    finally:
        reader.stdin.close()
        assert reader.wait(timeout=30) == 0


HOLDER = "import sys, duckdb; c = duckdb.connect(sys.argv[1]); print('open', flush=True); sys.stdin.read()"


def test_a_notebook_on_the_warehouse_is_named(small: Organisation, tmp_path: Path) -> None:
    """Whoever keeps the warehouse itself open is told off by name; nothing is lost."""
    config, data = small(), tmp_path / "data"
    run(config, data)
    before = values(data)
    holder = subprocess.Popen(
        [KPI[0], "-c", HOLDER,
         str(data / "warehouse" / "warehouse.duckdb")],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert holder.stdout is not None
    assert holder.stdin is not None
    try:
        assert holder.stdout.readline() == "open\n"
        failed = kpi("run", "--config", config, "--data-dir", data)
        assert failed.returncode == 1
        assert "Close the program that it names" in failed.stdout
        assert str(holder.pid) in failed.stdout
    finally:
        holder.stdin.close()
        holder.wait(timeout=30)
    assert values(data) == before


def test_select_materializes_what_was_asked_for(small: Organisation, tmp_path: Path) -> None:
    config, data = small(), tmp_path / "data"
    done = run(config, data, "--select", 'key:"staged/hubs" or key:"raw/hub_registry" or key:"landing/hub_registry"')
    assert "Nothing was published" in done.stdout
    with duckdb.connect(str(data / "warehouse" / "warehouse.duckdb"), read_only=True) as con:
        assert con.execute("select count(distinct hub_id) from staged.hubs").fetchall() == [(8,)]
        assert con.execute("select count(*) from raw.hub_activity").fetchall() == [(0,)]
    wrong = kpi("run", "--config", config, "--data-dir", data, "--select", "key:nothing_like_it")
    assert wrong.returncode == 2
    assert "selects no asset" in wrong.stderr


def test_another_secret_makes_others_of_everybody(small: Organisation, tmp_path: Path) -> None:
    """Keys follow the secret, at once and entirely; the secret is nowhere in the data folder."""
    config, data = small(), tmp_path / "data"
    config.write_text(config.read_text().replace("demo = true", "demo = false").replace("as_of =", "# as_of ="))
    secrets = ["first-secret-of-32-characters-xx", "second-secret-of-32-characters-x"]
    keys = []
    for secret in secrets:
        run(config, data, "--as-of", "2026-03-31", KPI_ID_SECRET=secret)
        with duckdb.connect(str(data / "warehouse" / "warehouse.duckdb"), read_only=True) as con:
            found = con.execute("select distinct person_key from raw.hub_activity").fetchall()
            keys.append({row[0] for row in found})
    assert len(keys[0]) == len(keys[1])
    assert keys[0].isdisjoint(keys[1])
    for file in data.rglob("*"):
        if file.is_file():
            assert not any(secret.encode() in file.read_bytes() for secret in secrets), file
    refused = kpi("run", "--config", config, "--data-dir", data, "--as-of", "2026-03-31")
    assert refused.returncode == 2
    assert "KPI_ID_SECRET" in refused.stderr


def test_manifests_are_complete(sample_data: Path) -> None:
    """Every object that a manifest names is there, and no other."""
    for source in ("hub_activity", "hub_registry"):
        folder = sample_data / "landing" / source
        named = {
            file["object"]
            for manifest in (folder / "manifests").glob("*.json")
            for file in json.loads(manifest.read_text())["files"]
        }
        assert named == {str(path.relative_to(folder)) for path in (folder / "objects").rglob("*") if path.is_file()}
