-- Landings on production hubs. A click begins where the person's landing before, on the same repository and hub, is more
-- than 30 minutes back. Lines of the same moment are one row.
select
    r.date,
    r.hit_at,
    h.hub_id,
    h.hub_type,
    r.person_key,
    r.repo,
    count(*) as hits,
    coalesce(
        r.hit_at - lag(r.hit_at) over (partition by h.hub_id, r.person_key, r.repo order by r.hit_at) > interval 30 minute,
        true
    ) as is_click
from raw.access_logs as r
inner join staged.hubs as h
    on r.cluster = h.cluster and r.hub = h.hub and r.date >= h.from_day and r.date < h.to_day
    and h.environment = 'production'
group by r.date, r.hit_at, h.hub_id, h.hub_type, r.person_key, r.repo
