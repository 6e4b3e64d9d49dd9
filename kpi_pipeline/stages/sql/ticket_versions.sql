-- Every landed version of a ticket once. Of those of one moment the one that was fetched last counts, the others are
-- superseded; where one fetch says two things of one moment, neither counts.
with version as (
    select
        v.*,
        f.fetched_at,
        to_json(row(
            v.created_at, v.status, v.priority, v.source, v.spam, v.deleted, v.company_id, v.product_id, v.type, v.tags,
            v.person_key, v.first_responded_at, v.agent_responded_at, v.requester_responded_at, v.status_updated_at,
            v.reopened_at, v.resolved_at, v.closed_at, v.pending_since
        ))::varchar as content
    from raw.tickets as v
    left join temp.ticket_fetches as f on v._file = f.file
),

checked as (
    select * exclude (content), min(content) over at_once <> max(content) over at_once as is_contradicted
    from version
    window at_once as (partition by id, updated_at, fetched_at)
)

select
    *,
    coalesce(fetched_at < max(fetched_at) filter (where not is_contradicted) over same, false) as is_superseded,
    row_number() over (same order by _file, _row) as copy
from checked
window same as (partition by id, updated_at)
