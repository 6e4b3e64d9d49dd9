-- What the days must hold (temp.wanted) against what they do hold: +1 for a row to add, -1 for one to take away.
-- $first and $last let the scan skip the rest of the history.
with wanted as materialized (
    select distinct date, cell, person_key from temp.wanted
),

held as (
    select u.date, u.cell, u.person_key
    from facts.user_days as u
    semi join temp.days as d on u.date = d.date
    where u.date between $first::date and $last::date
)

select 1 as sign, w.date, w.cell, w.person_key
from wanted as w
anti join held as h on w.date = h.date and w.cell = h.cell and w.person_key = h.person_key
union all
select -1 as sign, h.date, h.cell, h.person_key
from held as h
anti join wanted as w on w.date = h.date and w.cell = h.cell and w.person_key = h.person_key
