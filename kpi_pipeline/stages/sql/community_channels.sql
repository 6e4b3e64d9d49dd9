with entry as (
    select
        created_on,
        lower(trim(regexp_replace(nfc_normalize(platform), '[\s\p{Z}]+', ' ', 'g'))) as platform,
        lower(trim(regexp_replace(nfc_normalize(channel), '[\s\p{Z}]+', ' ', 'g'))) as channel
    from raw.channels
)

select min(created_on) as date, platform, channel
from entry
group by platform, channel
order by date, platform, channel
