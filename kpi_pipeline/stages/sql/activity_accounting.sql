-- What became of every record of a day.
with record as (
    select date, count(*) as raw_rows, count(*) filter (where reason is not null) as quarantined
    from temp.activity
    group by date
),

user_day as (
    select
        date,
        count(*) as user_days,
        count(*) filter (where outcome = 'excluded') as excluded,
        count(*) filter (where outcome = 'staging') as staging,
        count(*) filter (where outcome = 'binder') as binder,
        count(*) filter (where outcome = 'qualifying') as qualifying
    from temp.sorted_out
    group by date
)

select
    r.date,
    r.raw_rows,
    r.quarantined,
    r.raw_rows - r.quarantined - coalesce(u.user_days, 0) as duplicates,
    coalesce(u.excluded, 0) as excluded,
    coalesce(u.staging, 0) as staging,
    coalesce(u.binder, 0) as binder,
    coalesce(u.qualifying, 0) as qualifying
from record as r
left join user_day as u on r.date = u.date
