-- Pages with their objects as a list, or the reason why a page as a whole can't be used. A page that is cut off is no JSON.
with document as (
    select *, case when json_valid(content) then content::json end as document
    from github_batch
),

listed as (
    select
        *,
        case
            when stream = 'runs' and json_type(document, '$.workflow_runs') = 'ARRAY' then document -> '$.workflow_runs[*]'
            when stream <> 'runs' and json_type(document) = 'ARRAY' then document -> '$[*]'
        end as documents
    from document
)

select
    _file,
    repository,
    stream,
    place_number,
    documents,
    case
        when fault is not null then fault
        when trim(content) = '' then 'empty_file'
        when document is null then 'not_json'
        when documents is null then 'not_a_list'
    end as _reason
from listed
