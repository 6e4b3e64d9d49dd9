-- Every landed version of a message once, and what is wrong with it beside its ticket.
with version as (
    select
        *,
        coalesce(updated_at, created_at) as made_at,
        to_json(row(ticket_id, created_at, incoming, private, source, person_key, is_merge_note))::varchar as content
    from raw.ticket_messages
)

select
    v.* exclude (content),
    row_number() over (same order by v._file, v._row) as copy,
    case
        when min(v.content) over same <> max(v.content) over same then 'contradicting_versions'
        when t.id is null then 'unknown_ticket'
        when v.created_at < t.created_at then 'before_its_ticket'
    end as reason
from version as v
left join (select id, min(created_at) as created_at from temp.newest_tickets group by id) as t on v.ticket_id = t.id
window same as (partition by v.id, v.made_at)
