-- A resource that is reported more than once a day counts once; its last record says where it belongs.
with entry as (
    select
        date,
        rtrim(lower(trim(regexp_replace(nfc_normalize(resource), '[\s\p{Z}]+', ' ', 'g'))), '/ ') as path,
        kind,
        action,
        _file,
        _row
    from raw.documents
)

-- The root of a site is nothing but slashes.
select date, coalesce(nullif(path, ''), '/') as resource, arg_max(kind, (_file, _row)) as kind, action
from entry
group by date, path, action
order by date, resource, action
