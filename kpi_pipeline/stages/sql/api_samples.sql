-- Each sample once, however many fetches hold it: the one of the newest file.
select series, labels, service, audience, customer, try_cast(le as decimal(38, 9)) as le, date, sampled_at, value, _file, _row
from raw.api_metrics
qualify row_number() over (
    partition by series, labels, try_cast(le as decimal(38, 9)), sampled_at order by landed_at desc, _file desc, _row desc
) = 1
