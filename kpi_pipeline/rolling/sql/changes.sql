-- What the days must hold (temp.wanted) against what they do hold: +1 for a row to add, -1 for one to take away.
select 1 as sign, date, cell, person_key
from (
    select date, cell, person_key from temp.wanted
    except
    select u.date, u.cell, u.person_key from facts.user_days as u inner join temp.days as d on u.date = d.date
)
union all
select -1 as sign, date, cell, person_key
from (
    select u.date, u.cell, u.person_key from facts.user_days as u inner join temp.days as d on u.date = d.date
    except
    select date, cell, person_key from temp.wanted
)
