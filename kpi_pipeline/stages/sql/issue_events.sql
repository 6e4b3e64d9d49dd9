-- Events of own repositories' issues, with the reason why one can't be.
select
    o.repository,
    o.number,
    o.id,
    o.event,
    o.happened_at,
    o.reason as state_reason,
    o.label,
    o.assignee_key,
    coalesce(o.assignee_is_bot, false) or o.assignee_key in (from temp.github_bots) is true as assignee_is_bot,
    o._file,
    o._row,
    case
        when i.number is null and p.number is null then 'unknown_issue'
        when o.happened_at < i.opened_at and o.event = 'closed' then 'closed_before_opened'
        when o.happened_at < i.opened_at then 'before_its_issue'
    end as reason
from staged.github_objects as o
inner join temp.github_repositories as r on o.repository = r.repository and r.is_own
left join staged.issues as i on o.repository = i.repository and o.number = i.number
left join (
    select distinct repository, number from staged.github_objects where stream in ('issues', 'pulls')
) as p on o.repository = p.repository and o.number = p.number
where
    o.stream = 'events'
    and not coalesce(o.is_pull_request, false)
    and (i.number is not null or p.number is null)
