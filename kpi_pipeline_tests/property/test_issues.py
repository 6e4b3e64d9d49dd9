"""Stock and flow of issues: whatever the events and their order, the two agree, and equal a plain walk."""

from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kpi_pipeline_tests.bad_input.github_pages import Pages, account, event, issue

KINDS = ("closed", "reopened", "assigned", "unassigned")
STORIES = st.lists(
    st.lists(st.tuples(st.integers(0, 40), st.sampled_from(KINDS), st.sampled_from(("a", "b", "Helper"))), max_size=10),
    min_size=1,
    max_size=5,
)


def at(hour: int) -> str:
    return f"2026-01-{1 + hour // 24:02d}T{hour % 24:02d}:00:00Z"


def walk(story: list[tuple[int, str, str]]) -> tuple[Counter[str], bool, set[int]]:
    """Flows, whether it is open at the end, and the hours in which a human is assigned."""
    flows, is_open, humans, hours, before = Counter({"opened": 1}), True, set[str](), set[int](), 0
    for hour, kind, who in sorted(story, key=lambda step: step[0]):
        hours |= set(range(before, hour)) if humans else set()
        before = hour
        if kind == "closed" and is_open:
            flows["completed"] += 1
            is_open = False
        elif kind == "reopened" and not is_open:
            flows["reopened"] += 1
            is_open = True
        elif kind == "assigned" and who != "Helper":
            humans.add(who)
        elif kind == "unassigned":
            humans.discard(who)
    return flows, is_open, hours | (set(range(before, 48)) if humans else set())


@given(STORIES)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_stock_is_flow_and_both_are_what_a_walk_gives(stories: list[list[tuple[int, str, str]]]) -> None:
    issues, events = [], list[dict[str, Any]]()
    for number, story in enumerate(stories, 1):
        for step, (hour, kind, who) in enumerate(sorted(story, key=lambda s: s[0])):
            more = {"assignee": account(who)} if "assigned" in kind else {}
            events.append(event(100 * number + step, number, kind, at(hour), **more))
        is_open = walk(story)[1]
        issues.append(issue(number, **({} if is_open else {"state": "closed", "closed_at": at(40)})))
    with TemporaryDirectory() as folder:
        pages = Pages(Path(folder))
        pages.run({"own/app/issues/1.json": issues, "own/app/events/1.json": events[::-1]})
        flows = dict(pages.rows("select flow, count(*) from facts.issue_flows group by all"))
        still_open = pages.rows("select count(*) from facts.issue_open where to_at is null")
        hours = pages.rows(
            "select number, unnest(range(epoch(from_at)::bigint // 3600, epoch(coalesce(to_at, '2026-01-03'))::bigint "
            "// 3600)) - epoch('2026-01-01'::timestamp)::bigint // 3600 from facts.issue_assigned"
        )
        failing = pages.failing()
        pages.con.close()
    walked = [walk(story) for story in stories]
    assert failing == set()
    assert flows == dict(sum((w[0] for w in walked), Counter()))
    assert still_open == [(sum(w[1] for w in walked),)]
    assert set(hours) == {(number, hour) for number, w in enumerate(walked, 1) for hour in w[2]}
    assert len(hours) == len(set(hours))
