-- Every landed version of an answer once, and what is wrong with it beside its ticket.
with version as (
    select
        *,
        coalesce(updated_at, created_at) as made_at,
        to_json(row(ticket_id, created_at, person_key, rating))::varchar as content
    from raw.ticket_ratings
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
left join temp.newest_tickets as t on v.ticket_id = t.id
window same as (partition by v.id, v.made_at)
