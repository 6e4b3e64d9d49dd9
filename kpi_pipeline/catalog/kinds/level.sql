-- How much there is, as on the last day of a period that has data: a stock, which doesn't add up over days. An
-- observation has also
--   numerator, denominator DECIMAL    what is divided, and by what, as of its date
--   n BIGINT                          how many observations it stands for
-- Nobody is in two observations of one date.
day as (
    select
        grain,
        member,
        date,
        sum(numerator)::decimal(38, 9) as numerator,
        sum(denominator)::decimal(38, 9) as denominator,
        sum(n)::bigint as n,
        greatest(nullif(count(distinct person), 0), sum(people))::bigint as people
    from placed
    group by grain, member, date
),

latest as (
    select s.*, max(d.date) as date
    from slot as s
    left join day as d on s.grain = d.grain and s.member = d.member and d.date between s.period_start and s.period_end
    group by all
),

whole as (
    select
        l.*,
        '' as figure,
        d.numerator,
        d.denominator,
        coalesce(d.n, 0) as n,
        d.people,
        (d.numerator * 1000000000)::hugeint as parts,
        (d.denominator * 1000000000)::hugeint as by_parts
    from latest as l
    left join day as d on l.grain = d.grain and l.member = d.member and l.date = d.date
)
