-- Communities with a qualifying user-day on which they said of themselves that they are historically marginalised, in
-- the 6 calendar months that end on each day.
with reach as (
    select min(date) as first_use from facts.active_users where grain = 'organisation'
),

-- (D + 1) - 6 months, so that a period that ends with a month begins with one.
period as (
    select date, first_use, ((date + 1) - interval 6 month)::date as start_date
    from (
        select unnest(generate_series(first_use, $as_of::date, interval 1 day))::date as date, first_use from reach
    )
),

declared_use as (
    select a.date, a.member, a.dau > 0 as is_used, d.is_marginalised
    from facts.active_users as a
    inner join (select distinct community from staged.community_declarations) as c on a.member = c.community
    left join staged.community_declarations as d
        on a.member = d.community and a.date >= d.from_day and a.date < d.to_day
    where a.grain = 'community'
),

last_use as (
    select
        date,
        max(date) filter (where is_used and is_marginalised) over (partition by member order by date) as marginalised,
        max(date) filter (where is_used and is_marginalised is not null) over (partition by member order by date)
            as declared
    from declared_use
),

figure as (
    select
        p.date,
        p.start_date,
        p.first_use,
        count(*) filter (where u.marginalised >= p.start_date) as marginalised,
        count(*) filter (where u.declared >= p.start_date) as declared
    from period as p
    left join last_use as u on p.date = u.date
    group by all
)

select
    'organisation' as grain,
    'organisation' as member,
    start_date as period_start,
    date as period_end,
    marginalised as value,
    null as numerator,
    null as denominator,
    declared as n,
    case when declared = 0 then 'insufficient' when start_date < first_use then 'incomplete' else 'ok' end as status
from figure
union all
select 'organisation:declared', 'organisation', start_date, date, declared, null, null, declared, 'ok' as status
from figure
