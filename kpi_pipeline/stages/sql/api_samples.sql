-- Each sample once, however many fetches hold it: the one of the newest file.
select
    s.series,
    s.labels,
    s.service,
    lower(s.audience) as audience,
    s.customer,
    try_cast(s.le as decimal(38, 9)) as le,
    s.date,
    s.sampled_at,
    s.value,
    s._file,
    s._row
from raw.api_metrics as s
inner join temp.metric_files as f on s._file = f.file
qualify row_number() over (
    partition by s.series, s.labels, try_cast(s.le as decimal(38, 9)), s.sampled_at
    order by f.landed_at desc, s._file desc, s._row desc
) = 1
