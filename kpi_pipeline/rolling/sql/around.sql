-- The month around $day as bits, cell by cell, for the people of that day's changes. Bit 0 is the day before, and so on
-- back to $mau_days - 1 days before; bit $mau_days + 1 is the day after, and so on; between them stand what the day
-- holds ($held) and what it will hold ($will_hold). First the days that are less than $near_days away, on which most are
-- found; then, for the others, the rest of the month. Bits of a cell and person are put together.
with near as (
    select
        cell,
        person_key,
        bit_or(bits) as seen,
        -- Who is taken away was there.
        case when seen & $removed::bigint > 0 then xor(seen, $removed::bigint | $will_hold::bigint) else seen end as bits
    from (
        select u.cell, u.person_key, case
            when u.date < $day::date then 1::bigint << ($day::date - u.date - 1)
            when u.date > $day::date then 1::bigint << (u.date - $day::date + $mau_days)
            else $held::bigint | $will_hold::bigint
        end as bits
        from facts.user_days as u
        semi join (from temp.changes where date = $day::date) as c on u.person_key = c.person_key
        where u.date between $day::date - ($near_days - 1) and $day::date + ($near_days - 1)
        union all
        select cell, person_key, case when sign = 1 then $will_hold::bigint else $removed::bigint end
        from temp.changes
        where date = $day::date
    )
    group by cell, person_key
),

known as materialized (
    select
        cell,
        person_key,
        bits,
        xor(bits & $held::bigint, (bits & $will_hold::bigint) >> 1) > 0 as is_changed,
        is_changed and bits & $before::bigint = 0 as lacks_before,
        is_changed and bits & $after::bigint = 0 and exists (
            from facts.user_days where date between $day::date + $near_days and $day::date + ($mau_days - 1)
        ) as lacks_after
    from near
)

select cell, person_key, bits from known where not lacks_before and not lacks_after
union all
select cell, person_key, bit_or(bits) as bits
from (
    select cell, person_key, bits from known where lacks_before or lacks_after
    union all
    select u.cell, u.person_key, 1::bigint << ($day::date - u.date - 1)
    from facts.user_days as u
    semi join (from known where lacks_before) as k on u.person_key = k.person_key
    where u.date between $day::date - ($mau_days - 1) and $day::date - $near_days
    union all
    select u.cell, u.person_key, 1::bigint << (u.date - $day::date + $mau_days)
    from facts.user_days as u
    semi join (from known where lacks_after) as k on u.person_key = k.person_key
    where u.date between $day::date + $near_days and $day::date + ($mau_days - 1)
)
group by cell, person_key
