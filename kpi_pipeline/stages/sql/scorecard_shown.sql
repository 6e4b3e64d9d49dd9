-- Of each KPI the last closed period and the running one, side by side, as text.
with latest as (
    select *, row_number() over (partition by kpi_id, is_closed order by period_start desc) as age
    from kpi.scorecard
),

shown as (
    select
        role,
        kpi_id,
        is_closed,
        status,
        coalesce(comparator || ' ' || trim(trim(target::varchar, '0'), '.'), '-') as target,
        coalesce(round(value, 2)::decimal(38, 2)::varchar, '-') as value
    from latest
    where age = 1
)

select
    role,
    split_part(kpi_id, '.', 2) as kpi,
    max(target) as target,
    coalesce(max(value) filter (where is_closed), '-') as closed_value,
    coalesce(max(status) filter (where is_closed), '-') as closed_status,
    coalesce(max(value) filter (where not is_closed), '-') as running_value,
    coalesce(max(status) filter (where not is_closed), '-') as running_status
from shown
group by role, kpi_id
order by role, kpi_id
