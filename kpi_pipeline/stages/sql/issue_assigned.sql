-- Spells with at least one human assigned: +1 and -1 per human, summed up, so that overlapping assignments are one and a
-- reassignment within a second leaves no gap.
with change as (
    select repository, number, happened_at, case event when 'assigned' then 1 else -1 end as step
    from temp.issue_events
    where event in ('assigned', 'unassigned') and reason is null and not assignee_is_bot
    -- Who is assigned already, or isn't, changes nothing.
    qualify
        event <> coalesce(
            lag(event) over (partition by repository, number, assignee_key order by happened_at, id), 'unassigned'
        )
),

level as (
    select
        repository,
        number,
        happened_at,
        sum(sum(step)) over (partition by repository, number order by happened_at) as assigned
    from change
    group by repository, number, happened_at
),

edge as (
    select
        repository,
        number,
        happened_at,
        assigned > 0 as is_assigned
    from level
    qualify
        (assigned > 0) <> coalesce(lag(assigned) over (partition by repository, number order by happened_at) > 0, false)
),

spell as (
    select
        *,
        lead(happened_at) over (partition by repository, number order by happened_at) as to_at
    from edge
)

select repository, number, happened_at as from_at, to_at
from spell
where is_assigned
order by repository, number, from_at
