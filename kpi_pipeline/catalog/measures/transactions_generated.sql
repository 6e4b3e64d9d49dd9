-- Two observations of each: those refunded later, and the other ones that succeeded.
select
    t.date,
    ['product=' || t.product, 'kind=' || t.kind, 'status=' || s.status] as places,
    null::varchar as key,
    s.n,
    null::varchar as person,
    null::bigint as people
from facts.transactions as t
cross join lateral (
    values ('succeeded', t.succeeded - t.refunded), ('refunded', t.refunded)
) as s (status, n)
