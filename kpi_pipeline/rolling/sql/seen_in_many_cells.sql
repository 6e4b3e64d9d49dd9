-- People who were in several cells: member by member, a day in two cells of a member being one day.
select distinct m.member_id, u.person_key, u.date, null::date as first_date
from facts.user_days as u
semi join temp.people_in_many as p on u.person_key = p.person_key
inner join facts.cell_members as m on u.cell = m.cell
