select
    resolved_at::date as date,
    ['community=' || community, 'product=' || product] as places,
    resolution_seconds as seconds,
    resolution_business_seconds as business_seconds,
    null::varchar as person,
    null::bigint as people,
    excluded_from as to_date
from facts.tickets
where resolution_seconds is not null and (exclusion is null or resolved_at::date < excluded_from)
