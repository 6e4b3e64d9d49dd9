-- Of several rows of a partner and a day, the last one delivered counts.
with entry as (
    select * replace (lower(trim(regexp_replace(nfc_normalize(partner), '[\s\p{Z}]+', ' ', 'g'))) as partner)
    from raw.partners
)

select partner, kind, established_on, onboarded_on, building_from, building_to, ended_on
from entry
qualify row_number() over (partition by partner, established_on order by _file desc, _row desc) = 1
order by partner, established_on
