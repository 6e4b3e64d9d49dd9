-- One row per period: the part of a grain that names its window is the same in all of a row's figures.
with figure as (
    select
        *,
        split_part(grain, ':', 1) as of_what,
        contains(grain, ':rolling_30_days') as is_rolling,
        ltrim(replace(split_part(grain, ':', 2), 'rolling_30_days', ''), '_') as statistic
    from kpi_values
    where kpi_id = 'community_guidance.ticket_turnaround_time' and status not like 'no data: %'
)

select
    case
        when is_rolling then 'rolling_30_days'
        when starts_with(statistic, 'open_') then 'day'
        when date_trunc('month', period_start) = date_trunc('month', period_end) then 'month'
        else 'quarter'
    end as period,
    period_start,
    period_end,
    of_what as grain,
    member,
    max(value) filter (where statistic = '') as reply_hours,
    max(value) filter (where statistic = 'median') as reply_hours_median,
    max(value) filter (where statistic = 'p90') as reply_hours_p90,
    max(value) filter (where statistic = 'business') as reply_business_hours,
    max(n) filter (where statistic = '') as replies,
    max(value) filter (where statistic = 'resolution') as resolution_hours,
    max(value) filter (where statistic = 'resolution_median') as resolution_hours_median,
    max(value) filter (where statistic = 'resolution_p90') as resolution_hours_p90,
    max(value) filter (where statistic = 'resolution_business') as resolution_business_hours,
    max(n) filter (where statistic = 'resolution') as resolutions,
    max(value) filter (where statistic = 'open_without_reply')::bigint as open_without_reply
from figure
group by all
order by 4, 5, 1, 2, 3
