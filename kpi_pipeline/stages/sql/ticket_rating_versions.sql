-- Every landed version of an answer once, and what is wrong with it beside its ticket. As of tickets, the one that was
-- fetched last counts.
with version as (
    select
        v.*,
        coalesce(v.updated_at, v.created_at) as made_at,
        f.fetched_at,
        to_json(row(v.ticket_id, v.created_at, v.person_key, v.rating))::varchar as content
    from raw.ticket_ratings as v
    left join temp.ticket_fetches as f on v._file = f.file
),

checked as (
    select * exclude (content), min(content) over at_once <> max(content) over at_once as is_contradicted
    from version
    window at_once as (partition by id, made_at, fetched_at)
)

select
    v.*,
    coalesce(v.fetched_at < max(v.fetched_at) filter (where not v.is_contradicted) over same, false) as is_superseded,
    row_number() over (same order by v._file, v._row) as copy,
    case
        when v.is_contradicted then 'contradicting_versions'
        when t.id is null then 'unknown_ticket'
        when v.created_at < t.created_at then 'before_its_ticket'
    end as reason
from checked as v
left join temp.newest_tickets as t on v.ticket_id = t.id
window same as (partition by v.id, v.made_at)
