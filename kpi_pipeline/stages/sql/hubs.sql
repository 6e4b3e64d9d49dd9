-- Versions by day. A version describes every UTC day of which it holds a moment; a day that two versions share belongs
-- to the later one. So a hub is in service on its first and its last day.
with by_day as (
    select
        *,
        valid_from::date as from_day,
        case
            when valid_to = 'infinity'::timestamp then date '9999-12-31'
            else (valid_to - interval 1 microsecond)::date + 1
        end as end_day
    from temp.hub_versions
    where not is_overlapping and valid_to > valid_from
),

settled as (
    select
        *,
        least(
            end_day,
            coalesce(lead(from_day) over (partition by hub_id order by valid_from), date '9999-12-31')
        ) as to_day
    from by_day
)

select * exclude (valid_from, valid_to, end_day, is_overlapping)
from settled
where to_day > from_day
