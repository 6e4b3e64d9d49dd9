-- First days in cells that $day's changes may move: of people who weren't there in the month before.
with candidate as (
    select distinct person_key from temp.around where sign <> 0 and previous is null
),

known as (
    select s.cell, s.person_key, s.first_date
    from facts.first_seen as s
    semi join candidate as c on s.person_key = c.person_key
)

select
    coalesce(k.cell, a.cell) as cell,
    coalesce(k.person_key, a.person_key) as person_key,
    k.first_date as before,
    case
        when a.sign = 1 then least(k.first_date, $day::date)
        when a.sign = -1 and k.first_date = $day::date then a.next
        else k.first_date
    end as after,
    a.sign = -1 and k.first_date = $day::date and a.next is null as is_lost
from known as k
full join (
    select a.cell, a.person_key, a.next, a.sign
    from temp.around as a
    semi join candidate as c on a.person_key = c.person_key
    where a.sign <> 0
) as a on k.cell = a.cell and k.person_key = a.person_key
