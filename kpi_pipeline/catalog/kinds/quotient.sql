-- What the kinds end with that divide parts by parts (billionths): ratio, level and cohort.
-- Rounded half up at the ninth decimal, in integers: a float would be off.
select
    concat_ws(':', grain, nullif(concat_ws('_', nullif(span, ''), nullif(figure, '')), '')) as grain,
    member,
    period_start,
    period_end,
    case
        when by_parts > 0
            then ((2 * $scale::hugeint * parts * 1000000000 + by_parts) // (2 * by_parts))::decimal(28, 0)
                * 0.000000001::decimal(10, 9)
    end as value,
    numerator,
    denominator,
    n,
    people,
    case
        when by_parts is null or by_parts = 0 then 'no data'
        when n < $min_n then 'insufficient'
        when is_closed then 'ok'
        else 'to date'
    end as status
from whole
