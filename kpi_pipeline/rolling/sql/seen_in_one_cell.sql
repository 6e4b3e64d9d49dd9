-- People who were only ever in one cell: what holds for the cell holds for every member that it belongs to.
select u.cell as member_id, u.person_key, u.date, null::date as first_date
from facts.user_days as u
anti join temp.people_in_many as p on u.person_key = p.person_key
