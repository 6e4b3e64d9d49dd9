-- Qualifying user-days of the days at hand, by cell as of the day.
select u.date, c.cell, u.person_key
from staged.user_days as u
inner join temp.facts_days as d on u.date = d.date
inner join staged.hubs as h on u.hub_id = h.hub_id and u.date >= h.from_day and u.date < h.to_day
inner join facts.cells as c
    on h.hub_id = c.hub_id and h.cluster = c.cluster and h.hub_type = c.hub_type and h.communities = c.communities
