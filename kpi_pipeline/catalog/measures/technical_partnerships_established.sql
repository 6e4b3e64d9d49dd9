select
    min(established_on) as date,
    ['kind=' || arg_min(kind, established_on)] as places,
    null::varchar as key,
    1 as n,
    null::varchar as person,
    null::bigint as people
from facts.partnerships
group by partner
