select
    period_start,
    period_end,
    split_part(grain, ':', 1) as grain,
    member,
    max(value) filter (where grain not like '%:%') as reply_hours,
    max(value) filter (where grain like '%:median') as reply_hours_median,
    max(value) filter (where grain like '%:p90') as reply_hours_p90,
    max(value) filter (where grain like '%:business') as reply_business_hours,
    max(n) filter (where grain not like '%:%') as replies,
    max(value) filter (where grain like '%:resolution') as resolution_hours,
    max(value) filter (where grain like '%:resolution_median') as resolution_hours_median,
    max(value) filter (where grain like '%:resolution_p90') as resolution_hours_p90,
    max(value) filter (where grain like '%:resolution_business') as resolution_business_hours,
    max(n) filter (where grain like '%:resolution') as resolutions,
    max(value) filter (where grain like '%:open_without_reply')::bigint as open_without_reply
from kpi_values
where kpi_id = 'community_guidance.ticket_turnaround_time' and status not like 'no data: %'
group by all
order by 3, 4, 1, 2
