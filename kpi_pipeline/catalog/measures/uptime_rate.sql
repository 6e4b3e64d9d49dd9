with period as (
    -- A month and a quarter to date can be the same days: one row.
    select '' as span, period_start, period_end, bool_or(is_closed) as is_closed
    from facts.periods
    where kind in ('month', 'quarter')
    group by period_start, period_end
    union all
    select kind, period_start, period_end, is_closed
    from facts.periods
    where kind = 'rolling_30_days'
),

watched as (
    select 'organisation' as grain, 'organisation' as member, * exclude (system)
    from facts.uptime
    where date <= $as_of
    union all
    select 'system', system, * exclude (system)
    from facts.uptime
    where date <= $as_of
),

total as (
    select
        m.grain,
        m.member,
        p.*,
        coalesce(sum(w.up_seconds), 0)::decimal(38, 9) as up_seconds,
        coalesce(sum(w.observed_seconds), 0)::bigint as observed_seconds,
        coalesce(sum(w.unobserved_seconds), 0)::bigint as unobserved_seconds,
        coalesce(sum(w.samples), 0)::bigint as samples
    from (select grain, member, min(date) as first_date from watched group by grain, member) as m
    inner join period as p on m.first_date <= p.period_end
    left join watched as w
        on m.grain = w.grain and m.member = w.member and w.date between p.period_start and p.period_end
    group by m.grain, m.member, p.span, p.period_start, p.period_end, p.is_closed
),

figure as (
    select *, '' as figure, up_seconds as part, observed_seconds as whole
    from total
    union all
    select *, 'unobserved', unobserved_seconds::decimal(38, 9), observed_seconds + unobserved_seconds
    from total
    where observed_seconds + unobserved_seconds > 0
)

-- Rounded half up at the ninth decimal, in integers: a float would be off.
select
    concat_ws(':', grain, nullif(concat_ws('_', nullif(span, ''), nullif(figure, '')), '')) as grain,
    member,
    period_start,
    period_end,
    case
        when whole > 0
            then ((200 * (part * 1000000000)::hugeint + whole) // (2 * whole))::decimal(28, 0) * 0.000000001::decimal(10, 9)
    end as value,
    part as numerator,
    whole as denominator,
    samples as n,
    case when whole = 0 then 'no data' when is_closed then 'ok' else 'to date' end as status
from figure
