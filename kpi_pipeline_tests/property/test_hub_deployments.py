"""Hub deployment time: whatever the labels and their order, it is the hours that a plain walk counts, one by one."""

from datetime import date
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kpi_pipeline import catalog
from kpi_pipeline.stages.kpi import parameters
from kpi_pipeline.warehouse import run
from kpi_pipeline_tests.bad_input.github_pages import issue
from kpi_pipeline_tests.bad_input.test_deployments import EVENTS, ISSUES, Hubs, deployment, status

HOURS = 72
END = 96  # after the as-of day, 4 January
KPI = catalog.load().kpi("engineering.hub_deployment_time")
STEPS = st.lists(
    st.tuples(st.integers(0, HOURS - 1), st.sampled_from(("complete", "waiting", "on hold")), st.booleans()), max_size=8
)
STORY = st.tuples(STEPS, st.integers(0, HOURS - 1) | st.none())


def at(hour: int) -> str:
    return f"2026-01-{1 + hour // 24:02d}T{hour % 24:02d}:00:00Z"


def walk(steps: list[tuple[int, str, bool]], deployed: int | None) -> int | None:
    """Hours counted; None: complete only after the deployment."""
    labels, complete, waiting = set[str](), 0, set[int]()
    before = 0
    for hour, label, is_put_on in [*steps, (END, "", False)]:
        waiting |= set(range(before, hour)) if labels & {"waiting", "on hold"} else set()
        before = hour
        if is_put_on and label == "complete" and label not in labels:
            complete = hour
        (labels.add if is_put_on else labels.discard)(label)
    until = END if deployed is None else deployed
    return None if until < complete else len(set(range(complete, until)) - waiting)


@given(st.lists(STORY, min_size=1, max_size=4))
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_the_time_is_what_a_walk_counts(stories: list[Any]) -> None:
    pages: dict[str, list[Any]] = {ISSUES: [], EVENTS: [], "own/app/deployments/1.json": []}
    expected = {}
    with TemporaryDirectory() as folder:
        hubs = Hubs(Path(folder))
        for number, (unsorted, deployed) in enumerate(stories, 1):
            steps = sorted(unsorted, key=lambda step: step[0])
            hubs.register(f"reef/h{number}")
            pages[ISSUES].append(issue(number, title=f"hub: reef/h{number}"))
            for place, (hour, label, is_put_on) in enumerate([(0, "new-hub", True), *steps]):
                pages[EVENTS].append(
                    {
                        "id": 100 * number + place,
                        "event": "labeled" if is_put_on else "unlabeled",
                        "created_at": at(hour),
                        "issue": {"number": number},
                        "label": {"name": label},
                    }
                )
            if deployed is not None:
                created = {"created_at": at(0), "updated_at": at(0)}
                pages["own/app/deployments/1.json"].append({**deployment(number, f"reef/h{number}"), **created})
                ended = {"created_at": at(deployed), "updated_at": at(deployed)}
                pages[f"own/app/statuses/{number}/1.json"] = [{**status(number, "success", 0), **ended}]
            hours = walk(steps, deployed)
            if hours is not None:
                expected[f"reef/h{number}", "hub" if deployed is not None else "hub:open_age"] = hours
        hubs.run(pages)
        hubs.con.execute("insert into facts.periods values ('month', date '2026-01-01', date '2026-01-04', false)")
        rows = run(
            hubs.con,
            f"select member, grain, value from ({KPI.measure.formula}) where grain in ('hub', 'hub:open_age')",
            parameters(KPI, date(2026, 1, 4), frozenset(), 3),
        )
        quarantined, failing = hubs.rows("select count(*) from raw.quarantine")[0][0], hubs.failing()
        hubs.con.close()
    assert {(member, grain): value for member, grain, value in rows} == {
        key: (Decimal(hours) / 24).quantize(Decimal("1e-9")) for key, hours in expected.items()
    }
    assert (quarantined, failing) == (len(stories) - len(expected), set())
