-- What changed the number of open issues, change by change. What happened before an issue arrived, or after it left, counts
-- in the other repository.
with flow as (
    select repository, number, team, is_by_bot, happened_at, flow
    from temp.issue_toggles
    where
        happened_at >= coalesce(arrived_at, '-infinity'::timestamp)
        and happened_at < coalesce(left_at, 'infinity'::timestamp)
    union all
    select repository, number, team, is_by_bot, arrived_at, 'transferred_in'
    from temp.issue_toggles
    where
        flow in ('opened', 'reopened')
        and happened_at < arrived_at
        and coalesce(next_at, 'infinity'::timestamp) >= arrived_at
    union all
    select repository, number, team, is_by_bot, left_at, left_how
    from temp.issue_toggles
    where
        flow in ('opened', 'reopened')
        and happened_at < left_at
        and coalesce(next_at, 'infinity'::timestamp) >= left_at
        and left_at >= coalesce(arrived_at, '-infinity'::timestamp)
)

select repository, number, team, happened_at::date as date, happened_at, flow, is_by_bot
from flow
order by repository, number, happened_at
