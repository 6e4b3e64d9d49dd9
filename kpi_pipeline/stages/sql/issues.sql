-- Issues of own repositories. GitHub keeps opening time and author of an issue that is transferred, and gives it a number
-- in its new repository, where an event says when it came: so the copy left behind is known by these two, unless GitHub
-- still lists it after that. One that is gone without such an arrival left when that was noticed.
with issue as (
    select o.*, r.team
    from staged.github_objects as o
    inner join temp.github_repositories as r on o.repository = r.repository and r.is_own
    where
        o.stream = 'issues'
        and not o.is_pull_request
        and (o.ended_at is null or o.ended_at >= o.happened_at)
),

event as (
    select
        repository,
        number,
        max(happened_at) filter (where event = 'transferred') as arrived_at,
        max(happened_at) filter (where event = 'deleted') as deleted_at
    from staged.github_objects
    where stream = 'events' and event in ('transferred', 'deleted')
    group by repository, number
),

arrival as (
    select o.repository, o.number, o.happened_at, o.actor_key, e.arrived_at
    from staged.github_objects as o
    inner join event as e on o.repository = e.repository and o.number = e.number
    where o.stream = 'issues' and e.arrived_at is not null
),

-- By GitHub's own answers, and its own clock.
listed as (
    select o.repository, o.number, max(f.answered_at) as listed_at
    from temp.github_current as o
    inner join temp.github_files as f on o._file = f.file
    where
        o.stream = 'issues'
        and f.answered_at is not null
        and o.happened_at in (select happened_at from arrival)
    group by o.repository, o.number
),

departure as (
    select i.repository, i.number, min(a.arrived_at) as left_at
    from issue as i
    left join listed as l on i.repository = l.repository and i.number = l.number
    left join event as e on i.repository = e.repository and i.number = e.number
    inner join arrival as a
        on i.happened_at = a.happened_at
        and i.actor_key is not distinct from a.actor_key
        and i.repository <> a.repository
        and a.arrived_at > coalesce(e.arrived_at, '-infinity'::timestamp)
        and a.arrived_at >= coalesce(l.listed_at, '-infinity'::timestamp)
    group by i.repository, i.number
)

select
    i.repository,
    i.number,
    i.team,
    i.happened_at as opened_at,
    i.ended_at as closed_at,
    i.state,
    i.reason,
    coalesce(i.actor_is_bot, false) or i.actor_key in (from temp.github_bots) is true as is_by_bot,
    e.arrived_at,
    coalesce(d.left_at, e.deleted_at, case when g.gone_at is not null then greatest(g.gone_at, i.updated_at) end)
        as left_at,
    case when d.left_at is not null then 'transferred_out' when e.deleted_at is not null then 'deleted' else g.how end
        as left_how
from issue as i
left join event as e on i.repository = e.repository and i.number = e.number
left join departure as d on i.repository = d.repository and i.number = d.number
left join temp.issues_gone as g on i.repository = g.repository and i.number = g.number
-- A number that two objects share is delivered twice by mistake; the one that changed last is the issue.
qualify row_number() over (partition by i.repository, i.number order by i.updated_at desc, i.id desc) = 1
order by i.repository, i.number
