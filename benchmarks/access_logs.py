"""Access logs from landing to the KPI, against a plain DuckDB read of the same files that counts their lines."""

import resource
import time
from collections.abc import Callable
from datetime import UTC, date, datetime
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import duckdb
from pydantic import SecretStr

from kpi_pipeline.catalog import load
from kpi_pipeline.contracts import table
from kpi_pipeline.landing import Landing
from kpi_pipeline.sources.files import list_files
from kpi_pipeline.stages import access_logs, kpi
from kpi_pipeline.warehouse import Connection, Warehouse, fill, scalar, sql

FIRST_DAY = date(2026, 7, 1)
AS_OF = date(2026, 9, 30)
DAYS = 92
HUBS = 20
FILES_PER_HUB = 10
VISIT = 40  # requests of one person in a row
# Of a hundred requests two are landings, two their redirects, one a landing that failed.
REQUEST = """case
    when k < 4 then '/user/' || person || '/git-pull?repo=' || repo || '&branch=main&urlpath=lab%2Ftree%2Fcourse'
    when k < 5 then '/user/' || person || '/git-pull?repo=' || repo
    when k < 40 then '/user/' || person || '/api/contents/course/week' || h % 15 || '.ipynb?content=0&' || h % 1000000
    when k < 70 then '/user/' || person || '/lab/api/workspaces/auto-' || h % 100
    when k < 90 then '/user/' || person || '/static/lab/' || h % 1000000 || '.js?v=' || h % 100000
    else '/hub/api/users/' || person || '/activity'
end"""
NGINX = """'10.' || h % 4 || '.' || h % 250 || '.' || h % 240 || ' - - ['
    || strftime(moment, '%d/%b/%Y:%H:%M:%S') || ' +0000] "GET ' || request
    || ' HTTP/1.1" ' || status || ' ' || h % 100000 || ' "https://hub.example.org/hub/home" '
    || '"Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"'"""
JUPYTERHUB = """'[I ' || strftime(moment, '%Y-%m-%d %H:%M:%S') || '.042 ServerApp] ' || status || ' GET '
    || request || ' (' || person || '@10.0.' || h % 250 || '.' || h % 240 || ') ' || h % 1000 / 10 || 'ms'"""


def write_logs(folder: Path, lines: int) -> None:
    """Ten files for each hub, nginx's or JupyterHub's, the newest not packed yet; the same for the same arguments."""
    each = lines // (HUBS * FILES_PER_HUB)
    with duckdb.connect(config={"threads": 2}) as con:
        for hub in range(HUBS):
            place = folder / f"c{hub % 4}" / f"h{hub}"
            place.mkdir(parents=True)
            line = NGINX if hub % 2 else JUPYTERHUB
            for number in range(FILES_PER_HUB):
                first, last = (n * DAYS * 86400 // FILES_PER_HUB for n in (number, number + 1))
                suffix = "" if number == FILES_PER_HUB - 1 else ".gz"
                con.execute(
                    f"copy (select if(h % 10000 = 77, '~~~ ' || h, {line}) from (select *, {REQUEST} as request, "
                    "case when k < 2 or k >= 5 then 200 when k < 4 then 302 else 500 end as status "
                    f"from (select *, h % 100 as k, 'learner-' || visit % 3000 as person, "
                    "'https%3A%2F%2Fgithub.com%2Fexample%2Fcourse-' || visit % 30 as repo "
                    f"from (select hash(i, {hub}, {number}) as h, hash(i // {VISIT}, {hub}, {number}) as visit, "
                    f"timestamp '{FIRST_DAY}' + to_seconds({first} + (i * {last - first}) // {each}) as moment "
                    f"from range({each}) t (i))))) to '{place}/access-{number}.log{suffix}' "
                    f"(format csv, header false, quote '', escape '', delimiter e'\\x01'"
                    f"{', compression gzip' if suffix else ''})"
                )


def plain(folder: Path) -> dict[str, Any]:
    """What DuckDB alone needs to read the landed bytes, line by line, and count them."""
    start = time.perf_counter()
    with duckdb.connect(config={"threads": 2, "memory_limit": "2GiB"}) as con:
        con.execute("set enable_progress_bar = false")
        lines = scalar(
            con,
            "select count(line) from read_csv($files, columns = {'line': 'VARCHAR'}, header = false, "
            "auto_detect = false, delim = e'\\x01', quote = '', escape = '', compression = 'gzip')",
            {"files": f"{folder}/data/landing/access_logs/objects/*/*"},
        )
    return {"lines": lines, "seconds": time.perf_counter() - start}


def land(folder: Path) -> dict[str, Any]:
    """The drop into the landing zone: hashed twice, and packed where it wasn't."""
    start = time.perf_counter()
    files = list_files("access_logs", folder / "access_logs")
    Landing(folder / "data" / "landing").land("access_logs", "nginx", files, datetime(2026, 10, 1, tzinfo=UTC))
    return {"seconds": time.perf_counter() - start}


def count(folder: Path) -> dict[str, Any]:
    """Landing zone to raw, facts and the KPI's values."""
    measured: dict[str, Any] = {}
    landing = Landing(folder / "data" / "landing")

    def timed(what: str, work: Callable[[], object]) -> None:
        start = time.perf_counter()
        work()
        measured[what] = time.perf_counter() - start
        measured[f"{what}_peak_memory_mib"] = _peak_memory_mib()

    with Warehouse(folder / "data" / "warehouse.duckdb", folder / "data" / "spill").open() as con:
        con.execute("set threads = 2")
        _fill_hubs_and_periods(con)
        secret = SecretStr("of the benchmark")
        timed("raw", lambda: access_logs.load(con, landing, secret, True))
        timed("facts", lambda: access_logs.count_clicks(con))
        timed("kpi", lambda: _compute(con))
        query = (
            "select (select count(*) from raw.access_logs), (select count(*) filter (where is_click) from "
            "facts.nbgitpuller_hits), (select count(*) from raw.quarantine)"
        )
        measured.update(zip(("landings", "clicks", "rejected"), con.execute(query).fetchall()[0], strict=True))
    return {**measured, "seconds": sum(measured[what] for what in ("raw", "facts", "kpi"))}


def _fill_hubs_and_periods(con: Connection) -> None:
    con.execute(
        "insert into staged.hubs select 'c' || i % 4 || '/h' || i, '2025-01-01', '9999-12-31', 'c' || i % 4, 'h' || i, "
        "null, 'x', null, 'production', 'hub', 'education', ['x'], 'x', 'f', i "
        f"from range({HUBS}) t (i)"
    )
    span: dict[str, object] = {"first": FIRST_DAY, "as_of": AS_OF, "fiscal_month": 1}
    fill(con, table("facts.periods"), sql("stages", "periods"), span)


def _compute(con: Connection) -> None:
    clicks = next(k for k in load().kpis if k.measure.name == "nbgitpuller_clicks")
    connected = frozenset(clicks.measure.sources)
    kpi.compute(con, [clicks], kpi.Run(AS_OF, connected, 3, "benchmark", datetime(2026, 10, 1, tzinfo=UTC)))


def _peak_memory_mib() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def _measured(function: Callable[[Path], dict[str, Any]], folder: Path) -> dict[str, Any]:
    result = function(folder)
    used = resource.getrusage(resource.RUSAGE_SELF)
    return {**result, "cpu_seconds": used.ru_utime + used.ru_stime, "peak_memory_mib": _peak_memory_mib()}


def _in_own_process(function: Callable[[Path], dict[str, Any]], folder: Path) -> dict[str, Any]:
    with get_context("spawn").Pool(1) as pool:
        return pool.apply(_measured, (function, folder))


def measure(folder: Path, lines: int, say: Callable[[str], None]) -> dict[str, Any]:
    """All of it; the plain read is of the same bytes as landed, all of them gzip."""
    here = folder / "logs"
    say(f"generating {lines:,} log lines")
    write_logs(here / "access_logs", lines)
    say("the logs into the landing zone")
    landed = _in_own_process(land, here)
    say("a plain read of the logs")
    floor = _in_own_process(plain, here)
    say("the logs from the landing zone to the KPI")
    ours = _in_own_process(count, here)
    return {
        "plain_read": floor,
        "landing": landed,
        "pipeline": {**ours, "lines_per_second": floor["lines"] / ours["seconds"]},
        "ratio": ours["seconds"] / floor["seconds"],
        "ratio_with_landing": (ours["seconds"] + landed["seconds"]) / floor["seconds"],
    }
