-- Distinct works per month and fiscal quarter, from the first one on.
with period as (
    select period_start, period_end, bool_or(is_closed) as is_closed
    from facts.periods
    where kind in ('month', 'quarter')
    group by period_start, period_end
),

membership as (
    select 'organisation' as grain, 'organisation' as member, date, work from facts.works
    union all
    select 'organisation:' || kind, 'organisation', date, work from facts.works
    union all
    select 'community', unnest(communities), date, work from facts.works
),

-- A month without a work is 0 once there has been one.
expected as (
    select g.grain, 'organisation' as member, p.*
    from period as p
    cross join (
        select unnest(['organisation', 'organisation:publication', 'organisation:presentation']) as grain
    ) as g
    where p.period_end >= (select min(date) from facts.works where date <= $as_of)
),

counted as (
    select m.grain, m.member, p.period_start, p.period_end, p.is_closed, count(*) as works
    from membership as m
    inner join period as p on m.date between p.period_start and p.period_end
    where m.date <= $as_of
    group by all
)

select
    grain,
    member,
    period_start,
    period_end,
    works as value,
    null as numerator,
    null as denominator,
    works as n,
    case when is_closed then 'ok' else 'to date' end as status
from (
    select * from counted
    union all
    select e.grain, e.member, e.period_start, e.period_end, e.is_closed, 0
    from expected as e
    anti join counted as c
        on e.grain = c.grain and e.member = c.member
        and e.period_start = c.period_start and e.period_end = c.period_end
)
