-- Versions from spells: what is said of a hub without a gap, by one file or by several, is one version.
with entry as (
    select
        *,
        coalesce(gone_at, 'infinity'::timestamp) as until,
        md5(to_json(row(provider, display_name, domain, helm_chart, hubspot_deal_id, community, hub_type, environment, kind))::varchar)
            as content
    from registry_spells
),

marked as (
    select
        *,
        seen_at > max(until) over (
            partition by cluster, hub, content order by seen_at, until, _file, _row
            rows between unbounded preceding and 1 preceding
        ) as is_after_a_gap
    from entry
),

numbered as (
    select
        *,
        count(*) filter (where is_after_a_gap) over (
            partition by cluster, hub, content order by seen_at, until, _file, _row
            rows between unbounded preceding and current row
        ) as version
    from marked
)

select
    min(seen_at) as valid_from,
    nullif(max(until), 'infinity'::timestamp) as valid_to,
    cluster,
    hub,
    any_value(provider) as provider,
    any_value(display_name) as display_name,
    any_value(domain) as domain,
    any_value(helm_chart) as helm_chart,
    any_value(hubspot_deal_id) as hubspot_deal_id,
    any_value(community) as community,
    lower(any_value(hub_type)) as hub_type,
    lower(any_value(environment)) as environment,
    lower(any_value(kind)) as kind,
    -- Where it was said first.
    arg_min(_file, (seen_at, _file, _row)) as _file,
    arg_min(_row, (seen_at, _file, _row)) as _row
from numbered
group by cluster, hub, content, version
order by valid_from, cluster, hub
