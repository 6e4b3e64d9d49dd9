select
    due_on as date,
    list_transform(teams, lambda team: 'team=' || team) as places,
    coalesce(completed_on <= due_on, false)::integer::decimal(18, 0) as numerator,
    1::decimal(18, 0) as denominator,
    1 as n,
    null::varchar as person,
    people
from facts.projects
where cancelled_on is null or cancelled_on >= due_on
