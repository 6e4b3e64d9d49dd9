select
    v.period_start,
    v.period_end,
    v.grain,
    v.member,
    v.value::bigint as clicks,
    h.value::bigint as hits
from kpi_values as v
left join kpi_values as h
    on h.kpi_id = v.kpi_id and h.grain = v.grain || ':hits' and h.member = v.member
    and h.period_start = v.period_start and h.period_end = v.period_end
where v.kpi_id = 'community_guidance.nbgitpuller_clicks' and v.grain not like '%:%'
    and v.status not like 'no data: %'
order by v.grain, v.member, v.period_start, v.period_end
