-- Landed pages with their lists of users, as an answer has them under `items` or is one; or what is wrong with a page.
with page as (
    select *, case when json_valid(text) then text::json end as document
    from landed_pages
),

listed as (
    select *, case json_type(document) when 'OBJECT' then document -> '$.items' else document end as listing
    from page
)

select
    file,
    fetched,
    cluster,
    hub,
    case when json_type(listing) = 'ARRAY' then from_json(listing, '["json"]') end as items,
    case
        when fault is not null then fault
        when document is null then 'not_json'
        when json_type(listing) is distinct from 'ARRAY' then 'not_a_list'
    end as fault
from listed
