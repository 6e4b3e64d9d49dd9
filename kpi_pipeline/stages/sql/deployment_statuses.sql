-- Statuses of own repositories' deployments, with the reason why one can't be.
select
    s.repository,
    s.number as deployment_id,
    s.id,
    s.state,
    s.happened_at,
    s._file,
    s._row,
    case
        when d.id is null then 'unknown_deployment'
        when s.happened_at < d.happened_at then 'before_its_deployment'
        when s.state is null
            or s.state not in ('error', 'failure', 'inactive', 'in_progress', 'queued', 'pending', 'success')
            then 'invalid:state'
    end as reason
from staged.github_objects as s
inner join temp.github_repositories as r on s.repository = r.repository and r.is_own
left join staged.github_objects as d
    on d.stream = 'deployments' and s.repository = d.repository and s.number = d.id
where s.stream = 'statuses'
