-- Sum of numerators over sum of denominators, never a mean of ratios. An observation has also
--   numerator, denominator DECIMAL    what is divided, and by what
--   n BIGINT                          how many observations it stands for
-- and, where the measure has a figure beside it, or where what is divided comes later than the day that it counts on,
--   apart DECIMAL                     what is divided for that figure, by the same denominator
--   achieved_on DATE                  the numerator is 0 in periods that ended before this day; null: it counts in all
complete as (
    -- A measure whose observations lack these columns gets them, empty.
    from placed
    union all by name
    select null::decimal(38, 9) as apart, null::date as achieved_on where false
),

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
        sum(case when o.achieved_on > p.period_end then 0 else o.numerator end)::decimal(38, 9) as numerator,
        sum(o.denominator)::decimal(38, 9) as denominator,
        sum(o.apart)::decimal(38, 9) as apart,
        sum(o.n)::bigint as n,
        -- Not count(distinct), for which all rows are grouped a second time.
        greatest(nullif(list_unique(list(o.person) filter (where o.person is not null))::bigint, 0), max(o.people)) as people
    from period_day as p
    inner join complete as o on p.date = o.date
    group by o.grain, o.member, p.span, p.period_start, p.period_end
),

total as (
    select s.*, o.numerator, o.denominator, o.apart, coalesce(o.n, 0) as n, o.people
    from slot as s
    left join observed as o using (grain, member, span, period_start, period_end)
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
