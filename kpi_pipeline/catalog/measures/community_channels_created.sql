select
    date,
    ['platform=' || platform] as places,
    null::varchar as key,
    1 as n,
    null::varchar as person,
    null::bigint as people
from facts.community_channels
