select
    case
        when contains(grain, ':rolling_30_days') then 'rolling_30_days'
        when date_trunc('month', period_start) = date_trunc('month', period_end) then 'month'
        else 'quarter'
    end as period,
    period_start,
    period_end,
    split_part(grain, ':', 1) as grain,
    member,
    max(value) filter (where grain not like '%hits')::bigint as clicks,
    max(value) filter (where grain like '%hits')::bigint as hits
from kpi_values
where kpi_id = 'community_guidance.nbgitpuller_clicks' and status not like 'no data: %'
group by all
order by 4, 5, 1, 2, 3
