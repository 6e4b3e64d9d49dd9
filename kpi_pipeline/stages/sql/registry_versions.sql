-- Intervals from snapshots: a hub that is the same in consecutive snapshots is one version.
with snapshot as (
    select snapshot, min(seen_at) as seen_at, lead(min(seen_at)) over (order by snapshot) as next_at
    from snapshot_entries
    group by snapshot
),

entry as (
    select
        *,
        md5(to_json(row(provider, display_name, domain, helm_chart, hubspot_deal_id, community, hub_type, environment, kind))::varchar)
            as content
    from snapshot_entries
    where hub is not null
),

changed as (
    select
        *,
        -- dense_rank: a hub that is listed twice in one snapshot is still one.
        snapshot - dense_rank() over (partition by cluster, hub, content order by snapshot) as island
    from entry
)

select
    min(s.seen_at) as valid_from,
    -- Not arg_max, which passes over a null: the last snapshot has no next one, and the version is still valid.
    arg_max_null(s.next_at, s.snapshot) as valid_to,
    c.cluster,
    c.hub,
    any_value(provider) as provider,
    any_value(display_name) as display_name,
    any_value(domain) as domain,
    any_value(helm_chart) as helm_chart,
    any_value(hubspot_deal_id) as hubspot_deal_id,
    any_value(community) as community,
    lower(any_value(hub_type)) as hub_type,
    lower(any_value(environment)) as environment,
    lower(any_value(kind)) as kind,
    any_value(_file) as _file,
    min(_row) as _row
from changed as c
inner join snapshot as s on c.snapshot = s.snapshot
group by c.cluster, c.hub, c.content, c.island
order by valid_from, c.cluster, c.hub
