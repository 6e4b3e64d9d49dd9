"""A github-to-sqlite database in place of pages: what it can say, what it can't, and what is wrong with one."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from .github_pages import Pages

SCHEMA = """
create table users (id integer primary key, login text, type text);
create table repos (id integer primary key, name text, full_name text);
create table issues (id integer primary key, number integer, user integer, state text, created_at text, updated_at text,
    closed_at text, pull_request text, repo integer, state_reason text);
create table issue_comments (id integer primary key, user integer, created_at text, updated_at text, issue integer);
insert into users values (1, 'zz-alice', 'User'), (2, 'renewals[bot]', 'Bot');
insert into repos values (1, 'App', 'Own/App');
insert into issues values
    (11, 1, 1, 'open', '2026-01-01T00:00:00Z', '2026-01-01T00:00:00Z', null, null, 1, null),
    (12, 2, 2, 'closed', '2026-01-01', '2026-01-02T00:00:00Z', '2026-01-02T00:00:00Z', null, 1, 'not_planned'),
    (13, 3, 1, 'open', 'yesterday', '2026-01-01T00:00:00Z', null, null, 1, null),
    (14, 4, 1, 'open', '2026-01-01T00:00:00Z', '2026-01-01T00:00:00Z', null, 'https://x', 1, null);
insert into issue_comments values (21, 1, '2026-01-03T00:00:00Z', '2026-01-03T00:00:00Z', 11);
"""


@pytest.fixture
def pages(tmp_path: Path) -> Iterator[Pages]:
    made = Pages(tmp_path)
    yield made
    made.con.close()


def database(folder: Path, schema: str = SCHEMA) -> bytes:
    path = folder / "made.db"
    with sqlite3.connect(path) as con:
        con.executescript(schema)
    con.close()
    return path.read_bytes()


def test_issues_are_opened_and_closed_as_their_listing_says(pages: Pages, tmp_path: Path) -> None:
    pages.run({"github.db": database(tmp_path)})
    assert pages.quarantine() == [("github.db", 3, "invalid:happened_at")]
    assert pages.rows("select number, flow, is_by_bot from facts.issue_flows order by all") == [
        (1, "opened", False),
        (2, "not_planned", True),
        (2, "opened", True),
    ]
    assert pages.rows("select number, event from raw.github where stream = 'timeline'") == [(1, "commented")]
    assert pages.rows("from facts.issue_assigned") == []
    assert pages.failing() == set()


@pytest.mark.parametrize("schema", ["create table users (id integer)", ""])
def test_another_database_is_quarantined_whole(pages: Pages, tmp_path: Path, schema: str) -> None:
    pages.run({"github.db": database(tmp_path, schema) or b"no database"})
    assert pages.quarantine() == [("github.db", None, "not_github_to_sqlite")]


def test_a_torn_database_is_quarantined_whole(pages: Pages, tmp_path: Path) -> None:
    pages.run({"github.db": database(tmp_path)[:2048]})
    assert pages.quarantine() == [("github.db", None, "not_github_to_sqlite")]
