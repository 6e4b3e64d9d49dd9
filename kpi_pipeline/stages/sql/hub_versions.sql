-- Registry entries with what the rules fill in, and whether they overlap an earlier version of the same hub.
with entry as (
    select
        *,
        cluster || '/' || hub as hub_id,
        coalesce(
            display_name,
            -- An entry without a name takes the next one that the hub had, then the last one.
            first_value(display_name ignore nulls) over (
                partition by cluster, hub order by valid_from, valid_to nulls last, _file, _row
                rows between current row and unbounded following
            ),
            last_value(display_name ignore nulls) over (
                partition by cluster, hub order by valid_from, valid_to nulls last, _file, _row
                rows between unbounded preceding and current row
            ),
            cluster || '/' || hub
        ) as shown_name,
        -- By hub_id: a slash in a cluster's name can make one hub_id of two hubs.
        max(coalesce(valid_to, 'infinity'::timestamp)) over (
            partition by cluster || '/' || hub order by valid_from, valid_to nulls last, _file, _row
            rows between unbounded preceding and 1 preceding
        ) as earlier_end
    from raw.hub_registry
),

ruled as (
    select
        *,
        list_filter(
            list_transform(
                list_zip($community_patterns::varchar[], $community_columns::varchar[]),
                lambda rule: regexp_extract(
                    case rule[2]
                        when 'display_name' then shown_name
                        when 'hub' then hub
                        when 'cluster' then cluster
                        when 'domain' then domain
                    end,
                    rule[1],
                    1
                )
            ),
            lambda found: trim(found) <> ''
        )[1] as community_by_rule,
        list_filter(
            list_zip($type_globs::varchar[], $type_names::varchar[]),
            lambda rule: lower(hub_id) glob lower(rule[1])
        )[1][2] as type_by_rule,
        len(list_filter($staging::varchar[], lambda rule: lower(hub) glob lower(rule))) > 0 as is_staging,
        len(list_filter($binder::varchar[], lambda rule: lower(hub) glob lower(rule))) > 0 as is_binder
    from entry
)

select
    hub_id,
    valid_from,
    coalesce(valid_to, 'infinity'::timestamp) as valid_to,
    cluster,
    hub,
    provider,
    shown_name as display_name,
    domain,
    coalesce(environment, case when is_staging then 'staging' else 'production' end) as environment,
    coalesce(kind, case when is_binder then 'binder' else 'hub' end) as kind,
    coalesce(hub_type, type_by_rule, 'other') as hub_type,
    list_sort(list_distinct(list_filter(
        list_transform(
            string_split(coalesce(community, community_by_rule, shown_name), ';'),
            lambda name: lower(trim(regexp_replace(name, '\s+', ' ', 'g')))
        ),
        lambda name: name <> ''
    ))) as communities,
    coalesce(identity_issuer, cluster) as identity_issuer,
    _file,
    _row,
    coalesce(earlier_end > valid_from, false) as is_overlapping
from ruled
