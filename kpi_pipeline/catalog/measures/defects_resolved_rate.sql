-- While a defect is closed as not planned or duplicate, it counts in neither number, but it was reported.
select
    opened_at::date as date,
    from_at::date as from_date,
    to_at::date as to_date,
    list_transform(teams, lambda name: 'team=' || name)
    || list_filter(['area=' || area, 'priority=' || priority], lambda place: place is not null) as places,
    (state = 'completed')::integer::decimal(18, 0) as numerator,
    (state in ('open', 'completed'))::integer::decimal(18, 0) as denominator,
    1 as n,
    assignee_key as person,
    assignees as people
from facts.technical_issues
where kind = $kind
