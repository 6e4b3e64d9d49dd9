-- Of what came in in a period, the share that is settled at its end: sum of numerators over sum of denominators, as a ratio,
-- of the observations that hold then. Something has one observation for each state that it was in, with
--   from_date, to_date DATE           the days at whose end it was so: the first, and the first after them; null: still
--   numerator, denominator DECIMAL    what is divided, and by what
--   n BIGINT                          how many it stands for, in every state alike, so that it stays as it is
-- and with `date` the day on which it came in.
total as (
    select
        s.*,
        sum(o.numerator)::decimal(38, 9) as numerator,
        sum(o.denominator)::decimal(38, 9) as denominator,
        coalesce(sum(o.n), 0)::bigint as n,
        greatest(nullif(count(distinct o.person), 0), max(o.people)) as people
    from slot as s
    left join placed as o
        on s.grain = o.grain
        and s.member = o.member
        and o.date between s.period_start and s.period_end
        and s.period_end >= o.from_date
        and (o.to_date is null or s.period_end < o.to_date)
    group by all
),

whole as (
    select *, '' as figure, (numerator * 1000000000)::hugeint as parts, (denominator * 1000000000)::hugeint as by_parts
    from total
)
