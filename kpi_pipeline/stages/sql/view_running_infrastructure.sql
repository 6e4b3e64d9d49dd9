select
    period_end as date,
    case when grain like 'organisation%' then 'all' else member end as provider,
    max(value) filter (where grain in ('organisation', 'provider'))::bigint as hubs,
    max(value) filter (where grain like '%:clusters')::bigint as clusters,
    max(value) filter (where grain like '%:staging_hubs')::bigint as staging_hubs,
    max(value) filter (where grain like '%:binder_hubs')::bigint as binder_hubs
from kpi_values
where kpi_id = 'running_infrastructure.running_hubs_and_clusters'
    and (grain like 'organisation%' or grain like 'provider%')
group by period_end, provider
order by period_end, provider
