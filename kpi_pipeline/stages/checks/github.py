"""Checks of the GitHub domain: the stock of open issues and its flows, issues against their events, deployments."""

from kpi_pipeline.contracts.github import TABLES
from kpi_pipeline.stages.checks.model import Check, key_check, null_check

BY_NAME = {table.name: table for table in TABLES}
KEYED = ("staged.github_objects", "staged.issues", "facts.issue_open", "facts.issue_assigned", "facts.issue_labels",
         "facts.upstream_contributions", "facts.deployments", "facts.hub_requests",
         "facts.hub_request_waits", "facts.technical_issues")  # fmt: skip

CHECKS: tuple[Check, ...] = (
    *(check(BY_NAME[name]) for name in KEYED for check in (key_check, null_check)),
    Check(
        "issue_stock_and_flow",
        "facts.issue_open",
        "ERROR",
        "open(end) = open(start) + opened + reopened + transferred in - closed - transferred out - deleted, in every "
        "repository on every day.",
        """with stock as (
            select repository, date, sum(step) as change from (
                select repository, from_at::date as date, 1 as step from facts.issue_open
                union all
                select repository, to_at::date, -1 from facts.issue_open where to_at is not null
            ) group by all
        ),
        flow as (
            select repository, date,
                sum(case when flow in ('opened', 'reopened', 'transferred_in') then 1 else -1 end) as change
            from facts.issue_flows group by all
        )
        select coalesce(s.repository, f.repository) as repository, coalesce(s.date, f.date) as date,
            s.change as stock, f.change as flow
        from stock s full join flow f on s.repository = f.repository and s.date = f.date
        where coalesce(s.change, 0) <> coalesce(f.change, 0)""",
    ),
    Check(
        "issue_spells_are_apart",
        "facts.issue_open",
        "ERROR",
        "Spells of an issue don't overlap, and none ends before it begins.",
        """select repository, number, from_at, to_at from (
            select *, lead(from_at) over (partition by repository, number order by from_at) as next_from
            from facts.issue_open)
        where to_at < from_at or next_from < coalesce(to_at, 'infinity'::timestamp)""",
    ),
    Check(
        "assigned_spells_are_apart",
        "facts.issue_assigned",
        "ERROR",
        "Spells of assignment of an issue don't overlap, and none ends before it begins.",
        """select repository, number, from_at, to_at from (
            select *, lead(from_at) over (partition by repository, number order by from_at) as next_from
            from facts.issue_assigned)
        where to_at <= from_at or next_from <= coalesce(to_at, 'infinity'::timestamp)""",
    ),
    Check(
        "listing_agrees_with_events",
        "staged.issues",
        "WARN",
        "An issue that its newest listing shows as open (closed) is so by its events too.",
        """select i.repository, i.number, i.state from staged.issues i
        left join facts.issue_open o
            on o.repository = i.repository and o.number = i.number and o.to_at is null
        where i.left_at is null and (i.state = 'open') <> (o.repository is not null)""",
    ),
    Check(
        "deployment_times_are_possible",
        "facts.deployments",
        "ERROR",
        "A deployment starts after it is created, ends after it starts, and has an outcome when it has ended.",
        """select repository, deployment_id, created_at, started_at, finished_at, outcome from facts.deployments
        where started_at < created_at or finished_at < coalesce(started_at, created_at)
            or (finished_at is null) <> (outcome is null)""",
    ),
    Check(
        "hub_request_waits_are_apart",
        "facts.hub_request_waits",
        "ERROR",
        "Spells of waiting of a request don't overlap, and none ends before it begins.",
        """select repository, number, from_at, to_at from (
            select *, lead(from_at) over (partition by repository, number order by from_at) as next_from
            from facts.hub_request_waits)
        where to_at <= from_at or next_from <= coalesce(to_at, 'infinity'::timestamp)""",
    ),
    Check(
        "hubs_are_asked_for_once",
        "facts.hub_requests",
        "ERROR",
        "One request per hub, and none that was complete only after the hub was deployed.",
        """select r.hub_id, count(distinct (r.repository, r.number)) as requests from facts.hub_requests r
        left join facts.deployments d on d.hub_id = r.hub_id and d.is_production and d.outcome = 'success'
            and d.finished_at < r.completed_at
        group by r.hub_id having count(distinct (r.repository, r.number)) > 1 or count(d.hub_id) > 0""",
    ),
    Check(
        "production_deployments_name_a_hub",
        "facts.deployments",
        "WARN",
        "The environment of a production deployment names a hub of the registry, where there is a registry.",
        "select environment, count(*) as deployments from facts.deployments where is_production and hub_id is null "
        "and exists (select 1 from staged.hubs) group by environment",
    ),
    Check(
        "technical_issues_follow_their_spells",
        "facts.technical_issues",
        "ERROR",
        "States of an issue follow one another, the first from its opening on, and it is open exactly while "
        "facts.issue_open says so.",
        """select repository, number, from_at, to_at from (
            select *, lead(from_at) over story as next_from, lag(from_at) over story as before
            from facts.technical_issues window story as (partition by repository, number order by from_at)) t
        where to_at is distinct from next_from or to_at <= from_at or open_seconds < 0
            or open_seconds > epoch(from_at) - epoch(opened_at) or (before is null and from_at < opened_at)
            or (to_at is null and (state = 'open') <> exists (from facts.issue_open o
                where o.repository = t.repository and o.number = t.number and o.to_at is null))""",
    ),
    Check(
        "technical_issues_have_an_agreed_time",
        "facts.technical_issues",
        "WARN",
        "Every technical issue that wasn't declined has a priority, and that an agreed time: without, it is never due.",
        "select repository, priority, count(*) as issues from facts.technical_issues where to_at is null "
        "and due_at is null and state in ('open', 'completed') group by repository, priority",
    ),
    Check(
        "teams_of_issues_are_known",
        "facts.technical_issues",
        "WARN",
        "Every team of [sources.github.teams] that has issues is in [teams] of kpi.toml; another one may be misspelt.",
        "select team, count(*) as states from facts.technical_issues "
        "where team is not null and team not in (select team from staged.teams) group by team",
    ),
)
