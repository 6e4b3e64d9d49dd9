-- Each charge's reduction by month: evenly per day of service, in whole cents by largest remainder, the earlier month
-- first where remainders are equal. Integers throughout, so that the months sum to the charge.
with charge as (
    select
        _file,
        _row,
        first_day,
        last_day,
        last_day - first_day + 1 as days,
        ((list_price::decimal(28, 2) - charged_price::decimal(28, 2)) * 100)::hugeint as cents
    from staged.charges
),

month as (
    select
        *,
        unnest(generate_series(date_trunc('month', first_day), last_day::timestamp, interval 1 month))::date as month
    from charge
),

part as (
    select
        *,
        greatest(first_day, month) as part_first,
        least(last_day, last_day(month)) as part_last
    from month
),

floored as (
    select
        *,
        abs(cents) * (part_last - part_first + 1) // days as whole,
        abs(cents) * (part_last - part_first + 1) % days as remainder
    from part
),

ranked as (
    select
        *,
        row_number() over (partition by _file, _row order by remainder desc, month) as place,
        abs(cents) - sum(whole) over (partition by _file, _row) as left_over
    from floored
)

select
    _file,
    _row,
    month,
    part_first as first_day,
    part_last as last_day,
    (sign(cents) * (whole + case when place <= left_over then 1 else 0 end))::decimal(28, 0) * 0.01::decimal(3, 2)
        as reduction
from ranked
order by _file, _row, month
