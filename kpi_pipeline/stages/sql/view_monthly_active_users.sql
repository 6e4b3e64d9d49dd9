select period_end as date, grain, member, value::bigint as mau, status
from kpi_values
where kpi_id = 'impact.monthly_active_users'
order by grain, member, period_end
