"""Access logs that are wrong, lines that are no landings, and clicks against brute force."""

import gzip
import tempfile
from collections import Counter
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from itertools import product
from pathlib import Path
from random import Random
from typing import Any

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from kpi_pipeline.contracts import WAREHOUSE
from kpi_pipeline.landing import Landing
from kpi_pipeline.sources.files import list_files
from kpi_pipeline.stages import access_logs
from kpi_pipeline.stages.checks import CHECKS, evaluate
from kpi_pipeline.warehouse import Connection, Warehouse, create_tables, run

from .organisation import SECRET, key_of

HUBS = """insert into staged.hubs by name select 'reef/' || hub as hub_id, date '2026-01-01' as from_day,
    date '9999-12-31' as to_day, 'reef' as cluster, hub, hub as display_name, 'education' as hub_type, 'hub' as kind,
    if(hub = 'staging', 'staging', 'production') as environment, ['reef'] as communities,
    'login.reef' as identity_issuer, 'f' as _file, 1 as _row from (values ('coral'), ('staging')) t (hub)"""
REPO = "https%3A%2F%2Fgithub.com%2Fexample%2Fcourse"
LINK = f"/user/zz-alice/git-pull?repo={REPO}&branch=main"
Given = Callable[..., dict[str, Any]]


def nginx(request: str = LINK, status: int = 200, at: str = "05/Jan/2026:10:00:00 +0000", verb: str = "GET") -> str:
    return f'10.0.0.1 - - [{at}] "{verb} {request} HTTP/1.1" {status} 512 "-" "Mozilla/5.0"'


def jupyterhub(request: str = LINK, status: int = 200) -> str:
    return f"[I 2026-01-05 10:00:00.042 ServerApp] {status} GET {request} (zz-alice@10.0.0.1) 12.34ms"


@pytest.fixture
def load(tmp_path: Path) -> Given:
    """Lands and counts logs (place: content), and returns what came of it."""

    def given_logs(logs: dict[str, str | bytes]) -> dict[str, Any]:
        for name, content in logs.items():
            path = tmp_path / "drop" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
        landing = Landing(tmp_path / "landing")
        files = list_files("access_logs", tmp_path / "drop")
        landing.land("access_logs", "nginx", files, datetime(2026, 2, 1, tzinfo=UTC))
        with Warehouse(tmp_path / "w" / "warehouse.duckdb", tmp_path / "w" / "spill").open() as con:
            run(con, "truncate staged.hubs")
            run(con, HUBS)
            access_logs.load(con, landing, SecretStr(SECRET), True)
            access_logs.count_clicks(con)
            return outcome(con)

    return given_logs


def outcome(con: Connection) -> dict[str, Any]:
    assert "zz-alice" not in str([run(con, f"select * from {t.name}") for t in WAREHOUSE])
    checked = [c for c in CHECKS if c.table == "facts.nbgitpuller_hits"]
    assert [c.name for c in checked if not evaluate(con, c, {"as_of": date(2026, 2, 1)}).passed] == []
    return {
        "quarantine": run(con, "select file, row, reason from raw.quarantine order by all"),
        "hits": run(con, "select hub_id, person_key, repo, hits from facts.nbgitpuller_hits order by all"),
        "lines": run(con, "select file, lines, others from raw.log_files order by all"),
    }


GOOD = [("reef/coral", key_of("zz-alice", "login.reef"), "https://github.com/example/course", 1)]


@pytest.mark.parametrize("line", [nginx(), jupyterhub()])
@pytest.mark.parametrize("place", ["reef/coral/access.log", "reef/coral/2026/01.log.gz", "reef/coral/access.log.1"])
def test_a_landing_in_each_format(load: Given, line: str, place: str) -> None:
    content = f"{line}\n".encode()
    found = load({place: gzip.compress(content) if place.endswith(".gz") else content})
    assert found == {"quarantine": [], "hits": GOOD, "lines": [(place, 1, 0)]}


def test_garbage_is_rejected_by_line_and_the_rest_counts(load: Given) -> None:
    lines = ["zz-alice was here", nginx(), "", "~~~", jupyterhub("/hub/home"), nginx()[:30], "\xff\xfe"]
    found = load({"reef/coral/a.log": "\n".join(lines) + "\n"})
    assert found["hits"] == GOOD
    assert found["quarantine"] == [("reef/coral/a.log", row, "not_a_log_line") for row in (1, 4, 6, 7)]
    assert found["lines"] == [("reef/coral/a.log", 7, 2)]


def test_a_line_that_is_no_text_moves_no_other_and_is_counted(load: Given) -> None:
    content = b"\xff\xfe\n" + nginx().encode() + b"\n~~~\n" + nginx("/hub/login").encode()
    found = load({"reef/coral/a.log": content, "reef/coral/b.log": f"~~~\n{nginx()}"})
    assert found["hits"] == [(*GOOD[0][:3], 2)]
    assert found["quarantine"] == [
        ("reef/coral/a.log", 1, "not_utf8"),
        ("reef/coral/a.log", 3, "not_a_log_line"),
        ("reef/coral/b.log", 1, "not_a_log_line"),
    ]
    assert found["lines"] == [("reef/coral/a.log", 4, 1), ("reef/coral/b.log", 2, 0)]


@pytest.mark.parametrize(
    "line",
    [
        nginx(status=302),
        nginx(status=500),
        nginx(verb="POST"),
        nginx("/user/zz-alice/git-pull"),
        nginx("/user/zz-alice/git-pull?branch=main"),
        nginx("/user/zz-alice/git-pull?repo="),
        nginx(f"/user/zz-alice/api/git-pull-x?repo={REPO}"),
        nginx(f"/hub/user-redirect/git-pull?repo={REPO}"),
        jupyterhub(status=302),
    ],
)
def test_other_requests_are_no_landings_and_no_fault(load: Given, line: str) -> None:
    expected = {"quarantine": [], "hits": [], "lines": [("reef/coral/a.log", 1, 1)]}
    assert load({"reef/coral/a.log": line + "\n"}) == expected


@pytest.mark.parametrize(
    "repo",
    [
        "https%3A%2F%2FGitHub.com%2Fexample%2Fcourse",
        "https%3A%2F%2Fgithub.com%2Fexample%2Fcourse.git",
        "https%3A%2F%2Fgithub.com%2Fexample%2Fcourse%2F",
        "https%3A%2F%2Fgithub.com%2Fexample%2Fcourse.git%2F",
        "https://github.com/example/course",
    ],
)
def test_spellings_of_a_repository_are_one(load: Given, repo: str) -> None:
    line = nginx(f"/user/ZZ-Alice/git-pull?branch=main&repo={repo}&urlpath=lab")
    assert load({"reef/coral/a.log": line + "\n"})["hits"] == GOOD


@pytest.mark.parametrize(
    ("place", "content", "reason"),
    [
        ("a.log", nginx().encode(), "no_hub_folder"),
        ("reef/a.log", nginx().encode(), "no_hub_folder"),
        ("reef/coral/a.log", b"", "empty_file"),
        ("reef/coral/a.log.gz", gzip.compress(nginx().encode() * 50)[:-9], "truncated"),
    ],
)
def test_a_file_that_is_wrong_is_rejected_whole(load: Given, place: str, content: bytes, reason: str) -> None:
    assert load({place: content}) == {"quarantine": [(place, None, reason)], "hits": [], "lines": []}


def test_unknown_hubs_are_rejected_and_staging_left_out(load: Given) -> None:
    found = load({"reef/kelp/a.log": nginx() + "\n", "reef/staging/a.log": nginx() + "\n"})
    assert found["quarantine"] == [("reef/kelp/a.log", 1, "unknown_hub")]
    assert found["hits"] == []


HITS = st.lists(st.tuples(st.integers(0, 130), st.integers(0, 1), st.integers(0, 1)), min_size=1, max_size=14)


@settings(max_examples=40, deadline=None)
@given(HITS)
def test_clicks_are_what_looking_back_over_all_hits_gives(hits: list[tuple[int, int, int]]) -> None:
    """Minutes, person, repository. A hit is a click where none of the half hour before is of the same."""
    start = datetime(2026, 1, 5, 23)
    with duckdb.connect() as con:
        create_tables(con, WAREHOUSE)
        run(con, HUBS)
        con.executemany(
            "insert into raw.access_logs by name select ?::timestamp::date as date, ?::timestamp as hit_at, "
            "'reef' as cluster, 'coral' as hub, ?::uuid as person_key, ? as repo, 'f' as _file, 1 as _row",
            [
                (start + timedelta(minutes=m), start + timedelta(minutes=m), f"{p:032}", f"https://x.org/{r}")
                for m, p, r in hits
            ],
        )
        access_logs.count_clicks(con)
        clicks, total = run(con, "select count(*) filter (where is_click), sum(hits) from facts.nbgitpuller_hits")[0]
    expected = 0
    for person, repo in product((0, 1), (0, 1)):
        minutes = sorted({m for m, p, r in hits if (p, r) == (person, repo)})
        expected += sum(not any(0 < m - before <= 30 for before in minutes) for m in minutes)
    assert (clicks, total) == (expected, len(hits))


GAPS = st.sampled_from((0, 1, 1799, 1800, 1801, 3600))
# Seconds since the landing before, person, repository, and the logs that have the line: rotations may overlap.
LANDINGS = st.lists(
    st.tuples(GAPS, st.integers(0, 1), st.integers(0, 1), st.sets(st.integers(0, 2), min_size=1)),
    min_size=1,
    max_size=12,
)


@settings(max_examples=25, deadline=None)
@given(LANDINGS, st.permutations("abc"), st.randoms(use_true_random=False))
def test_clicks_of_overlapping_logs_in_any_order(
    landings: list[tuple[int, int, int, set[int]]], names: list[str], random: Random
) -> None:
    """Half an hour to the second; hits count each line, and garbage between them is in its place."""
    moment, lines = datetime(2026, 1, 5, 23, 20), Counter[tuple[datetime, int, int]]()
    logs: list[list[str]] = [["~~~"], [], [nginx("/hub/login")]]
    for gap, person, repo, places in landings:
        moment += timedelta(seconds=gap)
        lines[moment, person, repo] += len(places)
        request = f"/user/person-{person}/git-pull?repo=https://x.org/{repo}"
        for place in places:
            logs[place].append(nginx(request, at=f"{moment:%d/%b/%Y:%H:%M:%S} +0000"))
    for log in logs:
        random.shuffle(log)
    with tempfile.TemporaryDirectory() as name, duckdb.connect() as con:
        drop, landing = Path(name) / "drop" / "reef" / "coral", Landing(Path(name) / "landing")
        drop.mkdir(parents=True)
        for letter, log in zip(names, logs, strict=True):
            (drop / f"{letter}.log").write_text("".join(f"{line}\n" for line in log) or "\n")
        files = list_files("access_logs", Path(name) / "drop")
        landing.land("access_logs", "nginx", files, datetime(2026, 2, 1, tzinfo=UTC))
        create_tables(con, WAREHOUSE)
        run(con, HUBS)
        access_logs.load(con, landing, SecretStr(SECRET), True)
        access_logs.count_clicks(con)
        found = outcome(con)
        hits = run(con, "select hit_at, person_key, repo, hits, is_click from facts.nbgitpuller_hits order by all")
    expected = [
        (at, key_of(f"person-{person}", "login.reef"), f"https://x.org/{repo}", count, not before)
        for (at, person, repo), count in lines.items()
        for before in [
            [m for m, *of in lines if of == [person, repo] and timedelta() < at - m <= timedelta(minutes=30)]
        ]
    ]
    assert hits == sorted(expected)
    assert found["quarantine"] == [(f"reef/coral/{names[0]}.log", logs[0].index("~~~") + 1, "not_a_log_line")]
    others = dict(zip(names, (0, 0 if logs[1] else 1, 1), strict=True))
    assert [row[2] for row in found["lines"]] == [others[letter] for letter in "abc"]
