select
    v.period_end as date,
    v.period_start,
    case when v.status <> 'provisioned' then v.value::bigint end as served,
    p.value::bigint as provisioned,
    v.status,
    v.period_end = last_day(v.period_end) as is_month_end
from kpi_values as v
left join kpi_values as p
    on p.kpi_id = v.kpi_id and p.grain = 'organisation:provisioned' and p.period_end = v.period_end
where v.kpi_id = 'impact.communities_served' and v.grain = 'organisation'
order by v.period_end
