-- Clicks per month, fiscal quarter, and in the 30 days that end on each day, by hub and hub type; all landings beside them.
with reach as (
    select min(date) as first_day from facts.nbgitpuller_hits
),

period as (
    -- In its first month a quarter that runs is the month.
    select '' as span, p.period_start, p.period_end, bool_or(p.is_closed) as is_closed
    from facts.periods as p
    inner join reach as r on p.period_end >= date_trunc('month', r.first_day)
    where p.kind in ('month', 'quarter') and p.period_start <= $as_of
    group by p.period_start, p.period_end
    union all
    select p.kind, p.period_start, p.period_end, p.is_closed
    from facts.periods as p
    inner join reach as r on p.period_end >= r.first_day
    where p.kind = 'rolling_30_days' and p.period_end <= $as_of
),

hit as (
    select
        *,
        unnest(['organisation', 'hub_type', 'hub']) as grain,
        unnest(['organisation', hub_type, hub_id]) as member
    from facts.nbgitpuller_hits
    where date <= $as_of
),

day as (
    select date, grain, member, count(*) filter (where is_click) as clicks, sum(hits) as hits
    from hit
    group by date, grain, member
),

counted as (
    select p.*, d.grain, d.member, sum(d.clicks) as clicks, sum(d.hits) as hits
    from period as p
    inner join day as d on d.date between p.period_start and p.period_end
    group by all
    union all
    -- A period without landings still has a row.
    select p.*, 'organisation', 'organisation', null, null
    from period as p
    where not exists (select 1 from day as d where d.date between p.period_start and p.period_end)
)

select
    concat_ws(':', grain, nullif(concat_ws('_', nullif(span, ''), nullif(s.figure, 'clicks')), '')) as grain,
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
