-- Values with the kind of their period. Of a KPI that is known by day each value covers a window that ends then; of others a
-- month or a quarter, perhaps to date. What it is compared with: the month or quarter before, or the window 30 days before.
with dated as (
    select kpi_id, grain, bool_or(day(period_start) <> 1) as is_daily from kpi_values group by kpi_id, grain
),

described as (
    select
        v.*,
        case
            when v.grain like '%:rolling_30_days%' then 'rolling_30_days'
            when v.grain like '%:week%' then 'week'
            when v.grain like '%:quarter%' then 'quarter'
            when g.is_daily then 'day'
            when v.period_end - v.period_start > 30 then 'quarter'
            else 'month'
        end as period,
        f.audience = 'external' and w.kpi_id is null as is_external
    from kpi_values as v
    inner join dated as g on v.kpi_id = g.kpi_id and v.grain = g.grain
    inner join kpi_definitions as f on v.kpi_id = f.kpi_id
    left join withheld_values as w
        on v.kpi_id = w.kpi_id and v.grain = w.grain and v.member = w.member
        and v.period_start = w.period_start and v.period_end = w.period_end
),

compared as (
    select d.*, b.value as previous_value, b.is_external as is_previous_external
    from described as d
    left join described as b
        on
            d.kpi_id = b.kpi_id
            and d.grain = b.grain
            and d.member = b.member
            and d.period = b.period
            and d.period_end - 30 = b.period_end
    where d.period in ('day', 'rolling_30_days')
    union all
    select d.*, lag(d.value) over before, lag(d.is_external) over before
    from described as d
    where d.period not in ('day', 'rolling_30_days')
    window before as (partition by d.kpi_id, d.grain, d.member, d.period order by d.period_start)
)

select
    c.kpi_id,
    c.grain,
    c.member,
    c.period,
    c.period_start,
    c.period_end,
    c.value,
    c.previous_value,
    c.value - c.previous_value as change,
    case when c.previous_value > 0 then round(100 * (c.value - c.previous_value) / c.previous_value, 1)::decimal(18, 1) end
        as change_percent,
    c.n,
    c.numerator,
    c.denominator,
    c.status,
    c.is_external,
    c.is_previous_external
from compared as c
order by c.kpi_id, c.grain, c.member, c.period, c.period_end
