select
    v.period_start as month,
    v.period_end,
    case v.grain when 'organisation' then 'total' else v.member end as category,
    v.value as recognised,
    c.value as credits,
    b.value as billed,
    k.value as booked,
    v.n as items,
    v.status
from kpi_values as v
left join kpi_values as c
    on v.kpi_id = c.kpi_id and c.grain = v.grain || ':credits' and c.member = v.member
    and c.period_start = v.period_start and c.period_end = v.period_end
left join kpi_values as b
    on v.kpi_id = b.kpi_id and b.grain = v.grain || ':billed' and b.member = v.member
    and b.period_start = v.period_start and b.period_end = v.period_end
left join kpi_values as k
    on v.kpi_id = k.kpi_id and k.grain = v.grain || ':booked' and k.member = v.member
    and k.period_start = v.period_start and k.period_end = v.period_end
where v.kpi_id = 'sustainability.monthly_revenue' and v.grain in ('organisation', 'category')
order by month, v.grain, category
