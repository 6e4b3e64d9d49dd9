select v.* exclude (run_id, computed_at, audience), d.title, d.unit
from kpi_values as v
inner join kpi_definitions as d on v.kpi_id = d.kpi_id
where v.audience = 'external'
order by v.kpi_id, v.grain, v.member, v.period_end
