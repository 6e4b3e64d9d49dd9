-- First days in cells that $day's changes may move: of people who weren't there in the month before.
with month as (
    select a.cell, a.person_key, bit_or(a.bits) as bits
    from temp.around as a
    semi join (
        from temp.around
        where bits & $before::bigint = 0 and xor(bits & $held::bigint, (bits & $will_hold::bigint) >> 1) > 0
    ) as c on a.person_key = c.person_key
    group by a.cell, a.person_key
),

changed as (
    select
        cell,
        person_key,
        bits & $held::bigint = 0 as is_added,
        (bits & $after::bigint) >> ($mau_days + 1) as after,
        case when after > 0 then $day::date + bit_count((after & -after) - 1)::integer + 1 end as next
    from month
    where bits & $before::bigint = 0 and xor(bits & $held::bigint, (bits & $will_hold::bigint) >> 1) > 0
),

known as (
    select s.cell, s.person_key, s.first_date
    from facts.first_seen as s
    semi join changed as c on s.person_key = c.person_key
)

select
    coalesce(k.cell, c.cell) as cell,
    coalesce(k.person_key, c.person_key) as person_key,
    k.first_date as before,
    case
        when c.is_added then least(k.first_date, $day::date)
        when not c.is_added and k.first_date = $day::date then c.next
        else k.first_date
    end as after,
    not coalesce(c.is_added, true) and k.first_date = $day::date and c.next is null as is_lost
from known as k
full join changed as c on k.cell = c.cell and k.person_key = c.person_key
