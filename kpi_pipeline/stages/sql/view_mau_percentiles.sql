select
    v.period_end as date,
    max(v.value) filter (where v.kpi_id = 'impact.mau_p10') as p10,
    max(v.value) filter (where v.kpi_id = 'impact.mau_p50') as p50,
    max(v.value) filter (where v.kpi_id = 'impact.mau_p90') as p90,
    max(v.n) as hubs,
    max(z.value)::bigint as zero_hubs,
    max(v.status) as status
from kpi_values as v
left join kpi_values as z
    on z.kpi_id = v.kpi_id and z.grain = 'organisation:zero_hubs' and z.period_end = v.period_end
where v.kpi_id in ('impact.mau_p10', 'impact.mau_p50', 'impact.mau_p90') and v.grain = 'organisation'
group by v.period_end
order by v.period_end
