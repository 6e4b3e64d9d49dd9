"""Deployments and requests for hubs with everything that can be wrong with them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from kpi_pipeline.errors import ConfigError
from kpi_pipeline.settings.sources import Deployments, GitHub, HubRequests
from kpi_pipeline.stages import github

from .github_pages import SECRET, Pages, account, event, issue

ISSUES, EVENTS = "own/app/issues/1.json", "own/app/events/1.json"
NAMES = r"(?i)hub: *(?P<cluster>[\w-]+)/(?P<hub>[\w-]+)"
RULES = GitHub(
    own=("Own/*",),
    deployments=Deployments(production=("*/*",)),
    hub_requests=HubRequests(label="New-Hub", names=NAMES, complete="complete", waiting=("waiting", "on hold")),
)


class Hubs(Pages):
    """Pages by the rules above, and a registry."""

    rules = RULES
    names_hub: str | None = NAMES

    def stage(self) -> None:
        github.load(self.con, self.landing, SECRET, self.names_hub)
        github.stage(self.con, self.landing, self.rules, SECRET)

    def register(self, *hub_ids: str, environment: str = "production") -> None:
        for hub_id in hub_ids:
            cluster, hub = hub_id.split("/")
            self.con.execute(
                "insert into staged.hubs by name select ? as hub_id, date '2026-01-01' as from_day, "
                "date '9999-12-31' as to_day, "
                "? as cluster, ? as hub, ? as display_name, ? as environment, 'hub' as kind, "
                "'other' as hub_type, [] as communities, ? as identity_issuer, 'f' as _file, 1 as _row",
                [hub_id, cluster, hub, hub_id, environment, cluster],
            )

    def requests(self) -> list[tuple[Any, ...]]:
        return self.rows("select number, hub_id, completed_at::varchar from facts.hub_requests order by 1")

    def deployments(self) -> list[tuple[Any, ...]]:
        return self.rows(
            "select deployment_id, hub_id, is_production, outcome, hour(finished_at) from facts.deployments order by 1"
        )


@pytest.fixture
def pages(tmp_path: Path) -> Iterator[Hubs]:
    made = Hubs(tmp_path)
    yield made
    made.con.close()


def at(hour: int, day: int = 2) -> str:
    return f"2026-01-{day:02d}T{hour:02d}:00:00Z"


def deployment(number: int, environment: str = "reef/prod", hour: int = 10) -> dict[str, Any]:
    times = {"created_at": at(hour), "updated_at": at(hour)}
    return {"id": number, "environment": environment, "creator": account("zz-alice"), **times}


def status(number: int, state: object, hour: int) -> dict[str, Any]:
    return {
        "id": number,
        "state": state,
        "created_at": at(hour),
        "updated_at": at(hour),
        "creator": account("zz-bobby"),
    }


def request(number: int, title: str = "New hub: reef/prod", **more: Any) -> dict[str, Any]:
    return issue(number, opened=at(number % 24, 1), title=title, **more)


def labels(number: int, *changes: tuple[str, int]) -> list[dict[str, Any]]:
    """`+name` puts a label on, `-name` takes it off, at an hour; every one is asked for with the label of a request."""
    steps = [("+new-hub", -1), *changes]
    return [
        event(
            100 * number + place,
            number,
            "labeled" if name[0] == "+" else "unlabeled",
            at(number % 24, 1) if hour < 0 else at(hour),
            label={"name": name[1:]},
        )
        for place, (name, hour) in enumerate(steps)
    ]


DEPLOYED = {"own/app/deployments/1.json": [deployment(1)], "own/app/statuses/1/1.json": [status(11, "success", 12)]}


def test_the_first_terminal_state_ends_a_deployment_and_inactive_is_none(pages: Hubs) -> None:
    pages.register("reef/prod")
    pages.run(
        {
            "own/app/deployments/1.json": [deployment(n) for n in range(1, 6)],
            "own/app/statuses/1/1.json": [status(11, "success", 14), status(12, "failure", 12)],
            "own/app/statuses/2/1.json": [status(21, "inactive", 11), status(22, "success", 13)],
            "own/app/statuses/3/1.json": [status(31, "queued", 11), status(32, "in_progress", 12)],
            "own/app/statuses/4/1.json": [status(41, "error", 11), status(42, "in_progress", 12)],
        }
    )
    assert pages.deployments() == [
        (1, "reef/prod", True, "failure", 12),
        (2, "reef/prod", True, "success", 13),
        (3, "reef/prod", True, None, None),
        (4, "reef/prod", True, "error", 11),
        (5, "reef/prod", True, None, None),
    ]
    assert pages.rows("select deployment_id, hour(started_at) from facts.deployments where started_at is not null") == [
        (3, 12)
    ]
    assert (pages.quarantine(), pages.failing()) == ([], set())


BROKEN_STATUSES = {
    "before its deployment": ("own/app/statuses/1/2.json", status(9, "success", 9), "before_its_deployment"),
    "of no deployment": ("own/app/statuses/7/2.json", status(9, "success", 11), "unknown_deployment"),
    "a state that GitHub doesn't have": ("own/app/statuses/1/2.json", status(9, "succes", 11), "invalid:state"),
    "no state": ("own/app/statuses/1/2.json", status(9, None, 11), "invalid:state"),
    "a number as state": ("own/app/statuses/1/2.json", status(9, 7, 11), "wrong_type:state"),
}


@pytest.mark.parametrize("what", BROKEN_STATUSES)
def test_a_broken_status_is_quarantined_and_ends_nothing(pages: Hubs, what: str) -> None:
    name, broken, reason = BROKEN_STATUSES[what]
    pages.register("reef/prod")
    pages.run({**DEPLOYED, name: [broken]})
    assert pages.quarantine() == [(name, 1, reason)]
    assert pages.deployments() == [(1, "reef/prod", True, "success", 12)]


def test_deployments_that_match_no_hub_stay_and_are_reported(pages: Hubs) -> None:
    pages.register("Reef/Prod", "reef/archive")
    pages.register("reef/staging", environment="staging")
    environments = ("REEF/prod", "reef/other", "docs", "reef/staging", "reef/archive")
    pages.run({"own/app/deployments/1.json": [deployment(n, e) for n, e in enumerate(environments, 1)]})
    assert [row[:3] for row in pages.deployments()] == [
        (1, "Reef/Prod", True),
        (2, None, True),
        (3, None, False),
        (4, "reef/staging", False),
        (5, "reef/archive", True),
    ]
    assert pages.warning("production_deployments_name_a_hub") == ('{"environment":"reef/other","deployments":1}',)


def test_deployments_elsewhere_are_none_of_ours(pages: Hubs) -> None:
    pages.register("reef/prod")
    pages.run(
        {"up/stream/deployments/1.json": [deployment(1)], "up/stream/statuses/9/1.json": [status(1, "success", 11)]}
    )
    assert (pages.deployments(), pages.quarantine()) == ([], [])


def test_a_request_is_complete_when_its_label_was_put_on_last_else_when_it_was_opened(pages: Hubs) -> None:
    pages.register("reef/prod")
    first = labels(1, ("+Complete", 3), ("-Complete", 4), ("+Complete", 5))
    body = "Dear all,\n\nhub: REEF/Lab\nand hub: reef/late"
    pages.run({ISSUES: [request(1), request(2, "Please", body=body)], EVENTS: [*first, *labels(2)]})
    assert pages.requests() == [(1, "reef/prod", "2026-01-02 05:00:00"), (2, "reef/lab", "2026-01-01 02:00:00")]
    assert (pages.quarantine(), pages.failing()) == ([], set())


def test_of_two_requests_for_a_hub_the_first_counts(pages: Hubs) -> None:
    pages.run({ISSUES: [request(2), request(1, "HUB: Reef/Prod")], EVENTS: [*labels(1), *labels(2)]})
    assert [row[0] for row in pages.requests()] == [1]
    assert pages.quarantine() == [(ISSUES, 1, "another_request_for_its_hub")]


def test_a_request_that_names_no_hub_is_quarantined(pages: Hubs) -> None:
    pages.run({ISSUES: [request(1, "New hub please"), request(2)], EVENTS: [*labels(1), *labels(2)]})
    assert [row[0] for row in pages.requests()] == [2]
    assert pages.quarantine() == [(ISSUES, 1, "names_no_hub")]


def test_a_request_that_is_complete_after_the_deployment_is_quarantined(pages: Hubs) -> None:
    """A negative duration: never counted, not as 0 either. Complete at the moment of the deployment is 0."""
    pages.register("reef/prod", "reef/lab")
    pages.run(
        {
            ISSUES: [request(1), request(2, "hub: reef/lab")],
            EVENTS: [*labels(1, ("+complete", 13)), *labels(2, ("+complete", 12))],
            "own/app/deployments/1.json": [deployment(1), deployment(2, "reef/lab")],
            "own/app/statuses/1/1.json": [status(11, "success", 12)],
            "own/app/statuses/2/1.json": [status(21, "success", 12)],
        }
    )
    assert [row[0] for row in pages.requests()] == [2]
    assert pages.quarantine() == [(ISSUES, 1, "deployed_before_complete")]
    assert pages.failing() == set()


def test_what_was_declined_or_lost_its_label_asks_for_nothing(pages: Hubs) -> None:
    closed = {"state": "closed", "closed_at": at(9)}
    pages.run(
        {
            ISSUES: [
                request(1, state_reason="not_planned", **closed),
                request(2, state_reason="duplicate", **closed),
                request(3),
                request(4, state_reason="completed", **closed),
            ],
            EVENTS: [*labels(1), *labels(2), *labels(3, ("-new-hub", 5)), *labels(4)],
        }
    )
    assert [row[0] for row in pages.requests()] == [4]
    assert pages.quarantine() == []


def test_labels_of_waiting_that_overlap_are_one_spell(pages: Hubs) -> None:
    steps = (("+waiting", 3), ("+On Hold", 4), ("-waiting", 5), ("-On Hold", 6), ("+waiting", 8))
    pages.run({ISSUES: [request(1), issue(2)], EVENTS: [*labels(1, *steps), *labels(2, ("+waiting", 3))]})
    spells = "select number, hour(from_at), hour(to_at) from facts.hub_request_waits order by all"
    assert pages.rows(spells) == [(1, 3, 6), (1, 8, None)]
    assert pages.failing() == set()


def test_another_pattern_reads_the_titles_again(pages: Hubs) -> None:
    content = {ISSUES: [request(1, "hub: a/b, really c/d")], EVENTS: labels(1)}
    pages.run(content)
    pages.names_hub = r"really (?P<cluster>\w+)/(?P<hub>\w+)"
    pages.run(content)
    assert [row[1] for row in pages.requests()] == ["c/d"]


def test_no_title_is_in_the_warehouse_but_the_hub_that_it_names(pages: Hubs) -> None:
    pages.run({ISSUES: [request(1, "hub: reef/prod for Zz-Carol", body="zz-carol")], EVENTS: labels(1)})
    for schema, name in pages.rows("select schema_name, table_name from duckdb_tables()"):
        assert "zz-carol" not in str(pages.rows(f'from "{schema}"."{name}"')).casefold(), name


@pytest.mark.parametrize(
    ("pattern", "complaint"),
    [
        ("new hub", "has no group 'cluster'"),
        (r"(?P<cluster>\w+)", "has no group 'hub'"),
        ("(", "not a regular expression"),
    ],
)
def test_a_pattern_that_names_no_hub_is_refused(pattern: str, complaint: str) -> None:
    with pytest.raises(ValidationError, match=complaint):
        HubRequests(label="new-hub", names=pattern)
    with pytest.raises(ValidationError, match=complaint):
        Deployments(environment=pattern)


def test_a_pattern_that_the_database_cannot_read_is_refused(pages: Hubs) -> None:
    pages.names_hub = r"(?P<cluster>\w+)/(?P<hub>\w+)(?!x)"
    with pytest.raises(ConfigError, match=r"sources\.github\.hub_requests\.names"):
        pages.run({ISSUES: [request(1)]})
