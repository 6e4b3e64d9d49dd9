-- Distinct people in the 30 days that end on each day, at every grain, as the rolling engine has counted them.
select
    a.grain,
    a.member,
    a.date - 29 as period_start,
    a.date as period_end,
    a.mau as value,
    null as numerator,
    null as denominator,
    a.mau as n,
    case when a.date - 29 < f.first_date then 'incomplete' else 'ok' end as status
from facts.active_users as a
cross join (select min(date) as first_date from facts.active_users where grain = 'organisation') as f
where a.date <= $as_of
