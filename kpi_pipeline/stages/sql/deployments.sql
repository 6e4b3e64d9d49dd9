-- Deployments of own repositories. The first of success, failure and error ends one; inactive says only that a later one
-- took its place. Names are compared whatever their capitals.
with hub as (
    select lower(hub_id) as name, min(hub_id) as hub_id, bool_or(environment = 'production') as is_production
    from staged.hubs
    group by lower(hub_id)
),

ending as (
    select
        repository,
        deployment_id,
        min(happened_at) as finished_at,
        arg_min(state, (happened_at, id)) as outcome
    from temp.deployment_statuses
    where reason is null and state in ('success', 'failure', 'error')
    group by repository, deployment_id
),

beginning as (
    select repository, deployment_id, min(happened_at) as started_at
    from temp.deployment_statuses
    where reason is null and state = 'in_progress'
    group by repository, deployment_id
)

select
    d.repository,
    d.id as deployment_id,
    d.environment,
    len(list_filter($production::varchar[], lambda rule: lower(d.environment) glob rule)) > 0
    and coalesce(h.is_production, true) as is_production,
    h.hub_id,
    d.happened_at as created_at,
    case when b.started_at <= coalesce(e.finished_at, b.started_at) then b.started_at end as started_at,
    e.finished_at,
    e.outcome
from staged.github_objects as d
inner join temp.github_repositories as r on d.repository = r.repository and r.is_own
left join hub as h
    on h.name = lower(
        regexp_extract(d.environment, $pattern, $cluster_group) || '/' || regexp_extract(d.environment, $pattern, $hub_group)
    )
left join ending as e on d.repository = e.repository and d.id = e.deployment_id
left join beginning as b on d.repository = b.repository and d.id = b.deployment_id
where d.stream = 'deployments'
order by d.repository, d.id
