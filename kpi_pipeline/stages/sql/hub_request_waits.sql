-- Spells with at least one waiting label: +1 and -1 per label, summed up, so that overlapping labels are one spell.
with spell as (
    select l.repository, l.number, l.from_at, l.to_at
    from facts.issue_labels as l
    inner join facts.hub_requests as r on l.repository = r.repository and l.number = r.number
    where list_contains($waiting::varchar[], lower(l.label))
),

change as (
    select repository, number, from_at as happened_at, 1 as step from spell
    union all
    select repository, number, to_at, -1 from spell where to_at is not null
),

level as (
    select
        repository,
        number,
        happened_at,
        sum(sum(step)) over (partition by repository, number order by happened_at) as labels
    from change
    group by repository, number, happened_at
),

edge as (
    select repository, number, happened_at, labels > 0 as is_waiting
    from level
    qualify
        (labels > 0) <> coalesce(lag(labels) over (partition by repository, number order by happened_at) > 0, false)
),

bounded as (
    select *, lead(happened_at) over (partition by repository, number order by happened_at) as to_at
    from edge
)

select repository, number, happened_at as from_at, to_at
from bounded
where is_waiting
order by repository, number, from_at
