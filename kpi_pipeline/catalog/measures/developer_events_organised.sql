select
    date,
    ['kind=' || kind] as places,
    null::varchar as key,
    1 as n,
    null::varchar as person,
    null::bigint as people
from facts.developer_events
