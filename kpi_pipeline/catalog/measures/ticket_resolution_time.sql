select
    resolved_at::date as date,
    ['community=' || community, 'product=' || product] as places,
    resolution_seconds as seconds,
    resolution_business_seconds as business_seconds,
    null::varchar as person,
    null::bigint as people
from facts.tickets
where exclusion is null and resolution_seconds is not null
