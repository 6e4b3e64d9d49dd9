-- The people of $day's changes, cell by cell, with their nearest days before and after it: first within a week, then
-- for those who weren't there within a month. Where there is none, the gap is $mau_days or more, whatever it is.
with near as (
    select
        u.cell,
        u.person_key,
        max(u.date) filter (where u.date < $day::date) as previous,
        min(u.date) filter (where u.date > $day::date) as next,
        count(*) filter (where u.date = $day::date) as held
    from facts.user_days as u
    semi join temp.today as t on u.person_key = t.person_key
    where u.date between $day::date - ($wau_days - 1) and $day::date + ($wau_days - 1)
    group by u.cell, u.person_key
),

known as materialized (
    select
        coalesce(n.cell, t.cell) as cell,
        coalesce(n.person_key, t.person_key) as person_key,
        n.previous,
        n.next,
        coalesce(n.held, 0) as held,
        coalesce(t.sign, 0) as sign
    from near as n
    full join temp.today as t on n.person_key = t.person_key and n.cell = t.cell
),

far as (
    select cell, person_key, max(previous) as previous, min(next) as next
    from (
        select u.cell, u.person_key, u.date as previous, null as next
        from facts.user_days as u
        semi join (from known where sign <> 0 and previous is null) as k on u.person_key = k.person_key
        where u.date between $day::date - ($mau_days - 1) and $day::date - $wau_days
        union all
        select u.cell, u.person_key, null, u.date
        from facts.user_days as u
        semi join (from known where sign <> 0 and next is null) as k on u.person_key = k.person_key
        where u.date between $day::date + $wau_days and $day::date + ($mau_days - 1)
    )
    group by cell, person_key
)

select
    coalesce(k.cell, f.cell) as cell,
    coalesce(k.person_key, f.person_key) as person_key,
    coalesce(k.previous, f.previous) as previous,
    coalesce(k.next, f.next) as next,
    coalesce(k.held, 0) as held,
    coalesce(k.sign, 0) as sign
from known as k
full join far as f on k.person_key = f.person_key and k.cell = f.cell
