-- The state that holds at the end of the as-of day: a close that was undone by then is none.
select
    from_at::date as date,
    list_transform(teams, lambda name: 'team=' || name)
    || list_filter(['area=' || area, 'kind=' || kind, 'priority=' || priority], lambda place: place is not null) as places,
    open_seconds as seconds,
    null::bigint as business_seconds,
    assignee_key as person,
    assignees as people,
    null::date as to_date
from facts.technical_issues
where state = 'completed' and (to_at is null or to_at::date > $as_of)
