-- Every day that active_users has, and whether anything was delivered for it and for the 29 days before.
with day as (
    select
        u.date,
        a.date is not null as has_data,
        count(a.date) over (order by u.date rows between 29 preceding and current row) as days_with_data,
        (select max(date) from staged.activity_accounting) as newest
    from (select date from facts.active_users where grain = 'organisation') as u
    left join staged.activity_accounting as a on u.date = a.date
)

select
    date,
    has_data,
    case
        when date > newest then 'stale'
        when days_with_data < 30 then 'incomplete'
        else 'ok'
    end as status_30_days
from day
order by date
