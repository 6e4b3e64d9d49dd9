-- How many people are now in a member on the day, or (negative) no longer, by the nearest days before and after.
-- Whoever was in one cell alone counts the same in everything that it belongs to; the others by the union of their bits.
with in_many as (
    select person_key from temp.around group by person_key having count(*) > 1
),

by_cell as (
    select cell, bits, count(*) as people
    from temp.around as a
    anti join in_many as i on a.person_key = i.person_key
    group by cell, bits
),

by_bits as (
    select m.member_id, c.bits, c.people
    from by_cell as c
    inner join facts.cell_members as m on c.cell = m.cell
    union all
    select m.member_id, bit_or(a.bits), 1
    from temp.around as a
    semi join in_many as i on a.person_key = i.person_key
    inner join facts.cell_members as m on a.cell = m.cell
    group by m.member_id, a.person_key
),

-- `x & -x` is the lowest bit of x, and one less than it all bits below.
toggle as (
    select
        member_id,
        bits & $before::bigint as before,
        (bits & $after::bigint) >> ($mau_days + 1) as after,
        case when before > 0 then $day::date - bit_count((before & -before) - 1)::integer - 1 end as previous,
        case when after > 0 then $day::date + bit_count((after & -after) - 1)::integer + 1 end as next,
        case when bits & $held::bigint > 0 then -people else people end as sign
    from by_bits
    where xor(bits & $held::bigint, (bits & $will_hold::bigint) >> 1) > 0
)

select member_id, $day::date as date, previous, next, sum(sign) as sign
from toggle
group by member_id, previous, next
