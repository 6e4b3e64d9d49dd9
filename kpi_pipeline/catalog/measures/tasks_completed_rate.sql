select
    coalesce(due_on, given_on) as date,
    []::varchar[] as places,
    (completed_on is not null)::integer::decimal(18, 0) as numerator,
    completed_on as achieved_on,
    1::decimal(18, 0) as denominator,
    1 as n,
    null::varchar as person,
    interns as people
from facts.intern_tasks
where withdrawn_on is null
    or withdrawn_on >= due_on
    or (due_on is null and withdrawn_on > $as_of)
