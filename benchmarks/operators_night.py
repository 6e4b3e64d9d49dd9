"""A night of a real operator: 200 hubs, 12,000 MAU, 3 years; 300,000 billing lines, 50,000 issues, 20,000 tickets.

Beside it, in turn, a Dagster run of as many assets that do nothing. The organisation is the sample's, with more of
everything: each person of a hub, line of a bill and ticket several times over, and generated pages of GitHub.
"""

import gzip
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb

from benchmarks import github
from kpi_pipeline.definitions import NIGHTLY, defs
from kpi_pipeline.running import DAGSTER_YAML

HUBS, USERS, DAYS, LAST = 200, 14_000, 1095, date(2026, 9, 30)
PEOPLE_TIMES, LINES_TIMES, TICKETS_TIMES, ISSUES = 5, 20, 46, 50_000
NIGHTS = 3
KPI = [sys.executable, "-m", "kpi_pipeline.cli"]
NOTHING = """
import sys
import dagster as dg

def nothing(number):
    @dg.asset(name=f"nothing_{number}", deps=[f"nothing_{number - 1}"] if number else [])
    def made(): ...
    return made

assets = [nothing(number) for number in range(int(sys.argv[1]))]
job = dg.Definitions(assets=assets, jobs=[dg.define_asset_job("all", "*")]).resolve_job_def("all")
with dg.DagsterInstance.get() as instance:
    assert job.execute_in_process(instance=instance).success
"""


def measure(folder: Path, say: Callable[[str], None]) -> dict[str, Any]:
    """A first run, then nights of one more day each, and the same number of runs of nothing."""
    organisation, data = folder / "operator", folder / "operator_data"
    # As Dagster is when it is installed; and as `kpi run` sets it up.
    as_it_is, as_ours = folder / "nothing", folder / "nothing_as_ours"
    say("making an operator's organisation")
    write(organisation)
    say("an operator's first run")
    until = LAST - timedelta(days=NIGHTS)
    _deliver(organisation, until)
    first = _timed([*KPI, "run", "--as-of", f"{until}"], _ours(organisation, data))
    for home in (as_it_is, as_ours):
        home.mkdir()
    (as_ours / "dagster.yaml").write_text(DAGSTER_YAML, encoding="utf-8")
    assets = len(defs.resolve_job_def(NIGHTLY).asset_layer.asset_graph.get_all_asset_keys())
    nothing: dict[Path, list[dict[str, float]]] = {as_it_is: [], as_ours: []}
    nights = []
    for number in range(1, NIGHTS + 1):
        day = until + timedelta(days=number)
        say(f"an operator's night, {number} of {NIGHTS}, and runs of nothing")
        for home, runs in nothing.items():
            runs.append(_timed([sys.executable, "-c", NOTHING, f"{assets}"], {"DAGSTER_HOME": str(home)}))
        _deliver(organisation, day)
        nights.append(_timed([*KPI, "run", "--as-of", f"{day}"], _ours(organisation, data)))
    shutil.rmtree(data / "dagster_home")
    return {
        "assets": assets,
        **_counts(data),
        "first_run": first,
        "night": _median(nights),
        "nothing": _median(nothing[as_it_is]),
        "nothing_as_ours": _median(nothing[as_ours]),
        "ratio": _ratio(nights, nothing[as_it_is], "seconds"),
        "cpu_ratio": _ratio(nights, nothing[as_it_is], "cpu"),
    }


def write(folder: Path) -> None:
    """The organisation's files, but for the people that `_deliver` brings."""
    size = ["--hubs", f"{HUBS}", "--users", f"{USERS}", "--days", f"{DAYS}", "--last-day", f"{LAST}"]
    subprocess.run([*KPI, "sample", str(folder), *size], check=True, stdout=subprocess.DEVNULL)
    with duckdb.connect() as con:
        for bill in sorted((folder / "cloud_costs").glob("*.csv.gz")):
            con.execute(
                f"copy (select lines.* replace (Id || '-' || k as Id) from read_csv('{bill}', all_varchar = true, "
                f"nullstr = '') as lines, range({LINES_TIMES}) t (k)) to '{bill}.more' (format csv, compression gzip)"
            )
            Path(f"{bill}.more").replace(bill)
        con.execute(
            f"copy (select date, cluster, hub, username || '-' || k as username from "
            f"read_csv('{folder}/hub_activity/*.csv*', all_varchar = true, union_by_name = true, ignore_errors = true) "
            f"as people, range(1, {PEOPLE_TIMES}) t (k) where contains(username, '.') and try_cast(date as date) "
            f"is not null order by all) to '{folder}/people.parquet'"
        )
    for page in sorted((folder / "tickets" / "tickets").glob("*/page-1.json*")):
        content = gzip.decompress(page.read_bytes()) if page.suffix == ".gz" else page.read_bytes()
        tickets = json.loads(content)
        for k in range(1, TICKETS_TIMES):
            more = [{**ticket, "id": ticket["id"] + k * 1_000_000} for ticket in tickets]
            (page.parent / f"page-{100 + k}.json").write_text(json.dumps(more), encoding="utf-8")
    github.write_pages(folder / "github", ISSUES)
    config = folder / "kpi.toml"
    text = config.read_text(encoding="utf-8")
    config.write_text(text.replace('own = ["example-hubs/*"]', 'own = ["example-hubs/*", "own/*"]'), encoding="utf-8")


def _deliver(folder: Path, until: date) -> None:
    """The hubs' files, a month each, as they are on a night."""
    first = until.replace(day=1) if list((folder / "hub_activity").glob("more-*")) else date.min
    with duckdb.connect() as con:
        months = con.execute(
            f"select distinct date[:7] from '{folder}/people.parquet' where date between ? and ?",
            [f"{first}", f"{until}"],
        ).fetchall()
        for (month,) in months:
            con.execute(
                f"copy (from '{folder}/people.parquet' where date[:7] = '{month}' and date <= '{until}') "
                f"to '{folder}/hub_activity/more-{month}.csv'"
            )


def _ours(organisation: Path, data: Path) -> dict[str, str]:
    return {"KPI_CONFIG": str(organisation / "kpi.toml"), "KPI_DATA_DIR": str(data)}


def _timed(command: list[str], variables: dict[str, str]) -> dict[str, float]:
    """Seconds of a whole process, and what it used of the processor."""
    others = {k: v for k, v in os.environ.items() if not k.startswith(("KPI_", "DAGSTER"))}
    used, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=others | variables)
    seconds, now = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    return {"seconds": seconds, "cpu": now.ru_utime - used.ru_utime + now.ru_stime - used.ru_stime}


def _median(runs: list[dict[str, float]]) -> dict[str, float]:
    return {name: statistics.median(run[name] for run in runs) for name in runs[0]}


def _ratio(runs: list[dict[str, float]], others: list[dict[str, float]], what: str) -> float:
    return statistics.median(run[what] / other[what] for run, other in zip(runs, others, strict=True))


def _counts(data: Path) -> dict[str, int]:
    """How much there was of everything, counted where it arrived."""
    queries = {
        "hubs": "select count(distinct (cluster, hub)) from staged.hubs",
        "mau": "select max(mau) from facts.active_users where grain = 'organisation'",
        "user_days": "select count(*) from facts.user_days",
        "billing_lines": "select count(*) from raw.cloud_costs",
        "issues": "select count(*) from staged.issues",
        "tickets": "select count(*) from staged.tickets",
        "kpi_values": "select count(*) from kpi.kpi_values",
    }
    (warehouse,) = data.glob("**/warehouse.duckdb")
    with duckdb.connect(str(warehouse), read_only=True) as con:
        return {name: con.execute(query).fetchall()[0][0] for name, query in queries.items()}
