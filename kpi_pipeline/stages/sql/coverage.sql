-- Every day that active_users has: whether anything was delivered for it and for the 29 days before, and whether all was.
with day as (
    select
        u.date,
        a.date is not null or l.date is not null as has_data,
        (a.date is not null or l.date is not null) and m.date is null as is_whole,
        greatest((select max(date) from staged.activity_accounting), (select max(date) from temp.live_days)) as newest
    from (select date from facts.active_users where grain = 'organisation') as u
    left join staged.activity_accounting as a on u.date = a.date
    left join temp.live_days as l on u.date = l.date
    left join (select distinct date from temp.hub_days where is_missing) as m on u.date = m.date
),

counted as (
    select *, count(*) filter (where has_data) over (order by date rows between 29 preceding and current row) as days
    from day
)

select
    date,
    has_data,
    is_whole,
    case
        when date > newest then 'stale'
        when days < 30 then 'incomplete'
        else 'ok'
    end as status_30_days
from counted
order by date
