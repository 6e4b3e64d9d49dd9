-- Of several rows of an event and a day, the last one delivered counts.
with entry as (
    select date, lower(trim(regexp_replace(nfc_normalize(event), '[\s\p{Z}]+', ' ', 'g'))) as event, kind, _file, _row
    from raw.events
)

select date, event, kind
from entry
qualify row_number() over (partition by date, event order by _file desc, _row desc) = 1
order by date, event
