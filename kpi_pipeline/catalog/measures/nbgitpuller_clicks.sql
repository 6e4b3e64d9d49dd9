-- Clicks per month and fiscal quarter, by hub and hub type; all landings beside them.
with period as (
    -- In its first month a quarter that runs is the month.
    select period_start, period_end, bool_or(is_closed) as is_closed
    from facts.periods
    where kind in ('month', 'quarter') and period_start <= $as_of
        and period_end >= (select date_trunc('month', min(date)) from facts.nbgitpuller_hits)
    group by period_start, period_end
),

hit as (
    select
        *,
        unnest(['organisation', 'hub_type', 'hub']) as grain,
        unnest(['organisation', hub_type, hub_id]) as member
    from facts.nbgitpuller_hits
    where date <= $as_of
),

counted as (
    select p.period_start, p.period_end, p.is_closed, h.grain, h.member,
        count(*) filter (where h.is_click) as clicks, sum(h.hits) as hits
    from period as p
    inner join hit as h on h.date between p.period_start and p.period_end
    group by all
    union all
    -- A period without landings still has a row.
    select period_start, period_end, is_closed, 'organisation', 'organisation', null, null
    from period as p
    where not exists (select 1 from hit as h where h.date between p.period_start and p.period_end)
)

select
    case s.figure when 'clicks' then grain else grain || ':hits' end as grain,
    member,
    period_start,
    period_end,
    case s.figure when 'clicks' then clicks else hits end as value,
    null as numerator,
    null as denominator,
    coalesce(hits, 0) as n,
    case when hits is null then 'no data' when is_closed then 'ok' else 'to date' end as status
from counted
cross join (values ('clicks'), ('hits')) as s (figure)
