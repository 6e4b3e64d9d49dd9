-- What the days must hold (wanted) against what they do hold: +1 for a row to add, -1 for one to take away.
-- $first and $last let the scan skip the rest of the history.
with held as (
    select u.date, u.cell, u.person_key
    from facts.user_days as u
    where u.date in (select unnest($days::date[])) and u.date between $first::date and $last::date
)

select
    case when h.date is null then 1 else -1 end as sign,
    coalesce(w.date, h.date) as date,
    coalesce(w.cell, h.cell) as cell,
    coalesce(w.person_key, h.person_key) as person_key
from (select distinct date, cell, person_key from wanted) as w
full join held as h on w.date = h.date and w.cell = h.cell and w.person_key = h.person_key
where w.date is null or h.date is null
