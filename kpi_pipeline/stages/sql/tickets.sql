-- Tickets in their newest version, with community and product by the rules of kpi.toml, and why one doesn't count.
with merged as (
    select ticket_id, min(created_at) as merged_at
    from temp.ticket_message_versions
    where is_merge_note and reason is null and not is_superseded
    group by ticket_id
),

version as (
    select
        *,
        -- Whether a fetch before said of the same moment that it counts: then it was taken out later.
        bool_or(not is_out) over (partition by id, updated_at) as was_in_then
    from (
        select
            *,
            coalesce(spam, false) or coalesce(deleted, false)
            or list_has_any(list_transform(coalesce(tags, []), lambda tag: lower(tag)), $merged_tags::varchar[]) as is_out
        from temp.ticket_versions
        where not is_contradicted
    )
),

-- How a ticket was when it was first seen, when last it counted, and when it was seen.
seen as (
    select
        id,
        bool_or(not is_out) as was_in,
        max(updated_at) filter (where not is_out and not is_superseded) as last_in_at,
        min(fetched_at) as first_fetched_at,
        max(fetched_at) as last_fetched_at
    from version
    group by id
),

out as (
    select v.id, min(case when v.was_in_then then v.fetched_at else v.updated_at end) as out_at
    from version as v
    inner join seen as s on v.id = s.id
    where v.is_out and not v.is_superseded and (s.last_in_at is null or v.updated_at > s.last_in_at)
    group by v.id
),

-- Deleted for good, and not seen since.
gone as (
    select g.ticket_id, min(g.noticed_at) as noticed_at
    from raw.tickets_gone as g
    inner join seen as s on g.ticket_id = s.id and g.noticed_at >= s.last_fetched_at
    group by g.ticket_id
),

landed as (
    select distinct try_cast(regexp_extract(lower(file), '^conversations/([0-9]+)/', 1) as bigint) as ticket_id
    from raw.loads
    where source = 'tickets'
)

select
    t.id as ticket_id,
    t.created_at,
    t.updated_at,
    t.status,
    t.priority,
    coalesce(
        map_from_entries(list_zip($company_ids::varchar[], $company_names::varchar[]))[t.company_id::varchar],
        list_filter(
            list_zip($tag_ids::varchar[], $tag_names::varchar[]),
            lambda rule: list_contains(list_transform(t.tags, lambda tag: lower(tag)), rule[1])
        )[1][2],
        'unassigned'
    ) as community,
    coalesce(
        map_from_entries(list_zip($product_ids::varchar[], $product_names::varchar[]))[t.product_id::varchar],
        t.product_id::varchar,
        'unassigned'
    ) as product,
    case
        when t.spam then 'spam'
        when t.deleted or g.ticket_id is not null then 'deleted'
        when m.ticket_id is not null
            or list_has_any(list_transform(coalesce(t.tags, []), lambda tag: lower(tag)), $merged_tags::varchar[])
            then 'merged'
    end as exclusion,
    -- What is out when it is first seen never counts; another ticket counts up to the day before.
    case
        when s.was_in and coalesce(m.merged_at > s.first_fetched_at, m.ticket_id is null)
            then least(o.out_at, m.merged_at, g.noticed_at)::date
    end as excluded_from,
    t.first_responded_at,
    t.reopened_at,
    t.resolved_at,
    t.closed_at,
    l.ticket_id is not null as has_messages
from temp.newest_tickets as t
inner join seen as s on t.id = s.id
left join out as o on t.id = o.id
left join merged as m on t.id = m.ticket_id
left join gone as g on t.id = g.ticket_id
left join landed as l on t.id = l.ticket_id
order by t.id
