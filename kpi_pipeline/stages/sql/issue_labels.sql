with change as (
    select repository, number, label, happened_at, event, id
    from temp.issue_events
    where event in ('labeled', 'unlabeled') and reason is null
    qualify
        event <> coalesce(
            lag(event) over (partition by repository, number, label order by happened_at, id), 'unlabeled'
        )
),

spell as (
    select
        *,
        lead(happened_at) over (partition by repository, number, label order by happened_at, id) as to_at
    from change
)

select repository, number, label, happened_at as from_at, to_at
from spell
where event = 'labeled' and to_at is distinct from happened_at
order by repository, number, label, from_at
