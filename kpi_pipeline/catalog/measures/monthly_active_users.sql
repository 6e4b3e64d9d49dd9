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
    c.status_30_days as status
from facts.active_users as a
inner join facts.coverage as c on a.date = c.date
where a.date <= $as_of
