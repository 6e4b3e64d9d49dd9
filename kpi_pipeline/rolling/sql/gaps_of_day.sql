-- A day that comes cuts the gap between its neighbours in two; one that goes makes them one again.
select member_id, sign, previous as from_date, date as to_date from temp.toggled
union all
select member_id, sign, date, next from temp.toggled
union all
select member_id, -sign, previous, next from temp.toggled
