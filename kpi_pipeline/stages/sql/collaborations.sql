with entry as (
    select began_on, kind, lower(trim(regexp_replace(nfc_normalize(project), '[\s\p{Z}]+', ' ', 'g'))) as project, _file, _row
    from raw.collaborations
)

select min(began_on) as date, project, arg_min(kind, (began_on, _file, _row)) as kind
from entry
group by project
order by date, project
