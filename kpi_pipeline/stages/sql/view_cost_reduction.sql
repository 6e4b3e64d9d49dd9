select period_start, period_end, value as reduction, n as charges, status
from kpi_values
where kpi_id = 'impact_centric.cost_reduction_given' and grain = 'organisation'
order by period_start
