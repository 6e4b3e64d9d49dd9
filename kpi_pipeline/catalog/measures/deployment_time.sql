select
    finished_at::date as date,
    ['repository=' || repository] as places,
    epoch(finished_at)::bigint - epoch(coalesce(started_at, created_at))::bigint as seconds,
    null::bigint as business_seconds,
    null::varchar as person,
    null::bigint as people,
    null::date as to_date
from facts.deployments
where is_production and finished_at is not null
