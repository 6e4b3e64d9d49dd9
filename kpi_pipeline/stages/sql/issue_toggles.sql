-- Changes between open and closed, in order, the opening first; what repeats a state changes nothing. Where the listing
-- says closed and no event does, it is closed at the listing's time.
with event as (
    select repository, number, happened_at, id, event, state_reason
    from temp.issue_events
    where event in ('closed', 'reopened') and reason is null
    union all
    select repository, number, opened_at, -1, 'opened', null
    from staged.issues
),

change as (
    select *
    from event
    qualify
        event = 'opened'
        or (event = 'closed')
        is distinct from (lag(event) over (partition by repository, number order by happened_at, id) = 'closed')
),

newest as (
    select repository, number, max(happened_at) as happened_at, arg_max(event, (happened_at, id)) as event
    from change
    group by repository, number
),

whole as (
    select repository, number, happened_at, id, event, state_reason
    from change
    union all
    select i.repository, i.number, i.closed_at, 9223372036854775807, 'closed', i.reason
    from staged.issues as i
    inner join newest as n on i.repository = n.repository and i.number = n.number
    where i.state = 'closed' and n.event <> 'closed' and i.closed_at >= n.happened_at
)

select
    w.repository,
    w.number,
    i.team,
    i.is_by_bot,
    i.arrived_at,
    i.left_at,
    i.left_how,
    w.happened_at,
    row_number() over spell as place,
    lead(w.happened_at) over spell as next_at,
    case
        when w.event <> 'closed' then w.event
        -- An event needn't say why; the listing says why the issue was closed last.
        when coalesce(w.state_reason, case when lead(w.event) over spell is null then i.reason end)
            in ('not_planned', 'duplicate')
            then coalesce(w.state_reason, i.reason)
        else 'completed'
    end as flow
from whole as w
inner join staged.issues as i on w.repository = i.repository and w.number = i.number
window spell as (partition by w.repository, w.number order by w.happened_at, w.id)
