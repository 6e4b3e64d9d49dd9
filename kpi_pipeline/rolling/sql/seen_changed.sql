-- The days on which changed people were seen, per member, from 30 days before the first change on.
with known as (
    select m.member_id, s.person_key, min(s.first_date) as first_date
    from facts.first_seen as s
    inner join temp.changed_people as p on s.person_key = p.person_key
    inner join facts.cell_members as m on s.cell = m.cell
    group by m.member_id, s.person_key
),

seen as (
    select distinct m.member_id, u.person_key, u.date
    from facts.user_days as u
    inner join temp.changed_people as p on u.person_key = p.person_key
    inner join facts.cell_members as m on u.cell = m.cell
    where u.date >= $horizon
)

select s.member_id, s.person_key, s.date, k.first_date
from seen as s
inner join known as k on s.member_id = k.member_id and s.person_key = k.person_key
