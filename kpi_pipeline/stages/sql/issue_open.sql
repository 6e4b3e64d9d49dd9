-- Spells in which an issue was open in its repository: from a change to open to the next change, cut to its time there.
with spell as (
    select
        *,
        lead(flow) over (partition by repository, number order by place) as next_flow
    from temp.issue_toggles
),

cut as (
    select
        repository,
        number,
        team,
        greatest(happened_at, coalesce(arrived_at, happened_at)) as from_at,
        case
            when left_at is not null and coalesce(next_at, 'infinity'::timestamp) >= left_at then left_at
            else next_at
        end as to_at,
        case
            when left_at is not null and coalesce(next_at, 'infinity'::timestamp) >= left_at then left_how
            else next_flow
        end as ended_by
    from spell
    where
        flow in ('opened', 'reopened')
        and happened_at < coalesce(left_at, 'infinity'::timestamp)
        and coalesce(next_at, 'infinity'::timestamp) >= coalesce(arrived_at, '-infinity'::timestamp)
)

select *
from cut
-- Opened and closed within a second: a spell of no length.
where to_at is distinct from from_at
order by repository, number, from_at
