"""Technical issues: whose they are, how urgent, and in which state since when, with awkward labels and stories."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from kpi_pipeline.settings.sources import GitHub
from kpi_pipeline.stages import github
from kpi_pipeline.stages.teams import fill_teams

from .github_pages import SECRET, Pages, account, event, issue
from .organisation import key_of

RULES = GitHub.model_validate(
    {
        "own": ["own/*"],
        "bots": ["helper"],
        "technical": {"labels": ["Technical"], "repositories": ["own/app", "own/api"]},
        "teams": {
            "Web  Engineers": ["own/app"],
            "design": {"labels": ["team:design*"], "repositories": ["own/ap*"]},
        },
        "areas": {"API": {"labels": ["api"], "repositories": ["own/api"]}},
        "kinds": {"defect": {"labels": ["bug"]}},
        "priorities": {
            "urgent": {"labels": ["P1"], "hours": 1.5},
            "low": {"labels": ["p*"]},
            "normal": {"repositories": ["own/api"], "hours": 24},
        },
    }
)


class Issues(Pages):
    rules = RULES

    def stage(self) -> None:
        fill_teams(self.con, {"web": ("web engineers",), "design": ()})
        github.load(self.con, self.landing, SECRET)
        github.stage(self.con, self.landing, self.rules, SECRET)

    def states(self, *columns: str) -> list[tuple[Any, ...]]:
        return self.rows(f"select number, {', '.join(columns)} from facts.technical_issues order by number, from_at")


@pytest.fixture
def pages(tmp_path: Path) -> Iterator[Issues]:
    made = Issues(tmp_path)
    yield made
    made.con.close()


def at(hour: int) -> str:
    return f"2026-01-01T{hour:02d}:00:00Z"


def story(number: int, *steps: tuple[int, str], first: int = 0) -> list[dict[str, Any]]:
    """At an hour: `+x` puts a label on, `-x` takes it off, `@x` assigns; else it is closed or reopened."""
    found = []
    for place, (hour, what) in enumerate(steps):
        more: dict[str, Any] = {}
        kind = what
        if what[0] in "+-":
            kind, more = ("labeled" if what[0] == "+" else "unlabeled"), {"label": {"name": what[1:]}}
        elif what[0] == "@":
            kind, more = "assigned", {"assignee": account(what[1:])}
        elif what in ("not_planned", "duplicate"):
            kind, more = "closed", {"state_reason": what}
        found.append(event(first + 100 * number + place, number, kind, at(hour), **more))
    return found


def closed(number: int, hour: int, **more: Any) -> dict[str, Any]:
    return issue(number, state="closed", closed_at=at(hour), **more)


OF_APP = ("web engineers", ["web engineers", "web"])
LABELS: dict[str, tuple[list[tuple[int, str]], tuple[Any, ...]]] = {
    "by repository": ([], (*OF_APP, None, None, None)),
    "a label says more than the repository": (
        [(1, "+Team:Design!")], ("design", ["design"], None, None, None)),
    "whatever the capitals": ([(1, "+BUG"), (1, "+API")], (*OF_APP, "api", "defect", None)),
    "the first that matches": ([(1, "+p3"), (2, "+p1")], (*OF_APP, None, None, "urgent")),
    "what was taken off says nothing": (
        [(1, "+p1"), (2, "-p1"), (2, "+p3")], (*OF_APP, None, None, "low")),
}  # fmt: skip


@pytest.mark.parametrize("what", LABELS)
def test_labels_and_repositories_say_what_an_issue_is(pages: Issues, what: str) -> None:
    steps, expected = LABELS[what]
    pages.run({"own/app/issues/1.json": [issue(1)], "own/app/events/1.json": story(1, *steps)})
    assert pages.states("team", "teams", "area", "kind", "priority") == [(1, *expected)]
    assert (pages.quarantine(), pages.failing()) == ([], set())


def test_an_issue_is_due_when_the_agreed_time_has_run_since_it_was_opened(pages: Issues) -> None:
    labels = [*story(1, (3, "+P1")), *story(2, (3, "+P2"))]
    pages.run(
        {
            "own/app/issues/1.json": [issue(1), issue(2), issue(3)],
            "own/app/events/1.json": labels,
            "own/api/issues/1.json": [issue(9)],
        }
    )
    assert pages.states("due_at::varchar") == [
        (1, "2026-01-01 01:30:00"),
        (2, None),
        (3, None),
        (9, "2026-01-02 00:00:00"),
    ]
    assert pages.warning("technical_issues_have_an_agreed_time") == (
        '{"repository":"own/app","priority":"low","issues":1}',
        '{"repository":"own/app","priority":null,"issues":1}',
    )
    assert pages.warning("teams_of_issues_are_known") == ()


def test_only_technical_issues_are_there(pages: Issues) -> None:
    pages.run(
        {
            "own/docs/issues/1.json": [issue(1), issue(2), issue(3, pull_request={})],
            "own/docs/events/1.json": [*story(1, (1, "+technical")), *story(3, (1, "+technical"))],
            "up/stream/issues/1.json": [issue(4)],
        }
    )
    assert pages.states("team", "teams") == [(1, None, [])]


def test_without_a_rule_every_issue_of_our_own_is_technical(pages: Issues) -> None:
    pages.rules = RULES.model_copy(update={"technical": None})
    pages.run({"own/docs/issues/1.json": [issue(1)], "up/stream/issues/1.json": [issue(4)]})
    assert pages.states("state") == [(1, "open")]


def test_states_follow_one_another_and_closed_spells_are_not_open_time(pages: Issues) -> None:
    steps = ((2, "closed"), (2, "reopened"), (5, "closed"), (9, "reopened"), (10, "duplicate"), (11, "reopened"),
             (12, "closed"))  # fmt: skip
    pages.run({"own/app/issues/1.json": [closed(1, 12)], "own/app/events/1.json": story(1, *steps)})
    assert pages.states("state", "hour(from_at)", "hour(to_at)", "open_seconds // 3600") == [
        (1, "open", 0, 2, 0),
        (1, "open", 2, 5, 2),
        (1, "completed", 5, 9, 5),
        (1, "open", 9, 10, 5),
        (1, "duplicate", 10, 11, 6),
        (1, "open", 11, 12, 6),
        (1, "completed", 12, None, 7),
    ]
    assert (pages.quarantine(), pages.failing()) == ([], set())


def test_without_events_the_listing_says_when_it_was_closed(pages: Issues) -> None:
    pages.run({"own/app/issues/1.json": [closed(1, 6), closed(2, 7, state_reason="not_planned")]})
    assert pages.states("state", "open_seconds // 3600")[1::2] == [(1, "completed", 6), (2, "not_planned", 7)]
    assert pages.failing() == set()


def test_a_transferred_issue_is_where_it_went_from_its_creation_on(pages: Issues) -> None:
    moved = event(901, 5, "transferred", at(4))
    pages.run(
        {
            "own/app/issues/1.json": [issue(1)],
            "own/api/issues/1.json": [closed(5, 6)],
            "own/api/events/1.json": [moved, *story(5, (6, "closed"))],
        }
    )
    assert pages.states("team", "state", "open_seconds // 3600") == [
        (5, "design", "open", 0),
        (5, "design", "completed", 6),
    ]
    assert pages.failing() == set()


def test_people_are_the_humans_who_were_assigned(pages: Issues) -> None:
    steps = ((1, "@zz-alice"), (2, "@zz-bobby"), (3, "@zz-alice"), (4, "@Helper"))
    pages.run({"own/app/issues/1.json": [issue(1), issue(2)], "own/app/events/1.json": story(1, *steps)})
    assert pages.states("assignee_key", "assignees") == [(1, key_of("zz-alice", "github"), 2), (2, None, 0)]


@pytest.mark.parametrize(
    ("key", "value", "complaint"),
    [
        ("teams", {"web": {}}, "names neither labels nor repositories"),
        ("teams", {"Web": ["own/a"], "web ": ["own/b"]}, "'web' is named twice"),
        ("kinds", {" ": {"labels": ["bug"]}}, "without a name"),
        ("priorities", {"urgent": {"hours": 3}}, "names neither labels nor repositories"),
        ("priorities", {"urgent": {"labels": ["p1"], "hours": 0}}, "greater than 0"),
        ("areas", {"api": {"labels": ["api"], "hours": 3}}, "not permitted"),
    ],
)
def test_a_rule_that_says_nothing_or_too_much_is_refused(key: str, value: object, complaint: str) -> None:
    with pytest.raises(ValidationError, match=complaint):
        GitHub.model_validate({"own": ["own/*"], key: value})
