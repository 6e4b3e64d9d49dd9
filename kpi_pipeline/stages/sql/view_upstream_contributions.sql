select
    case when ends_with(grain, ':quarter') then 'quarter' else 'month' end as period,
    period_start,
    period_end,
    split_part(grain, ':', 1) as grain,
    member,
    value::bigint as contributions,
    status
from kpi_values
where kpi_id = 'upstream.upstream_contributions' and status not like 'no data: %'
order by 4, 5, 1, 2
