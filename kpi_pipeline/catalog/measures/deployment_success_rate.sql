select
    finished_at::date as date,
    ['repository=' || repository] as places,
    (outcome = 'success')::integer::decimal(18, 0) as numerator,
    1::decimal(18, 0) as denominator,
    1 as n,
    null::varchar as person,
    null::bigint as people
from facts.deployments
where is_production and finished_at is not null
