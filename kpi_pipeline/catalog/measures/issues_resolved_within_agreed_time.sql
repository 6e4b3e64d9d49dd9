-- An issue in the state that holds at the end of the as-of day. Declined before its time ran out: it never was due.
select
    due_at::date as date,
    list_transform(teams, lambda name: 'team=' || name)
    || list_filter(['area=' || area, 'kind=' || kind, 'priority=' || priority], lambda place: place is not null) as places,
    (state = 'completed' and from_at <= due_at)::integer::decimal(18, 0) as numerator,
    1::decimal(18, 0) as denominator,
    1 as n,
    assignee_key as person,
    assignees as people
from facts.technical_issues
where
    due_at is not null
    and from_at::date <= $as_of
    and (to_at is null or to_at::date > $as_of)
    and (state in ('open', 'completed') or from_at > due_at)
