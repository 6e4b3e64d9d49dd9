-- The mean of scores; beside it the share of the best, NPS and the response rate, where observed. An observation has also
--   score BIGINT         the answer; null: it only tells of who was asked
--   is_best BOOLEAN      one of the two best answers
--   promoter BIGINT      1 promoter, -1 detractor, 0 neither; null: not asked
--   invited, responded BIGINT    how many were asked on its date, and how many of those answered, whenever
total as (
    select
        s.*,
        coalesce(sum(o.score), 0)::hugeint as score,
        count(o.score) as n,
        count(*) filter (where o.is_best) as best,
        coalesce(sum(o.promoter), 0)::hugeint as promoters,
        count(o.promoter) as asked_to_promote,
        coalesce(sum(o.responded), 0)::hugeint as responded,
        coalesce(sum(o.invited), 0)::hugeint as invited,
        greatest(nullif(count(distinct o.person) filter (where o.score is not null), 0), max(o.people)) as people
    from slot as s
    left join placed as o
        on s.grain = o.grain and s.member = o.member and o.date between s.period_start and s.period_end
    group by all
),

ratio as (
    select *, '' as figure, n as observations, score as numerator, n as denominator, 1 as factor
    from total
    union all
    select *, 'share_of_best', n, best, n, 100
    from total
    where n > 0
    union all
    select *, 'nps', asked_to_promote, promoters, asked_to_promote, 100
    from total
    where asked_to_promote > 0
    union all
    select *, 'response_rate', invited::bigint, responded, invited, 100
    from total
    where invited > 0
)

-- Rounded half away from zero at the ninth decimal, in integers; NPS can be negative.
select
    concat_ws(':', grain, nullif(concat_ws('_', nullif(span, ''), nullif(figure, '')), '')) as grain,
    member,
    period_start,
    period_end,
    case
        when denominator > 0
            then (sign(numerator)::hugeint * ((2 * factor * abs(numerator) * 1000000000 + denominator) // (2 * denominator)))::decimal(
                28, 0
            ) * 0.000000001::decimal(10, 9)
    end as value,
    numerator,
    denominator,
    observations as n,
    people,
    case
        when denominator = 0 then 'no data'
        when observations < $min_n then 'insufficient'
        when is_closed then 'ok'
        else 'to date'
    end as status
from ratio
