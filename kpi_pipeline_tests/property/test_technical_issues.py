"""What the measures of technical issues see at the end of any day is what a plain walk through each story gives."""

from datetime import date, datetime, timedelta
from importlib import resources
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kpi_pipeline.settings.sources import GitHub
from kpi_pipeline.stages import github
from kpi_pipeline_tests.bad_input.github_pages import SECRET, Pages, event, issue

BEGIN = datetime(2026, 1, 1)
HOURS = 96
AGREED = 30
RULES = GitHub.model_validate(
    {
        "own": ["own/*"], "kinds": {"defect": ["own/*"]},
        "priorities": {"high": {"repositories": ["own/*"], "hours": AGREED}},
    }
)  # fmt: skip
KINDS = ("completed", "not_planned", "duplicate", "reopened")
STORIES = st.lists(
    st.lists(st.tuples(st.integers(1, HOURS - 1), st.sampled_from(KINDS)), max_size=8), min_size=1, max_size=4
)


class Issues(Pages):
    def stage(self) -> None:
        github.load(self.con, self.landing, SECRET)
        github.stage(self.con, self.landing, RULES, SECRET)

    def observed(self, measure: str, as_of: date, columns: str) -> list[tuple[Any, ...]]:
        statement = resources.files("kpi_pipeline").joinpath(f"catalog/measures/{measure}.sql").read_text()
        bound = {"as_of": as_of} if "$as_of" in statement else {"kind": "defect"}
        return self.con.execute(f"select {columns} from ({statement}) order by all", bound).fetchall()


def walk(story: list[tuple[int, str]], until: int) -> tuple[str, int, int]:
    """State at an hour, since which hour, and how many hours it had been open by then."""
    state, since, hours = "open", 0, 0
    for hour, kind in story:
        if hour >= until:
            break
        if kind == "reopened" and state != "open":
            state, since = "open", hour
        elif kind != "reopened" and state == "open":
            state, since, hours = kind, hour, hours + hour - since
    return state, since, hours


def at(hour: int) -> str:
    return f"{BEGIN + timedelta(hours=hour):%Y-%m-%dT%H:%M:%SZ}"


@given(STORIES)
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_every_day_sees_the_state_at_its_end(stories: list[list[tuple[int, str]]]) -> None:
    stories = [sorted(story, key=lambda step: step[0]) for story in stories]
    issues, events = [], list[dict[str, Any]]()
    for number, story in enumerate(stories, 1):
        for place, (hour, kind) in enumerate(story):
            more = {"state_reason": kind} if kind in ("not_planned", "duplicate") else {}
            name = "reopened" if kind == "reopened" else "closed"
            events.append(event(100 * number + place, number, name, at(hour), **more))
        state, since, _ = walk(story, HOURS)
        is_open = {} if state == "open" else {"state": "closed", "closed_at": at(since), "state_reason": state}
        issues.append(issue(number, **is_open))
    with TemporaryDirectory() as folder:
        pages = Issues(Path(folder))
        pages.run({"own/app/issues/1.json": issues, "own/app/events/1.json": events[::-1]})
        assert pages.failing() == set()
        for day in range(HOURS // 24):
            as_of = (BEGIN + timedelta(days=day)).date()
            states = [walk(story, 24 * (day + 1)) for story in stories]
            found = pages.observed("issue_resolution_time", as_of, "seconds, date <= $as_of")
            seen = sorted(seconds for seconds, is_past in found if is_past)
            assert seen == sorted(3600 * hours for state, _, hours in states if state == "completed")
            # All are due in the second day's morning: on the first day, nobody can say yet.
            if 24 * (day + 1) > AGREED:
                due = pages.observed("issues_resolved_within_agreed_time", as_of, "numerator::integer")
                assert [n for (n,) in due] == sorted(
                    int(state == "completed" and since <= AGREED)
                    for state, since, _ in states
                    if state in ("open", "completed") or since > AGREED
                )
            defects = pages.observed(
                "defects_resolved_rate", as_of, "numerator::integer, denominator::integer, from_date, to_date"
            )
            held = [(n, d) for n, d, since, until in defects if since <= as_of and (until is None or as_of < until)]
            assert sorted(held) == sorted(
                (int(state == "completed"), int(state in ("open", "completed"))) for state, _, _ in states
            )
        pages.con.close()
