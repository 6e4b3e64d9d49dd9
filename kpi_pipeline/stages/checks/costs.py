"""Checks of cloud costs: no line is lost on the way, and what is allocated is the bill, to the cent."""

from kpi_pipeline.contracts import TABLES
from kpi_pipeline.stages.checks.model import Check, key_check, null_check

CONTRACT_CHECKED = (
    "staged.cloud_costs",
    "staged.cloud_cost_accounting",
    "facts.hub_months",
    "facts.monthly_users",
    "facts.cloud_costs",
)

CHECKS: tuple[Check, ...] = (
    *(check(TABLES[name]) for name in CONTRACT_CHECKED for check in (key_check, null_check)),
    Check(
        "every_billing_line_is_accounted_for",
        "staged.cloud_cost_accounting",
        "ERROR",
        "Lines in raw = replaced + after the as-of day + without a rate + counted, for every file.",
        """select * from (
            select r.file, r.lines, a.lines as accounted, a.replaced, a.after_as_of, a.no_rate, a.counted
            from (select _file as file, count(*) as lines from raw.cloud_costs group by _file) as r
            full join staged.cloud_cost_accounting as a on r.file = a.file
        ) where lines is distinct from accounted or lines <> replaced + after_as_of + no_rate + counted
        union all
        select 'staged.cloud_costs', sum(lines), null, null, null, null, null from staged.cloud_costs
        having coalesce(sum(lines), 0) <> (select coalesce(sum(counted), 0) from staged.cloud_cost_accounting)""",
    ),
    Check(
        "allocation_sums_to_the_bill",
        "facts.cloud_costs",
        "ERROR",
        "Direct + shared + unallocated = the bill, to the cent, in every month.",
        """select coalesce(b.month, f.month) as month, b.bill, f.allocated
        from (
            select date_trunc('month', date)::date as month, round(sum(amount), 2)::decimal(38, 2) as bill
            from staged.cloud_costs group by 1
        ) as b
        full join (select month, sum(amount) as allocated from facts.cloud_costs group by month) as f
            on b.month = f.month
        where b.bill is distinct from f.allocated""",
    ),
    Check(
        "allocated_hubs_are_known",
        "facts.cloud_costs",
        "ERROR",
        "A cost is a known hub's, or unallocated.",
        """select * from facts.cloud_costs
        where (basis = 'unallocated') <> (hub_id is null) or hub_id not in (select hub_id from staged.hubs)""",
    ),
    Check(
        "redelivery_covers_what_it_replaces",
        "staged.cloud_cost_accounting",
        "WARN",
        "A newer delivery of a billing period has lines on every day that the older one had.",
        "select file, replaced, days_lost from staged.cloud_cost_accounting where days_lost > 0",
    ),
    Check(
        "monthly_users_are_nested",
        "facts.monthly_users",
        "ERROR",
        "No hub has more people than the organisation, people have a user-day each, and user-days add up.",
        """select o.month, o.users, o.user_days, g.grain, g.most, g.days
        from facts.monthly_users as o
        inner join (
            select month, grain, max(users) as most, sum(user_days) as days, min(user_days - users) as spare
            from facts.monthly_users group by month, grain
        ) as g on o.month = g.month
        where o.grain = 'organisation' and (g.most > o.users or g.days <> o.user_days or g.spare < 0)""",
    ),
)
