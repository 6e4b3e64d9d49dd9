"""GitHub's pages with everything that can be wrong with one, and awkward stories of issues."""

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from .github_pages import PEOPLE, Pages, account, event, issue

ISSUES, EVENTS = "Own/App/issues/1.json", "Own/App/events/1.json"
NOON = "2026-01-02T12:00:00Z"


@pytest.fixture
def pages(tmp_path: Path) -> Iterator[Pages]:
    made = Pages(tmp_path)
    yield made
    made.con.close()


WHOLE = json.dumps([issue(1), issue(2)]).encode()
BROKEN_PAGES = {
    "cut off in an object": (WHOLE[:-20], "not_json"),
    "cut off between objects": (json.dumps([issue(1)]).encode()[:-1] + b",", "not_json"),
    "an error message": ({"message": "Bad credentials"}, "not_a_list"),
    "a bare text": ("moved", "not_a_list"),
    "nothing": (b"", "empty_file"),
    "latin-1": (b'[{"id": "\xe9"}]', "not_utf8"),
    "html": (b"<html></html>", "not_json"),
}


@pytest.mark.parametrize("what", BROKEN_PAGES)
def test_a_broken_page_is_quarantined_whole_and_others_count(pages: Pages, what: str) -> None:
    content, reason = BROKEN_PAGES[what]
    pages.run({ISSUES: content, "Own/App/issues/2.json": [issue(3)]})
    assert pages.quarantine() == [(ISSUES, None, reason)]
    assert pages.rows("select repository, number from staged.issues") == [("own/app", 3)]


def test_a_torn_gzip_and_strange_places(pages: Pages) -> None:
    torn = gzip.compress(WHOLE)[:-12]
    pages.run({ISSUES + ".gz": torn, "Own/App/stars/1.json": [], "Own/1.json": [], "Own/App/reviews/x/1.json": [],
               "Own/App/issues/notes.txt": b"?"})  # fmt: skip
    assert {(row[0], row[2]) for row in pages.quarantine()} == {
        (ISSUES + ".gz", "truncated"),
        ("Own/App/stars/1.json", "unknown_stream"),
        ("Own/1.json", "unknown_stream"),
        ("Own/App/reviews/x/1.json", "unknown_stream"),
        ("Own/App/issues/notes.txt", "unsupported_format"),
    }


def test_a_page_that_is_mended_takes_its_place(pages: Pages) -> None:
    pages.run({ISSUES: WHOLE[:-20]})
    pages.run({ISSUES: WHOLE})
    assert pages.quarantine() == []
    assert pages.rows("select number from staged.issues order by 1") == [(1,), (2,)]


BROKEN_ISSUES: dict[str, tuple[Any, str]] = {
    "a number where text belongs": (issue(2, state=7), "wrong_type:state"),
    "a number as login": (issue(2, user={"login": 42}), "wrong_type:actor"),
    "text where a number belongs": (issue(2, number="2"), "wrong_type:number"),
    "half a number": (issue(2, number=2.5), "wrong_type:number"),
    "no number": (issue(2, number=None), "missing:number"),
    "no time": (issue(2, updated_at=None), "missing:updated_at"),
    "a time that is none": (issue(2, created_at="yesterday"), "invalid:happened_at"),
    "no object": ("issue", "not_an_object"),
    "closed before it is opened": (issue(2, state="closed", closed_at="2025-12-31T00:00:00Z"), "closed_before_opened"),
}


@pytest.mark.parametrize("what", BROKEN_ISSUES)
def test_a_broken_issue_is_quarantined_with_its_place(pages: Pages, what: str) -> None:
    broken, reason = BROKEN_ISSUES[what]
    pages.run({ISSUES: [issue(1), broken, issue(3)]})
    assert pages.quarantine() == [(ISSUES, 2, reason)]
    assert pages.rows("select number from staged.issues order by 1") == [(1,), (3,)]


BROKEN_EVENTS = {
    "closed before it is opened": (event(2, 1, "closed", "2025-12-31T00:00:00Z"), "closed_before_opened"),
    "assigned before it is opened": (
        event(2, 1, "assigned", "2025-12-31T00:00:00Z", assignee=account("zz-bobby")),
        "before_its_issue",
    ),
    "an event of no issue": (event(2, 99, "closed", NOON), "unknown_issue"),
    "an assignment of nobody": (event(2, 1, "assigned", NOON), "missing:assignee"),
    "a label without a name": (event(2, 1, "labeled", NOON), "missing:label"),
    "a number as event": (event(2, 1, "closed", NOON, event=3), "wrong_type:event"),
}  # fmt: skip


@pytest.mark.parametrize("what", BROKEN_EVENTS)
def test_a_broken_event_is_quarantined_with_its_place(pages: Pages, what: str) -> None:
    broken, reason = BROKEN_EVENTS[what]
    pages.run({ISSUES: [issue(1)], EVENTS: [event(1, 1, "renamed", NOON), broken]})
    assert pages.quarantine() == [(EVENTS, 2, reason)]
    assert pages.rows("select to_at from facts.issue_open") == [(None,)]


def test_the_newest_version_counts_and_a_contradiction_is_quarantined(pages: Pages) -> None:
    later = issue(1, state="closed", closed_at=NOON)
    pages.run({ISSUES: [later, issue(1)], "Own/App/issues/2.json": [{**later, "state_reason": "duplicate"}]})
    assert pages.quarantine() == [("Own/App/issues/2.json", 1, "conflicting_duplicate")]
    assert pages.rows("select ended_by from facts.issue_open") == [("completed",)]


def spells(pages: Pages) -> list[tuple[Any, ...]]:
    return pages.rows("select hour(from_at), hour(to_at) from facts.issue_assigned order by from_at")


def at(hour: int) -> str:
    return f"2026-01-02T{hour:02d}:00:00Z"


def test_assignments_to_bots_are_none(pages: Pages) -> None:
    """One is a bot by its type, the other by the reviewed list, whatever its capitals."""
    robots = (account("renewals[bot]", "Bot"), account("helper"))
    pages.run({ISSUES: [issue(1)], EVENTS: [event(n, 1, "assigned", at(n), assignee=a) for n, a in enumerate(robots)]})
    assert spells(pages) == []


def test_overlapping_assignments_are_one(pages: Pages) -> None:
    story = [(1, "assigned", 0), (2, "assigned", 1), (3, "unassigned", 0), (3, "assigned", 0), (5, "unassigned", 1),
             (6, "unassigned", 0), (7, "unassigned", 0), (8, "assigned", 1)]  # fmt: skip
    events = [
        event(n, 1, kind, at(hour), assignee=account(PEOPLE[who])) for n, (hour, kind, who) in enumerate(story, 1)
    ]
    pages.run({ISSUES: [issue(1)], EVENTS: events})
    assert spells(pages) == [(1, 6), (8, None)]
    assert pages.failing() == set()


def test_a_transfer_leaves_one_repository_and_enters_the_other(pages: Pages) -> None:
    old = [event(1, 1, "closed", at(1)), event(2, 1, "reopened", at(2))]
    moved = [{**e, "issue": {"number": 7}, "id": 10 + e["id"]} for e in old]
    moved += [event(20, 7, "transferred", at(3)), event(21, 7, "closed", at(4), state_reason="not_planned")]
    pages.run({ISSUES: [issue(1)], EVENTS: old, "own/web/issues/1.json": [issue(7)], "own/web/events/1.json": moved})
    assert pages.rows("select repository, flow, hour(happened_at) from facts.issue_flows order by all") == [
        ("own/app", "completed", 1),
        ("own/app", "opened", 0),
        ("own/app", "reopened", 2),
        ("own/app", "transferred_out", 3),
        ("own/web", "not_planned", 4),
        ("own/web", "transferred_in", 3),
    ]
    assert pages.failing() == set()


def test_pull_requests_are_no_issues(pages: Pages) -> None:
    pull = issue(2, pull_request={"url": "x"})
    closing = event(1, 2, "closed", NOON, issue={"number": 2, "pull_request": {}})
    pages.run({ISSUES: [issue(1), pull], EVENTS: [closing], "Own/App/timeline/2/1.json": [event(5, 2, "closed", NOON)]})
    assert pages.rows("select number from staged.issues") == [(1,)]
    assert pages.quarantine() == []


def test_no_login_is_anywhere_in_the_warehouse(pages: Pages) -> None:
    broken = issue(2, state=7)
    pages.run({ISSUES: [issue(1), broken], EVENTS: [event(1, 1, "assigned", NOON, assignee=account("ZZ-Bobby"))]})
    for schema, name in pages.rows("select schema_name, table_name from duckdb_tables()"):
        text = str(pages.rows(f'from "{schema}"."{name}"')).casefold()
        assert not any(person in text for person in PEOPLE), name


def test_pages_that_do_not_fit_into_one_batch_all_count(pages: Pages, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kpi_pipeline.stages.github.BATCH_BYTES", 1)
    monkeypatch.setattr("kpi_pipeline.stages.github.READ_AT_ONCE", 2)
    pages.run({f"Own/App/issues/{n}.json": [issue(n)] for n in range(1, 6)})
    assert pages.rows("select count(*) from staged.issues") == [(5,)]
