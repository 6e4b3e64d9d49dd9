-- One row per period: the part of a grain that names its window is the same in all of a row's figures.
with figure as (
    select
        *,
        split_part(grain, ':', 1) as of_what,
        coalesce(nullif(regexp_extract(split_part(grain, ':', 2), '^(quarter|rolling_30_days)'), ''), 'month') as period
    from kpi_values
    where kpi_id = 'engineering.issue_completion_time' and status not like 'no data: %' and not contains(grain, ':open_')
)

select
    period,
    period_start,
    period_end,
    of_what as grain,
    member,
    max(value) filter (where denominator is not null and not ends_with(grain, 'business_hours')) as hours,
    max(value) filter (where ends_with(grain, 'median')) as hours_median,
    max(value) filter (where ends_with(grain, 'p90')) as hours_p90,
    max(value) filter (where ends_with(grain, 'business_hours')) as business_hours,
    max(n) as issues,
    max(status) as status
from figure
group by all
order by 4, 5, 1, 2
