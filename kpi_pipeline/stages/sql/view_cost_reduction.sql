select
    case when grain = 'organisation' then 'month' else 'quarter' end as period,
    period_start,
    period_end,
    value as reduction,
    n as charges,
    status
from kpi_values
where kpi_id = 'impact_centric.cost_reduction_given' and grain in ('organisation', 'organisation:quarter')
order by 1, 2
