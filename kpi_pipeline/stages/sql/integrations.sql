-- An SDK and a plugin may share a name: they are two.
with entry as (
    select date, kind, lower(trim(regexp_replace(nfc_normalize(name), '[\s\p{Z}]+', ' ', 'g'))) as name
    from raw.integrations
)

select min(date) as date, kind, name
from entry
group by kind, name
order by date, kind, name
