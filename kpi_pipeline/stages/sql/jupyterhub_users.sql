-- Users of a page, in its order, who were ever active; what isn't a user stays in, to be rejected.
with item as (
    select
        unnest(items) as item,
        generate_subscripts(items, 1) as place
    from (select from_json(listing_of(document), '["json"]') as items from temp.answer)
)

select
    item ->> '$.name' as username,
    json_type(item) as kind,
    place,
    try_cast(item ->> '$.last_activity' as timestamptz) at time zone 'UTC' as active_at
from item
where json_type(item) is distinct from 'OBJECT' or item ->> '$.last_activity' is not null
