"""Cloud costs from landing to facts, against a plain DuckDB read of the same file."""

import gzip
import json
import resource
import shutil
import time
from collections.abc import Callable
from datetime import UTC, date, datetime
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import duckdb

from kpi_pipeline.contracts.costs import CLOUD_COSTS
from kpi_pipeline.landing import Landing
from kpi_pipeline.settings.sources import CloudCosts
from kpi_pipeline.sources.files import list_files
from kpi_pipeline.stages import costs
from kpi_pipeline.warehouse import Warehouse

AS_OF = date(2026, 12, 31)
HUBS = 200
TOML = CloudCosts(hub_tag="hub", accounts={"account-1": "c1"})


def write_bill(folder: Path, rows: int) -> None:
    """A file per month, as CSV, with the columns of FOCUS; the same for the same arguments."""
    folder.mkdir(parents=True, exist_ok=True)
    named = "'c' || i % 20 || '/h' || i % " + str(HUBS)
    tags = json.dumps({"team": "hubs", "hub": "?"})
    given = {
        "BilledCost": "((hash(i) % 1000000)::decimal(20, 0) * 0.00000012345)::varchar",
        "BillingAccountId": "'billing-' || i % 3",
        "BillingCurrency": "'USD'",
        "BillingPeriodStart": "strftime(month, '%Y-%m-%d %H:%M:%S')",
        "BillingPeriodEnd": "strftime(month + interval 1 month, '%Y-%m-%d %H:%M:%S')",
        "ChargeCategory": "case when i % 500 = 0 then 'Credit' else 'Usage' end",
        "ChargePeriodStart": "strftime(month + to_hours((hash(i) % 672)::integer), '%Y-%m-%d %H:%M:%S')",
        "ChargePeriodEnd": "strftime(month + to_hours((hash(i) % 672 + 1)::integer), '%Y-%m-%d %H:%M:%S')",
        "ChargeDescription": "'$0.40 per million requests, number ' || i % 1000",
        "ProviderName": "'AWS'",
        "SubAccountId": "'account-' || i % 20",
        "Tags": f"case when i % 10 < 8 then replace('{tags}', '?', {named}) else 'NULL' end",
    }
    numbers = dict.fromkeys(("ContractedCost", "EffectiveCost", "ListCost", "PricingQuantity"), given["BilledCost"])
    cells = {c.name: {**given, **numbers}.get(c.name, f"'{c.name}'") for c in CLOUD_COSTS.columns}
    cells["ChargeClass"] = "'NULL'"
    chosen = ", ".join(f'{text} as "{name}"' for name, text in cells.items())
    with duckdb.connect(config={"threads": 2}) as con:
        for number in range(12):
            month = f"timestamp '2026-01-01' + interval {number} month"
            con.execute(
                f"copy (select {chosen} from (select i, {month} as month from range({rows // 12}) t (i))) "
                f"to '{folder}/2026-{number + 1:02d}.csv' (header true)"
            )


def plain(folder: Path) -> dict[str, Any]:
    """What DuckDB alone needs to read the landed bytes into a table of its own, types and all."""
    start = time.perf_counter()
    with duckdb.connect(str(folder / "plain.duckdb"), config={"threads": 2, "memory_limit": "2GiB"}) as con:
        con.execute(f"create table bill as from read_csv('{folder}/*.csv.gz', nullstr = 'NULL')")
        con.execute("checkpoint")
    return {"seconds": time.perf_counter() - start}


def whole(folder: Path) -> dict[str, Any]:
    """Landing, raw, staged and facts."""
    seconds: dict[str, float] = {}
    landing = Landing(folder / "data" / "landing")

    def timed(what: str, work: Callable[[], object]) -> None:
        start = time.perf_counter()
        work()
        seconds[what] = time.perf_counter() - start

    files = list_files("cloud_costs", folder / "cloud_costs")
    with Warehouse(folder / "data" / "warehouse.duckdb", folder / "data" / "spill").open() as con:
        con.execute("set threads = 2")
        con.execute(
            f"insert into staged.hubs select 'c' || i % 20 || '/h' || i, '2025-01-01', '9999-12-31', 'c' || i % 20, "
            f"'h' || i, null, 'x', null, 'production', 'hub', 'other', ['x'], 'x', 'f', i from range({HUBS}) t (i)"
        )
        con.execute(
            "insert into staged.user_days select date '2026-01-01' + (d * 5)::integer, 'c' || i % 20 || '/h' || i, "
            f"md5((i * 7 + p)::varchar)::uuid from range({HUBS}) t (i), range(70) u (d), range(10) v (p)"
        )
        now = datetime(2026, 12, 31, tzinfo=UTC)
        timed("landing", lambda: landing.land("cloud_costs", "focus", files, now))
        timed("raw", lambda: costs.load(con, landing, TOML))
        timed("staged", lambda: costs.stage_cloud_costs(con, landing, TOML, "USD", AS_OF))
        timed("monthly_users", lambda: costs.count_monthly_users(con, AS_OF))
        timed("allocated", lambda: costs.allocate(con, "user_days"))
        lines = con.execute("select sum(lines)::bigint from staged.cloud_costs").fetchall()[0][0]
    total = sum(seconds.values())
    return {"lines": lines, **seconds, "seconds": total, "lines_per_second": lines / total}


def _measured(function: Callable[[Path], dict[str, Any]], folder: Path) -> dict[str, Any]:
    result = function(folder)
    return {**result, "peak_memory_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024}


def in_own_process(function: Callable[[Path], dict[str, Any]], folder: Path) -> dict[str, Any]:
    """Runs in a fresh process, so that its peak memory is its own."""
    with get_context("spawn").Pool(1) as pool:
        return pool.apply(_measured, (function, folder))


def measure(folder: Path, rows: int, say: Callable[[str], None]) -> dict[str, Any]:
    """All of it; the plain read is of the same bytes as landed, gzip included."""
    here = folder / "costs"
    say(f"generating {rows:,} billing lines")
    write_bill(here / "cloud_costs", rows)
    packed = here / "packed"
    packed.mkdir()
    for path in sorted((here / "cloud_costs").iterdir()):
        with path.open("rb") as source, gzip.open(packed / f"{path.name}.gz", "wb", 6) as target:
            shutil.copyfileobj(source, target)
    say("a plain read of the bill")
    floor = in_own_process(plain, packed)
    say("the bill from landing to facts")
    ours = in_own_process(whole, here)
    landed = ours["seconds"] - ours["landing"]
    return {
        "plain_read": floor,
        "pipeline": ours,
        "ratio": ours["seconds"] / floor["seconds"],
        "ratio_without_landing": landed / floor["seconds"],
    }
