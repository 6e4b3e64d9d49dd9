-- Communities with a qualifying user-day in the 6 calendar months that end on each day; provisioned ones beside it.
with reach as (
    select
        (select min(from_day) from staged.hubs where environment = 'production' and kind = 'hub') as first_hub,
        (select min(date) from facts.coverage) as first_use,
        (select max(date) from facts.coverage where has_data) as newest
),

day as (
    select
        unnest(generate_series(
            case when $has_hub_activity then first_use else first_hub end, $as_of::date, interval 1 day
        ))::date as date,
        newest
    from reach
),

-- (D + 1) - 6 months, so that a period that ends with a month begins with one.
period as (
    select date, newest, ((date + 1) - interval 6 month)::date as start_date
    from day
),

last_use as (
    select
        date,
        max(date) filter (where dau > 0) over (partition by member order by date) as last_date
    from facts.active_users
    where grain = 'community'
),

served as (
    select p.date, count(*) filter (where u.last_date >= p.start_date) as communities
    from period as p inner join last_use as u on p.date = u.date
    group by p.date
),

covered as (
    select p.date, count(*) filter (where c.is_whole) as days
    from period as p inner join facts.coverage as c on c.date between p.start_date and p.date
    group by p.date
),

provisioned as (
    select p.date, count(distinct h.community) as communities
    from period as p
    inner join (
        select from_day, to_day, unnest(communities) as community
        from staged.hubs
        where environment = 'production' and kind = 'hub'
    ) as h on h.from_day <= p.date and h.to_day > p.start_date
    group by p.date
),

figure as (
    select
        p.date,
        p.start_date,
        coalesce(s.communities, 0) as served,
        coalesce(v.communities, 0) as provisioned,
        case
            when not $has_hub_activity then 'provisioned'
            when p.date > p.newest then 'stale'
            when c.days < p.date - p.start_date + 1 then 'incomplete'
            else 'ok'
        end as status
    from period as p
    left join served as s on p.date = s.date
    left join provisioned as v on p.date = v.date
    left join covered as c on p.date = c.date
)

select
    'organisation' as grain,
    'organisation' as member,
    start_date as period_start,
    date as period_end,
    case when $has_hub_activity then served else provisioned end as value,
    null as numerator,
    null as denominator,
    case when $has_hub_activity then served else provisioned end as n,
    status
from figure
union all
select 'organisation:provisioned', 'organisation', start_date, date, provisioned, null, null, provisioned, 'ok'
from figure
