with version as (
    select hub_id, from_day, to_day, unnest(communities) as community
    from staged.hubs
    where environment = 'production' and kind = 'hub' and from_day <= $as_of
)

select
    community,
    min(from_day) as first_day,
    least(max(to_day) - 1, $as_of::date) as last_day,
    count(distinct hub_id) filter (where to_day > $as_of) as hubs_now,
    count(distinct hub_id) as hubs_ever
from version
group by community
