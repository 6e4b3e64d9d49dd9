-- Every charge with its days of service, and whether it counts. Of charges with one id the first counts: others either
-- repeat it or contradict it.
with charge as (
    select
        charge_id,
        nullif(lower(trim(regexp_replace(community, '\s+', ' ', 'g'))), '') as community,
        contract,
        coalesce(service_start, (left(month, 7) || '-01')::date) as first_day,
        coalesce(service_end, last_day((left(month, 7) || '-01')::date)) as last_day,
        list_price,
        charged_price,
        upper(currency) as currency,
        _file,
        _row
    from raw.charges
),

content as (
    select *, md5((community, contract, first_day, last_day, list_price, charged_price, currency)::varchar) as content
    from charge
),

placed as (
    select
        *,
        row_number() over (partition by charge_id order by _file, _row) as place,
        first_value(content) over (partition by charge_id order by _file, _row) as first_content
    from content
)

select
    community,
    contract,
    first_day,
    last_day,
    list_price,
    charged_price,
    _file,
    _row,
    charge_id is not null and place > 1 and content = first_content as is_repeated,
    charge_id is not null and place > 1 and content <> first_content as is_contradiction,
    currency <> $currency as is_foreign
from placed
