-- How long something took: mean; beside it median and p90 (linear interpolation), and the mean in business hours, where
-- observed. An observation has also
--   seconds BIGINT             how long, in whole seconds
--   business_seconds BIGINT    of these, within business hours; null: not observed
--   to_date DATE               it doesn't count in periods that end on this day or later; null: it always does
total as (
    select
        s.*,
        list_sort(list(o.seconds) filter (where o.seconds is not null)) as sorted,
        coalesce(sum(o.seconds), 0)::hugeint as seconds,
        count(o.seconds) as n,
        coalesce(sum(o.business_seconds), 0)::hugeint as business_seconds,
        count(o.business_seconds) as business_n,
        greatest(nullif(count(distinct o.person), 0), max(o.people)) as people
    from slot as s
    left join placed as o
        on s.grain = o.grain and s.member = o.member and o.date between s.period_start and s.period_end
        and (o.to_date is null or s.period_end < o.to_date)
    group by all
),

-- Every figure as a fraction of seconds: tenths over 10 x parts.
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
        t.sorted[(t.n - 1) * q.tenth // 10 + 1]::hugeint * (10 - (t.n - 1) * q.tenth % 10)
        + coalesce(t.sorted[(t.n - 1) * q.tenth // 10 + 2], 0)::hugeint * ((t.n - 1) * q.tenth % 10),
        1
    from total as t
    cross join (values ('median', 5), ('p90', 9)) as q (figure, tenth)
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
