select
    v.period_start,
    v.period_end,
    v.grain,
    v.member,
    v.value as mean,
    b.value as percent_4_and_5,
    v.n as answers,
    r.value as response_rate,
    v.status
from kpi_values as v
left join kpi_values as b
    on b.kpi_id = v.kpi_id and b.grain = v.grain || ':share_of_best' and b.member = v.member
    and b.period_start = v.period_start and b.period_end = v.period_end
left join kpi_values as r
    on r.kpi_id = v.kpi_id and r.grain = v.grain || ':response_rate' and r.member = v.member
    and r.period_start = v.period_start and r.period_end = v.period_end
where v.kpi_id = 'qualitative.community_satisfaction' and v.grain in ('organisation', 'community')
order by v.grain desc, v.member, v.period_start, v.period_end
