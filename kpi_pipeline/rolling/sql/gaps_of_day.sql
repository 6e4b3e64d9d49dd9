-- A day that comes cuts the gap between its neighbours in two; one that goes makes them one again. From toggled.
select
    member_id,
    unnest([sign, sign, -sign]) as sign,
    unnest([previous, date, previous]) as from_date,
    unnest([date, next, next]) as to_date
from toggled
