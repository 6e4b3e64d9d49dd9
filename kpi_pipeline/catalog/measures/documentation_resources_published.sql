select
    date,
    ['kind=' || kind, 'action=' || action] as places,
    resource as key,
    1 as n,
    null::varchar as person,
    null::bigint as people
from facts.document_changes
