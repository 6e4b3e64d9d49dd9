-- Raw activity of the days at hand, with what the registry says of the hub on the day.
select
    r.date,
    r.person_key,
    r.sessions,
    r._file,
    r._row,
    h.hub_id,
    h.environment,
    h.kind,
    case
        when h.hub_id is not null then null
        when r.cluster || '/' || r.hub in (select hub_id from staged.hubs) then 'hub_not_in_service'
        else 'unknown_hub'
    end as reason
from raw.hub_activity as r
inner join temp.days as d on r.date = d.date
left join staged.hubs as h
    on r.cluster = h.cluster and r.hub = h.hub and r.date >= h.from_day and r.date < h.to_day
