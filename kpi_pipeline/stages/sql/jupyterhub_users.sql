-- Users of pages, in their order, who were ever active; what isn't a user stays in, to be rejected.
with item as (
    select
        file,
        fetched,
        cluster,
        hub,
        unnest(items) as item,
        generate_subscripts(items, 1) as place
    from temp.user_pages
    where fault is null
)

select
    file,
    fetched,
    cluster,
    hub,
    item ->> '$.name' as username,
    json_type(item) as kind,
    place,
    try_cast(item ->> '$.last_activity' as timestamptz) at time zone 'UTC' as active_at
from item
where json_type(item) is distinct from 'OBJECT' or item ->> '$.last_activity' is not null
