-- Of what came in in a period, the share that is settled at its end: sum of numerators over sum of denominators, as a ratio,
-- of the observations that hold then. Something has one observation for each state that it was in, with
--   from_date, to_date DATE           the days at whose end it was so: the first, and the first after them; null: still
--   numerator, denominator DECIMAL    what is divided, and by what
--   n BIGINT                          how many it stands for, in every state alike, so that it stays as it is
-- and with `date` the day on which it came in.
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
        sum(o.numerator)::decimal(38, 9) as numerator,
        sum(o.denominator)::decimal(38, 9) as denominator,
        sum(o.n)::bigint as n,
        -- Not count(distinct), for which all rows are grouped a second time.
        greatest(nullif(list_unique(list(o.person) filter (where o.person is not null))::bigint, 0), max(o.people)) as people
    from period_day as p
    inner join placed as o
        on p.date = o.date and p.period_end >= o.from_date and (o.to_date is null or p.period_end < o.to_date)
    group by o.grain, o.member, p.span, p.period_start, p.period_end
),

total as (
    select s.*, o.numerator, o.denominator, coalesce(o.n, 0) as n, o.people
    from slot as s
    left join observed as o using (grain, member, span, period_start, period_end)
),

whole as (
    select *, '' as figure, (numerator * 1000000000)::hugeint as parts, (denominator * 1000000000)::hugeint as by_parts
    from total
)
