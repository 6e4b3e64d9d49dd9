-- A percentile of MAU over the production hubs that were in service on every day of the window, zeros included.
with day as (
    select
        c.date,
        case when c.status_30_days = 'ok' and m.date is not null then 'incomplete' else c.status_30_days end as status_30_days
    from facts.coverage as c
    left join facts.missing_activity as m on c.date = m.date and m.grain = 'organisation'
    where c.date <= $as_of
),

-- Versions of a hub don't share a day, so the days that they cover add up.
hub as (
    select d.date, h.hub_id
    from day as d
    inner join staged.hubs as h
        on h.environment = 'production' and h.kind = 'hub' and h.from_day <= d.date and h.to_day > d.date - 29
    group by d.date, h.hub_id
    having sum(least(h.to_day, d.date + 1) - greatest(h.from_day, d.date - 29)) = 30
),

sorted as (
    select
        h.date,
        list_sort(list(coalesce(a.mau, 0))) as mau,
        count(*) as n,
        count(*) filter (where coalesce(a.mau, 0) = 0) as zero_hubs,
        (count(*) - 1) * $quantile::decimal(9, 6) as position
    from hub as h
    left join facts.active_users as a on a.grain = 'hub' and h.hub_id = a.member and h.date = a.date
    group by h.date
),

-- In decimals, since quantile_cont interpolates in floating point: 43.699999 where 43.7 is meant.
percentile as (
    select
        d.date,
        d.status_30_days,
        coalesce(s.n, 0) as n,
        s.zero_hubs,
        mau[floor(position)::integer + 1]
        + (mau[ceil(position)::integer + 1] - mau[floor(position)::integer + 1]) * (position - floor(position)) as value
    from day as d
    left join sorted as s on d.date = s.date
)

select
    s.grain,
    'organisation' as member,
    p.date - 29 as period_start,
    p.date as period_end,
    case s.grain when 'organisation' then p.value else p.zero_hubs end as value,
    null as numerator,
    null as denominator,
    p.n,
    case
        when p.n = 0 then 'no data'
        when p.status_30_days <> 'ok' then p.status_30_days
        when p.n < 10 then 'insufficient'
        else 'ok'
    end as status
from percentile as p
cross join (values ('organisation'), ('organisation:zero_hubs')) as s (grain)
