-- Sum of numerators over sum of denominators, never a mean of ratios. An observation has also
--   numerator, denominator DECIMAL    what is divided, and by what
--   n BIGINT                          how many observations it stands for
-- and, where the measure has a figure beside it, or where what is divided comes later than the day that it counts on,
--   apart DECIMAL                     what is divided for that figure, by the same denominator
--   achieved_on DATE                  the numerator is 0 in periods that ended before this day; null: it counts in all
observed as (
    -- A measure whose observations lack these columns gets them, empty.
    from placed
    union all by name
    select null::decimal(38, 9) as apart, null::date as achieved_on where false
),

total as (
    select
        s.*,
        sum(case when o.achieved_on > s.period_end then 0 else o.numerator end)::decimal(38, 9) as numerator,
        sum(o.denominator)::decimal(38, 9) as denominator,
        sum(o.apart)::decimal(38, 9) as apart,
        coalesce(sum(o.n), 0)::bigint as n,
        greatest(nullif(count(distinct o.person), 0), max(o.people)) as people
    from slot as s
    left join observed as o
        on s.grain = o.grain and s.member = o.member and o.date between s.period_start and s.period_end
    group by all
),

figure as (
    select * exclude (apart), '' as figure
    from total
    union all
    select * exclude (apart) replace (apart as numerator), $apart
    from total
    where apart is not null
),

whole as (
    select *, (numerator * 1000000000)::hugeint as parts, (denominator * 1000000000)::hugeint as by_parts
    from figure
)
