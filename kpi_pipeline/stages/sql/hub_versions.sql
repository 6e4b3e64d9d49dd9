-- Registry entries with what the rules fill in, and whether they overlap an earlier version of the same hub that counts.
with recursive entry as (
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
        row_number() over (
            partition by cluster || '/' || hub order by valid_from, valid_to nulls last, _file, _row
        ) as place
    from raw.hub_registry
),

-- Version by version: one that overlaps doesn't count, so it can't make others overlap.
walk as (
    select hub_id, 0::bigint as place, '-infinity'::timestamp as kept_until, false as is_overlapping
    from entry
    where place = 1
    union all
    select
        e.hub_id,
        e.place,
        case
            when e.valid_from < w.kept_until then w.kept_until
            else greatest(w.kept_until, coalesce(e.valid_to, 'infinity'::timestamp))
        end as kept_until,
        e.valid_from < w.kept_until as is_overlapping
    from walk as w
    inner join entry as e on w.hub_id = e.hub_id and w.place + 1 = e.place
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
    r.hub_id,
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
            string_split(
                -- A cell of nothing but separators names nobody.
                coalesce(
                    case when regexp_matches(community, '[^;\s]') then community end,
                    case when regexp_matches(community_by_rule, '[^;\s]') then community_by_rule end,
                    case when regexp_matches(shown_name, '[^;\s]') then shown_name end,
                    r.hub_id
                ),
                ';'
            ),
            lambda name: lower(trim(regexp_replace(name, '\s+', ' ', 'g')))
        ),
        lambda name: name <> ''
    ))) as communities,
    coalesce(identity_issuer, cluster) as identity_issuer,
    _file,
    _row,
    w.is_overlapping
from ruled as r
inner join walk as w on r.hub_id = w.hub_id and r.place = w.place
