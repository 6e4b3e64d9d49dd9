-- Objects of pages of one stream, each with its place. A page is parsed once, by $structure. One that can't be used as a
-- whole gives one row, without an object, that says why; a page that is cut off is no JSON.
with listing as (
    select
        *,
        case stream when 'runs' then try(json_extract(content, '$.workflow_runs'))::varchar else content end as listing
    from github_batch
),

parsed as (
    select *, try(json_transform(listing, $structure)) as objects
    from listing
),

-- Without the text, which would be copied for every object.
page as (
    select
        _file,
        repository,
        stream,
        place_number,
        coalesce(objects, [null]) as objects,
        -- What isn't an object lacks its id; only pages where one does are looked at again.
        case when len(list_filter(objects, lambda o: o.id is null)) > 0 then json_type(listing, '$[*]') end as kinds,
        case
            when objects is not null then null
            when fault is not null then fault
            when trim(content) = '' then 'empty_file'
            when not json_valid(content) then 'not_json'
            else 'not_a_list'
        end as page_reason
    from parsed
),

object as (
    select
        * exclude (objects, kinds),
        unnest(objects) as object,
        unnest(kinds) as kind,
        unnest(range(1, len(objects) + 1)) as place
    from page
)

select * exclude (place), case when page_reason is null then place end as _row
from object
