-- How many people are now in a member on the day, or (negative) no longer, by the nearest days before and after.
-- Whoever was in one cell alone counts the same in everything that it belongs to.
with in_many as (
    select person_key from temp.around group by person_key having count(*) > 1
),

by_cell as (
    select cell, previous, next, sum(sign) as sign
    from temp.around as a
    anti join in_many as i on a.person_key = i.person_key
    group by cell, previous, next
),

by_person as (
    select
        m.member_id,
        max(a.previous) as previous,
        min(a.next) as next,
        max(a.held + a.sign) - max(a.held) as sign
    from temp.around as a
    semi join in_many as i on a.person_key = i.person_key
    inner join facts.cell_members as m on a.cell = m.cell
    group by m.member_id, a.person_key
)

select m.member_id, c.previous, c.next, sum(c.sign) as sign
from by_cell as c
inner join facts.cell_members as m on c.cell = m.cell
group by m.member_id, c.previous, c.next
union all
select member_id, previous, next, sum(sign) as sign
from by_person
where sign <> 0
group by member_id, previous, next
