-- Tickets in their newest version, with community and product by the rules of kpi.toml, and why one doesn't count.
with merged as (
    select distinct ticket_id from temp.ticket_message_versions where is_merge_note and reason is null
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
        when t.deleted then 'deleted'
        when m.ticket_id is not null
            or list_has_any(list_transform(coalesce(t.tags, []), lambda tag: lower(tag)), $merged_tags::varchar[])
            then 'merged'
    end as exclusion,
    t.first_responded_at,
    t.reopened_at,
    t.resolved_at,
    t.closed_at,
    l.ticket_id is not null as has_messages
from temp.newest_tickets as t
left join merged as m on t.id = m.ticket_id
left join landed as l on t.id = l.ticket_id
order by t.id
