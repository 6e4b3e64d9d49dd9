-- Answers in their newest version, on tickets that count.
select v.id as rating_id, v.ticket_id, v.created_at, t.community, t.product, v.rating
from temp.ticket_rating_versions as v
inner join staged.tickets as t on v.ticket_id = t.ticket_id and t.exclusion is null
where v.reason is null and not v.is_superseded
qualify row_number() over (partition by v.id order by v.made_at desc, v.copy) = 1
order by v.id
