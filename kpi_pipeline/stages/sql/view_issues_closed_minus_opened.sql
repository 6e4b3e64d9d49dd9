-- Months with all of their flows; quarters and weeks with the difference alone.
with figure as (
    select
        *,
        split_part(grain, ':', 1) as of_what,
        split_part(grain, ':', 2) as statistic
    from kpi_values
    where kpi_id = 'engineering.issues_closed_minus_opened' and status not like 'no data: %'
)

select
    case when statistic in ('quarter', 'week') then statistic else 'month' end as period,
    period_start,
    period_end,
    of_what as grain,
    member,
    max(value) filter (where statistic in ('', 'quarter', 'week'))::bigint as closed_minus_opened,
    max(value) filter (where statistic = 'opened')::bigint as opened,
    max(value) filter (where statistic = 'reopened')::bigint as reopened,
    max(value) filter (where statistic = 'closed')::bigint as closed,
    max(value) filter (where statistic = 'completed')::bigint as completed,
    max(value) filter (where statistic = 'not_planned')::bigint as not_planned,
    max(value) filter (where statistic = 'duplicate')::bigint as duplicate,
    max(value) filter (where statistic = 'open_at_end')::bigint as open_at_end,
    max(status) as status
from figure
group by all
order by 4, 5, 1, 2
