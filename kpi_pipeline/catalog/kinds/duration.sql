-- How long something took: mean; beside it median and p90 (linear interpolation), and the mean in business hours, where
-- observed. An observation has also
--   seconds BIGINT             how long, in whole seconds
--   business_seconds BIGINT    of these, within business hours; null: not observed
--   to_date DATE               it doesn't count in periods that end on this day or later; null: it always does
period_day as (
    -- By day, so that observations find their periods by equality: by a range, each is compared with every period.
    select *, unnest(generate_series(period_start, period_end, interval 1 day))::date as date
    from period
),

observed as (
    select
        o.grain,
        o.member,
        p.span,
        p.period_start,
        p.period_end,
        quantile_cont(o.seconds, [0.5, 0.9]) as percentiles,
        coalesce(sum(o.seconds), 0)::hugeint as seconds,
        count(o.seconds) as n,
        coalesce(sum(o.business_seconds), 0)::hugeint as business_seconds,
        count(o.business_seconds) as business_n,
        -- Not count(distinct), for which all rows are grouped a second time.
        greatest(nullif(list_unique(list(o.person) filter (where o.person is not null))::bigint, 0), max(o.people)) as people
    from period_day as p
    inner join placed as o on p.date = o.date and (o.to_date is null or p.period_end < o.to_date)
    group by o.grain, o.member, p.span, p.period_start, p.period_end
),

total as (
    select
        s.*,
        o.percentiles,
        coalesce(o.seconds, 0) as seconds,
        coalesce(o.n, 0) as n,
        coalesce(o.business_seconds, 0) as business_seconds,
        coalesce(o.business_n, 0) as business_n,
        o.people
    from slot as s
    left join observed as o using (grain, member, span, period_start, period_end)
),

-- Every figure as a fraction of seconds: tenths over 10 x parts. A percentile of whole seconds is of whole tenths, which a
-- float holds to far less than one.
fraction as (
    select *, '' as figure, seconds * 10 as tenths, n as parts
    from total
    union all
    select *, 'business_hours', business_seconds * 10, business_n
    from total
    where business_n > 0
    union all
    select
        t.*,
        q.figure,
        round(10 * t.percentiles[q.place])::hugeint,
        1
    from total as t
    cross join (values ('median', 1), ('p90', 2)) as q (figure, place)
    where t.n > 0
)

-- Rounded half up at the ninth decimal, in integers: a float would be off.
select
    concat_ws(':', grain, nullif(concat_ws('_', nullif(span, ''), nullif(figure, '')), '')) as grain,
    member,
    period_start,
    period_end,
    case
        when parts > 0
            then ((tenths * 2000000000 + parts * 10 * $seconds_per_unit) // (parts * 20 * $seconds_per_unit))::decimal(28, 0)
                * 0.000000001::decimal(10, 9)
    end as value,
    case
        when parts > 0 and figure in ('', 'business_hours')
            then ((tenths * 2000000000 + 10 * $seconds_per_unit) // (20 * $seconds_per_unit))::decimal(28, 0)
                * 0.000000001::decimal(10, 9)
    end as numerator,
    case when figure in ('', 'business_hours') then parts end as denominator,
    n,
    people,
    case
        when n = 0 then 'no data'
        when n < $min_n then 'insufficient'
        when is_closed then 'ok'
        else 'to date'
    end as status
from fraction
