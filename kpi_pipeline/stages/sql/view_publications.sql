select period_start, period_end, grain, member, value::bigint as works, status
from kpi_values
where kpi_id = 'impact_centric.publications_from_hubs'
order by grain desc, member, period_start, period_end
