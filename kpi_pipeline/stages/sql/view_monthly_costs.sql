select
    v.period_start as month,
    v.period_end,
    case v.grain when 'organisation' then 'total' else v.member end as category,
    v.value as cost,
    c.value as credits,
    v.n as items,
    v.status
from kpi_values as v
left join kpi_values as c
    on v.kpi_id = c.kpi_id and c.grain = v.grain || ':credits' and c.member = v.member
    and c.period_start = v.period_start and c.period_end = v.period_end
where v.kpi_id = 'sustainability.monthly_operational_costs' and v.grain in ('organisation', 'category')
order by month, v.grain, category
