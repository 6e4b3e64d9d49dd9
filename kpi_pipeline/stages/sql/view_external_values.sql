select v.* exclude (run_id, computed_at), d.title, d.unit
from kpi_values as v
inner join kpi_definitions as d on v.kpi_id = d.kpi_id
anti join withheld_values as w
    on v.kpi_id = w.kpi_id and v.grain = w.grain and v.member = w.member
    and v.period_start = w.period_start and v.period_end = w.period_end
where d.audience = 'external'
order by v.kpi_id, v.grain, v.member, v.period_end
