-- A KPI that is known by day has the value of the quarter's last day; others the quarter's own, or their last month's
-- where they have none. The running quarter ends on the as-of day, and what has only part of it isn't compared.
with placed as (
    select
        s.kpi_id,
        regexp_replace(s.grain, ':quarter$', '') as grain,
        s.member,
        s.period,
        s.period_start,
        s.period_end,
        s.value,
        s.n,
        s.status,
        s.is_external,
        date_trunc('month', s.period_end)::date
        - to_months(((month(s.period_end) - o.fiscal_year_first_month + 12) % 3)::integer) as starts_at,
        o.as_of
    from kpi_series as s
    cross join organisation as o
    where s.period in ('day', 'month', 'quarter')
),

dated as (
    select
        *,
        starts_at::date as quarter_start,
        (starts_at + interval 3 months)::date - 1 as quarter_end
    from placed
),

chosen as (
    select *
    from dated
    where period = 'quarter' or period_end = least(quarter_end, as_of)
    qualify row_number() over (
        partition by kpi_id, grain, member, quarter_start order by period = 'month', period_end desc
    ) = 1
)

select
    c.kpi_id,
    c.grain,
    c.member,
    c.quarter_start,
    c.quarter_end,
    c.quarter_end <= c.as_of as is_closed,
    c.period,
    c.period_start,
    c.period_end,
    c.value,
    c.n,
    c.status,
    c.is_external,
    b.value as before_value,
    b.status as before_status,
    b.is_external as is_before_external,
    c.value - b.value as change,
    case when b.value > 0 then round(100 * (c.value - b.value) / b.value, 1)::decimal(18, 1) end as change_percent,
    y.value as year_ago_value,
    y.status as year_ago_status,
    y.is_external as is_year_ago_external,
    c.value - y.value as year_change,
    case when y.value > 0 then round(100 * (c.value - y.value) / y.value, 1)::decimal(18, 1) end as year_change_percent
from chosen as c
left join chosen as b
    on c.kpi_id = b.kpi_id and c.grain = b.grain and c.member = b.member and c.period = b.period
    and b.quarter_start = (c.quarter_start - interval 3 months)::date
    and (c.period = 'day' or c.period_end = c.quarter_end)
left join chosen as y
    on c.kpi_id = y.kpi_id and c.grain = y.grain and c.member = y.member and c.period = y.period
    and y.quarter_start = (c.quarter_start - interval 1 year)::date
    and (c.period = 'day' or c.period_end = c.quarter_end)
order by c.kpi_id, c.grain, c.member, c.quarter_start
