-- Every landed version of a ticket once, and whether another of the same moment says something else.
with version as (
    select
        *,
        to_json(row(
            created_at, status, priority, source, spam, deleted, company_id, product_id, type, tags, person_key,
            first_responded_at, agent_responded_at, requester_responded_at, status_updated_at, reopened_at,
            resolved_at, closed_at, pending_since
        ))::varchar as content
    from raw.tickets
)

select
    * exclude (content),
    min(content) over same <> max(content) over same as is_contradicted,
    row_number() over (same order by _file, _row) as copy
from version
window same as (partition by id, updated_at)
