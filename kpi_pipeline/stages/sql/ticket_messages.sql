-- Messages in their newest version. Survey feedback (6) and forwarded mail (8) don't answer the requester.
select
    id as message_id,
    ticket_id,
    created_at,
    incoming as is_incoming,
    not incoming
    and not private
    and coalesce(source, 0) not in (6, 8)
    and person_key is not null
    and not list_contains($automations::uuid[], person_key) as is_reply
from temp.ticket_message_versions
where reason is null and not is_superseded
qualify row_number() over (partition by id order by made_at desc, copy) = 1
order by id
