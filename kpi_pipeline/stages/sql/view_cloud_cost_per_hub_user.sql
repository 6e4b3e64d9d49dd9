select
    v.period_start as month,
    v.period_end,
    v.grain,
    v.member,
    v.value as cost_per_user,
    v.numerator::decimal(38, 2) as cost,
    v.denominator::bigint as users,
    i.value::decimal(38, 2) as idle_cost,
    v.status
from kpi_values as v
left join kpi_values as i
    on v.kpi_id = i.kpi_id and i.grain = v.grain || ':idle_cost' and v.member = i.member and v.period_end = i.period_end
where v.kpi_id = 'engineering.cloud_cost_per_hub_user' and v.grain in ('hub', 'hub_type', 'organisation')
order by v.period_start, v.grain, v.member
