"""Checks of the GitHub domain: the stock of open issues and its flows, and issues against their events."""

from kpi_pipeline.contracts.github import TABLES
from kpi_pipeline.stages.checks.model import Check, key_check, null_check

BY_NAME = {table.name: table for table in TABLES}
KEYED = ("staged.github_objects", "staged.issues", "facts.issue_open", "facts.issue_assigned", "facts.issue_labels",
         "facts.upstream_contributions")  # fmt: skip

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
)
