select
    date,
    ['product=' || product, 'kind=' || kind] as places,
    succeeded::decimal(18, 0) as numerator,
    attempted::decimal(18, 0) as denominator,
    attempted as n,
    null::varchar as person,
    null::bigint as people
from facts.transactions
