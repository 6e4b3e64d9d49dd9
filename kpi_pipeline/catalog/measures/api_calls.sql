select
    date,
    list_filter(
        ['service=' || service, 'audience=' || audience, 'customer=' || customer], lambda place: place is not null
    ) as places,
    null::varchar as key,
    calls as n,
    null::varchar as person,
    null::bigint as people
from facts.api_calls
