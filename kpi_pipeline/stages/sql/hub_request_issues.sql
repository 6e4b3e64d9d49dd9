-- Issues that bear the label of a request and weren't declined, with the reason why one can't be used. A request is complete
-- when the label for that was put on last; without one, when it was opened.
with label as (
    select
        repository,
        number,
        bool_or(lower(label) = $request::varchar and to_at is null) as is_request,
        max(from_at) filter (where lower(label) = $complete::varchar) as completed_at
    from facts.issue_labels
    group by repository, number
),

request as (
    select
        i.repository,
        i.number,
        i.opened_at as happened_at,
        coalesce(l.completed_at, i.opened_at) as completed_at,
        o.names_hub,
        o._file,
        o._row
    from staged.issues as i
    inner join label as l on i.repository = l.repository and i.number = l.number and l.is_request
    inner join staged.github_objects as o
        on o.stream = 'issues' and i.repository = o.repository and i.number = o.number
    where
        i.left_at is null
        and not (i.state = 'closed' and coalesce(i.reason, '') in ('not_planned', 'duplicate'))
    -- A number that is delivered twice by mistake: the object that staged.issues has.
    qualify row_number() over (partition by i.repository, i.number order by o.updated_at desc, o.id desc) = 1
),

hub as (
    select lower(hub_id) as name, min(hub_id) as hub_id
    from staged.hubs
    group by lower(hub_id)
),

deployed as (
    select hub_id, min(finished_at) as deployed_at
    from facts.deployments
    where is_production and outcome = 'success' and hub_id is not null
    group by hub_id
)

select
    r.repository,
    r.number,
    r.happened_at,
    r.completed_at,
    coalesce(h.hub_id, r.names_hub) as hub_id,
    r._file,
    r._row,
    case
        when r.names_hub is null then 'names_no_hub'
        when row_number() over (partition by r.names_hub order by r.happened_at, r.repository, r.number) > 1
            then 'another_request_for_its_hub'
        when d.deployed_at < r.completed_at then 'deployed_before_complete'
    end as reason
from request as r
left join hub as h on r.names_hub = h.name
left join deployed as d on h.hub_id = d.hub_id
