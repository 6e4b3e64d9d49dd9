-- Every month, fiscal quarter and week that has begun by $as_of, and the 30 days that end on each day. A fiscal quarter
-- begins every third month from $fiscal_month on.
with day as (
    select unnest(generate_series($first::date, $as_of::date, interval 1 day))::date as date
),

started as (
    select
        'month' as kind,
        date_trunc('month', date)::date as period_start,
        (date_trunc('month', date) + interval 1 month)::date - 1 as last_day
    from day
    union
    select
        'quarter',
        (date_trunc('month', date) - to_months(((month(date) - $fiscal_month + 12) % 3)::integer))::date,
        (date_trunc('month', date) - to_months(((month(date) - $fiscal_month + 12) % 3)::integer) + interval 3 month)::date - 1
    from day
    union
    select 'week', date_trunc('week', date)::date, date_trunc('week', date)::date + 6
    from day
    union all
    select 'rolling_30_days', date - 29, date
    from day
)

select
    kind,
    period_start,
    least(last_day, $as_of::date) as period_end,
    last_day <= $as_of as is_closed
from started
order by kind, period_start
