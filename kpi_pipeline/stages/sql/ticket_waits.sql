-- A spell begins where a landed version of the ticket says that it began to wait, and ends with the first sign of the
-- customer or of another status. Begins within one spell have the same end, so spells with different ends are disjoint.
with version as (
    select * from temp.ticket_versions where not is_contradicted and not is_superseded
),

beginning as (
    select id as ticket_id, pending_since as happened_at from version where pending_since is not null
    union
    select id, status_updated_at from version
    where list_contains($waiting_statuses::bigint[], status) and status_updated_at is not null
),

sign as (
    select ticket_id, created_at as happened_at from staged.ticket_messages where is_incoming
    union
    select id, requester_responded_at from version where requester_responded_at is not null
    union
    select id, reopened_at from version where reopened_at is not null
    union
    select id, resolved_at from version where resolved_at is not null
    union
    select id, closed_at from version where closed_at is not null
    union
    select id, status_updated_at from version
    where not list_contains($waiting_statuses::bigint[], status) and status_updated_at is not null
),

spell as (
    select b.ticket_id, b.happened_at as from_at, min(s.happened_at) as to_at
    from beginning as b
    left join sign as s on b.ticket_id = s.ticket_id and s.happened_at > b.happened_at
    group by b.ticket_id, b.happened_at
)

select p.ticket_id, min(p.from_at) as from_at, p.to_at
from spell as p
inner join staged.tickets as t on p.ticket_id = t.ticket_id
group by p.ticket_id, p.to_at
order by p.ticket_id, from_at
