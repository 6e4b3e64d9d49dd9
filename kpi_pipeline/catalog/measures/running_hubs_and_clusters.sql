-- Hubs in service on each day, per provider and cluster; clusters, staging and binder hubs beside them.
with day as (
    select unnest(generate_series(min(from_day), $as_of::date, interval 1 day))::date as date
    from staged.hubs
),

running as (
    select
        d.date,
        h.hub_id,
        h.cluster,
        coalesce(h.provider, 'unknown') as provider,
        h.environment = 'production' as is_production,
        h.kind = 'binder' as is_binder
    from day as d
    left join staged.hubs as h on h.from_day <= d.date and h.to_day > d.date
),

counted as (
    select
        date,
        case
            when grouping(cluster) = 0 then 'cluster'
            when grouping(provider) = 0 then 'provider'
            else 'organisation'
        end as grain,
        coalesce(cluster, provider, 'organisation') as member,
        count(hub_id) filter (where is_production) as hubs,
        count(distinct cluster) filter (where is_production) as clusters,
        count(hub_id) filter (where not is_production) as staging_hubs,
        count(hub_id) filter (where is_production and is_binder) as binder_hubs
    from running
    group by grouping sets ((date), (date, provider), (date, cluster))
)

select
    case s.statistic when 'hubs' then c.grain else c.grain || ':' || s.statistic end as grain,
    c.member,
    c.date as period_start,
    c.date as period_end,
    case s.statistic
        when 'hubs' then c.hubs
        when 'clusters' then c.clusters
        when 'staging_hubs' then c.staging_hubs
        when 'binder_hubs' then c.binder_hubs
    end as value,
    null as numerator,
    null as denominator,
    c.hubs as n,
    'ok' as status
from counted as c
cross join (values ('hubs'), ('clusters'), ('staging_hubs'), ('binder_hubs')) as s (statistic)
where
    (c.grain = 'organisation' or c.hubs + c.staging_hubs > 0)
    and not (c.grain = 'cluster' and s.statistic = 'clusters')
