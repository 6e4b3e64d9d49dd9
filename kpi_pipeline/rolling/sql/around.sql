-- The people of $day's changes where they were in the month before and after it: their nearest days there.
-- A day further away makes no difference, whatever it is: the gap is $mau_days or more.
with found as (
    select u.date, u.cell, u.person_key, 0 as sign
    from facts.user_days as u
    semi join temp.today as t on u.person_key = t.person_key
    where u.date between $day::date - ($mau_days - 1) and $day::date + ($mau_days - 1)
    union all
    select $day::date, cell, person_key, sign from temp.today
)

select
    cell,
    person_key,
    max(date) filter (where date < $day::date) as previous,
    min(date) filter (where date > $day::date) as next,
    count(*) filter (where date = $day::date and sign = 0) as held,
    sum(sign)::integer as sign
from found
group by cell, person_key
