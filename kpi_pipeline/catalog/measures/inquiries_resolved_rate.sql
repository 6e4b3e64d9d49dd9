-- Until its final resolution a ticket is open, and resolved from that day on; without one, the second never holds.
select
    created_at::date as date,
    unnest([created_at::date, resolved_at::date]) as from_date,
    least(unnest([resolved_at::date, null]), excluded_from) as to_date,
    ['community=' || community, 'product=' || product] as places,
    unnest([0, 1])::decimal(18, 0) as numerator,
    1::decimal(18, 0) as denominator,
    1 as n,
    null::varchar as person,
    null::bigint as people
from facts.tickets
where exclusion is null or created_at::date < excluded_from
