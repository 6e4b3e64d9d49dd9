"""GitHub's pages from landing to KPIs, against a plain DuckDB read of the same files."""

import gzip
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import duckdb
from pydantic import SecretStr

from benchmarks.costs import in_own_process
from kpi_pipeline import catalog
from kpi_pipeline.identity import person_key
from kpi_pipeline.landing import Landing
from kpi_pipeline.settings import BusinessHours
from kpi_pipeline.settings.sources import GitHub
from kpi_pipeline.sources.files import list_files
from kpi_pipeline.stages import github, kpi
from kpi_pipeline.stages.calendar import fill_calendar
from kpi_pipeline.warehouse import Warehouse

AS_OF = date(2026, 12, 31)
NOW = datetime(2027, 1, 1, tzinfo=UTC)
SECRET = SecretStr("a-secret-for-measurements-only")
REPOSITORIES, ELSEWHERE, PER_PAGE, PEOPLE = 50, 5, 100, 2000
RULES = GitHub(own=("own/*",), teams={"engineering": ("own/*",)}, bots=("person-1",))
KPIS = ("engineering.issues_closed_minus_opened", "engineering.issue_completion_time",
        "upstream.upstream_contributions")  # fmt: skip
# What is told of each issue. Eight of ten events are kept and count: in life it is less than half of them.
STORY = ("labeled", "assigned", "mentioned", "closed", "reopened", "unassigned", "renamed", "assigned", "unlabeled",
         "closed")  # fmt: skip


def _accounts() -> str:
    """SELECT of number and text of every account, as the API gives it, with all its addresses."""
    login = "'person-' || i"
    home = f"https://api.github.com/users/' || {login} || '"
    fields = {
        "login": login,
        "node_id": "'MDQ6VXNlcj' || i",
        "avatar_url": "'https://avatars.githubusercontent.com/u/' || i || '?v=4'",
        "gravatar_id": "''",
        "url": f"'{home}'",
        "html_url": f"'https://github.com/' || {login}",
        "followers_url": f"'{home}/followers'",
        "following_url": f"'{home}/following{{/other_user}}'",
        "gists_url": f"'{home}/gists{{/gist_id}}'",
        "starred_url": f"'{home}/starred{{/owner}}{{/repo}}'",
        "subscriptions_url": f"'{home}/subscriptions'",
        "organizations_url": f"'{home}/orgs'",
        "repos_url": f"'{home}/repos'",
        "events_url": f"'{home}/events{{/privacy}}'",
        "received_events_url": f"'{home}/received_events'",
        "type": "'User'",
    }
    texts = " || ',' || ".join(f"""'"{name}":"' || {value} || '"'""" for name, value in fields.items())
    return (
        f"""select i as number, '{{"id":' || i || ',' || {texts} || ',"site_admin":false}}' as text """
        f"from range({PEOPLE}) t (i)"
    )


def _stamp(moment: str) -> str:
    return f"strftime({moment}, '%Y-%m-%dT%H:%M:%SZ')"


def _pages(repository: int, issues: int) -> str:
    """SELECT of path and text of all pages of a repository."""
    owner = "own" if repository >= ELSEWHERE else "elsewhere"
    name = f"{owner}/repository-{repository}"
    address = f"https://api.github.com/repos/{name}"
    story = ", ".join(f"'{event}'" for event in STORY)
    return f"""
        with issue as (
            select
                n,
                {repository * issues} + n as id,
                timestamp '2023-01-01' + to_seconds((hash(n, {repository}) % 94608000)::bigint) as opened,
                n % 4 <> 0 as is_closed
            from range(1, {issues + 1}) t (n)
        ),
        event as (
            select *, {repository * issues * len(STORY)} + n * {len(STORY)} + k as event_id,
                case when k = {len(STORY) - 1} and not is_closed then 'subscribed' else kind end as event,
                opened + to_seconds(((k + 1) * (3600 + hash(n, k) % 86400))::bigint) as happened_at
            from issue, (select unnest([{story}]) as kind, generate_subscripts([{story}], 1) - 1 as k)
        ),
        written as (
            select 'issues' as stream, (n - 1) // {PER_PAGE} as page, id, concat(
                '{{"url":"{address}/issues/', n, '","id":', id, ',"node_id":"I_kwDO', id, '","number":', n,
                ',"title":"Something that is wrong, number ', n, '","user":', actor.text,
                ',"labels":[{{"id":1,"name":"bug","color":"d73a4a","default":true}}],"state":"',
                case when is_closed then 'closed' else 'open' end, '","locked":false,"comments":', n % 9,
                ',"created_at":"', {_stamp("opened")}, '","updated_at":"', {_stamp("opened + interval 1 year")},
                '","closed_at":',
                case when is_closed then '"' || {_stamp("opened + interval 40 days")} || '"' else 'null' end,
                ',"author_association":"MEMBER","state_reason":',
                case when not is_closed then 'null' when n % 5 = 0 then '"not_planned"' else '"completed"' end,
                ',"body":"{"What I did, what I saw, and what I had hoped for. " * 5}"}}'
            ) as text
            from issue
            inner join account as actor on actor.number = n % {PEOPLE}
            union all
            select 'events', row_number() over (order by event_id) // {PER_PAGE}, event_id, concat(
                '{{"id":', event_id, ',"node_id":"LE_lADO', event_id, '","url":"{address}/issues/events/', event_id,
                '","actor":', actor.text, ',"event":"', event, '","commit_id":null,"commit_url":null,"created_at":"',
                {_stamp("happened_at")}, '"',
                case
                    when event in ('assigned', 'unassigned') then ',"assignee":' || assignee.text
                    when event in ('labeled', 'unlabeled') then ',"label":{{"name":"bug","color":"d73a4a"}}'
                    when event = 'closed' and n % 5 = 0 then ',"state_reason":"not_planned"'
                end,
                ',"issue":{{"url":"{address}/issues/', n, '","id":', id, ',"number":', n,
                ',"title":"Something that is wrong, number ', n, '","state":"open"}},"performed_via_github_app":null}}'
            ) as text
            from event
            inner join account as actor on actor.number = (n + k) % {PEOPLE}
            inner join account as assignee on assignee.number = (n + case k when 7 then 1 else 0 end) % {PEOPLE}
        )
        select '{name}/' || stream || '/' || page || '.json.gz' as path,
            '[' || string_agg(text, ',') || ']' as text
        from written
        group by all
    """


def write_pages(folder: Path, issues: int) -> dict[str, int]:
    """All pages of so many issues and ten times as many events: the same objects for the same arguments."""

    def write(page: tuple[str, str]) -> int:
        path = folder / page[0]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(gzip.compress(page[1].encode(), 1, mtime=0))
        return len(page[1])

    sizes: list[int] = []
    with duckdb.connect(config={"threads": 2}) as con, ThreadPoolExecutor(2) as pool:
        con.execute(f"create table account as {_accounts()}")
        for repository in range(REPOSITORIES):
            pages = con.execute(_pages(repository, issues // REPOSITORIES)).fetchall()
            sizes += pool.map(write, pages)
    return {"files": len(sizes), "mib_of_json": sum(sizes) >> 20}


def plain(folder: Path) -> dict[str, Any]:
    """What DuckDB alone needs to read every field of every page, and to keep them in tables, types and all."""
    limits = {"threads": 2, "memory_limit": "2GiB", "temp_directory": str(folder / "plain.spill")}
    scanned = kept = 0.0
    with duckdb.connect(str(folder / "plain.duckdb"), config=limits) as con:
        con.execute("set enable_progress_bar = false")
        for stream in ("issues", "events"):
            pages = f"read_json('{folder}/github/*/*/{stream}/*.json.gz')"
            start = time.perf_counter()
            con.execute(f"select max(columns(*)) from {pages}").fetchall()
            scanned += time.perf_counter() - start
            start = time.perf_counter()
            con.execute(f"create table {stream} as from {pages}")
            con.execute("checkpoint")
            kept += time.perf_counter() - start
    return {"scan_seconds": scanned, "seconds": kept}


def whole(folder: Path) -> dict[str, Any]:
    """From the drop to three KPIs, each step by itself."""
    seconds: dict[str, float] = {}
    landing = Landing(folder / "data" / "landing")

    def timed(what: str, work: Callable[[], object]) -> None:
        start = time.perf_counter()
        work()
        seconds[what] = time.perf_counter() - start

    def calendar() -> None:
        fill_calendar(con, date(2023, 1, 1), AS_OF, BusinessHours(), ZoneInfo("UTC"), 1)

    def compute() -> None:
        all_kpis = catalog.load()
        this = kpi.Run(AS_OF, frozenset({"github", "affiliations", "upstream_work"}), 3, "benchmark", NOW)
        kpi.compute(con, [all_kpis.kpi(name) for name in KPIS], this)

    with Warehouse(folder / "data" / "warehouse.duckdb", folder / "data" / "spill").open() as con:
        con.execute("set threads = 2")
        for number in range(0, PEOPLE, 100):
            affiliated = person_key(SECRET, "github", f"person-{number}")
            con.execute(
                'insert into raw.affiliations by name select \'2020-01-01\' as "from", null as "to", ? as person_key, '
                "'people.csv' as _file, ? as _row",
                [affiliated, number],
            )
        timed("landing", lambda: landing.land("github", "json_pages", list_files("github", folder / "github"), NOW))
        timed("raw", lambda: github.load(con, landing, SECRET))
        timed("staged", lambda: github.stage(con, landing, RULES, SECRET))
        timed("calendar", calendar)
        timed("kpi", compute)
        objects = con.execute("select count(*) from raw.github").fetchall()[0][0]
        facts = {name: con.execute(f"select count(*) from facts.{name}").fetchall()[0][0] for name in github.FACTS}
        values = con.execute("select count(*) from kpi.kpi_values where value is not null").fetchall()[0][0]
    return {**seconds, "seconds": sum(seconds.values()), "raw_rows": objects, "facts": facts, "kpi_values": values}


def measure(folder: Path, issues: int, say: Callable[[str], None]) -> dict[str, Any]:
    """All of it; rows are issues and events."""
    here = folder / "github"
    say(f"generating {issues:,} issues with {issues * len(STORY):,} events")
    written = write_pages(here / "github", issues)
    say("a plain read of the pages")
    floor = in_own_process(plain, here)
    say("the pages from landing to KPIs")
    ours = in_own_process(whole, here)
    rows = issues * (1 + len(STORY))
    return {
        **written,
        "rows": rows,
        "plain_read": floor,
        "pipeline": ours,
        "rows_per_second": rows / ours["seconds"],
        "ratio": ours["seconds"] / floor["seconds"],
        "ratio_to_scan": ours["seconds"] / floor["scan_seconds"],
        "ratio_without_landing": (ours["seconds"] - ours["landing"]) / floor["seconds"],
    }
