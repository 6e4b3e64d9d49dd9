-- Tickets by the period of their first reply (and of their resolution), for the organisation, communities and products.
with reach as (
    select min(created_at)::date as first_day from facts.tickets where created_at::date <= $as_of
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

-- By day, so that what happened on a day finds its periods by equality, and is joined with them once.
period_day as (
    select *, unnest(generate_series(period_start, period_end, interval 1 day))::date as date
    from period
),

ticket as (
    select
        t.*,
        unnest(['organisation', 'community', 'product']) as grain,
        unnest(['organisation', t.community, t.product]) as member
    from facts.tickets as t
),

observation as (
    select grain, member, replied_at::date as date, '' as statistic, reply_seconds as elapsed,
        reply_business_seconds as business, excluded_from
    from ticket
    where replied_at is not null and (exclusion is null or replied_at::date < excluded_from)
    union all
    select grain, member, resolved_at::date, 'resolution', resolution_seconds, resolution_business_seconds, excluded_from
    from ticket
    where resolved_at is not null and (exclusion is null or resolved_at::date < excluded_from)
),

day as (
    select
        grain,
        member,
        date,
        statistic,
        excluded_from,
        count(*) as n,
        sum(elapsed) as elapsed,
        sum(business) as business,
        list(elapsed) as times
    from observation
    group by grain, member, date, statistic, excluded_from
),

observed as (
    select
        p.* exclude (date),
        d.grain,
        d.member,
        d.statistic,
        sum(d.n)::bigint as n,
        sum(d.elapsed)::hugeint as elapsed,
        sum(d.business)::hugeint as business,
        list_aggregate(flatten(list(d.times)), 'quantile_cont', [0.5, 0.9]) as percentiles
    from period_day as p
    inner join day as d on p.date = d.date and (d.excluded_from is null or p.period_end < d.excluded_from)
    group by all
),

-- The organisation has a row for every period, with or without observations.
counted as (
    select * from observed
    union all by name
    select p.*, 'organisation' as grain, 'organisation' as member, s.statistic, 0 as n
    from period as p
    cross join (values (''), ('resolution')) as s (statistic)
    anti join observed as o
        on o.grain = 'organisation' and p.span = o.span and p.period_start = o.period_start
        and p.period_end = o.period_end and s.statistic = o.statistic
),

-- Each figure as a fraction of seconds, so that it is divided once, and exactly. Percentiles interpolate linearly: of whole
-- seconds they are whole tenths, which a float holds to far less than one.
fraction as (
    select
        *,
        unnest(['', 'median', 'p90', 'business']) as figure,
        unnest([elapsed, round(10 * percentiles[1])::hugeint, round(10 * percentiles[2])::hugeint, business]) as seconds,
        unnest([n, 10, 10, n]) as divisor
    from counted
),

turnaround as (
    select
        concat_ws(':', grain, nullif(concat_ws('_', nullif(span, ''), nullif(statistic, ''), nullif(figure, '')), ''))
            as grain,
        member,
        period_start,
        period_end,
        -- Hours to 9 decimals, half up; in whole numbers, since a division of decimals is one of floats.
        case when n > 0 then
            ((2 * seconds * 1000000000 + divisor * 3600) // (2 * divisor * 3600))::decimal(29, 0) * 0.000000001::decimal(9, 9)
        end as value,
        case when n > 0 and figure in ('', 'business') then
            ((2 * seconds * 1000000000 + 3600) // 7200)::decimal(29, 0) * 0.000000001::decimal(9, 9)
        end as numerator,
        case when n > 0 and figure in ('', 'business') then n end as denominator,
        n,
        case when n = 0 then 'no data' when is_closed then 'ok' else 'to date' end as status
    from fraction
),

excluded as (
    select t.grain || ':' || e.exclusion as grain, t.member, p.period_start, p.period_end, p.is_closed,
        count(*) filter (
            where t.exclusion = e.exclusion and (t.excluded_from is null or t.excluded_from <= p.period_end)
        ) as excluded,
        count(*) as created
    from period_day as p
    inner join ticket as t on t.grain = 'organisation' and t.created_at::date = p.date
    cross join (values ('spam'), ('deleted'), ('merged')) as e (exclusion)
    where p.span = ''
    group by all
),

-- Age at the end of the as-of day.
open as (
    select grain, member, list_sort(list(
        (epoch_us(($as_of::date + 1)::timestamp) - epoch_us(created_at)) // 1000000
    )) as ages, count(*) as n
    from ticket
    where (exclusion is null or excluded_from > $as_of) and created_at::date <= $as_of
        and (replied_at is null or replied_at::date > $as_of)
        and (resolved_at is null or resolved_at::date > $as_of)
    group by grain, member
),

open_figure as (
    select grain || ':' || figure as grain, member, value, n
    from (
        select grain, member, n, unnest([
            'open_without_reply', 'open_without_reply_age_median', 'open_without_reply_age_oldest'
        ]) as figure, unnest([
            n::decimal(38, 9),
            ((2 * (ages[(n - 1) // 2 + 1]::hugeint + ages[n // 2 + 1]::hugeint) * 1000000000 + 7200) // 14400)::decimal(29, 0)
            * 0.000000001::decimal(9, 9),
            ((2 * ages[n]::hugeint * 1000000000 + 3600) // 7200)::decimal(29, 0) * 0.000000001::decimal(9, 9)
        ]) as value
        from open
    )
)

select grain, member, period_start, period_end, value, numerator, denominator, n, status from turnaround
union all
select grain, member, period_start, period_end, excluded, null, null, created,
    case when is_closed then 'ok' else 'to date' end as status
from excluded
union all
select grain, member, $as_of::date, $as_of::date, value, null, null, n, 'ok' as status from open_figure
