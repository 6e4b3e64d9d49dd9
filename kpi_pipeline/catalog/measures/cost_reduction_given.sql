-- List price less charged price per month of service; the running month up to the as-of day.
with part as (
    select
        month,
        reduction,
        (reduction::decimal(28, 2) * 100)::hugeint as cents,
        last_day - first_day + 1 as days,
        least(last_day, $as_of::date) - first_day + 1 as days_so_far
    from facts.cost_reductions
    where first_day <= $as_of
),

so_far as (
    select
        month,
        -- Whole months stay as they are allocated; of the running one, evenly per day, to the nearest cent.
        case
            when days_so_far = days then cents
            else sign(cents) * ((2 * abs(cents) * days_so_far + days) // (2 * days))
        end as cents
    from part
),

month as (
    select unnest(generate_series(min(month), $as_of::date, interval 1 month))::date as month
    from part
)

select
    'organisation' as grain,
    'organisation' as member,
    m.month as period_start,
    least(last_day(m.month), $as_of::date) as period_end,
    sum(s.cents)::decimal(28, 0) * 0.01::decimal(3, 2) as value,
    null as numerator,
    null as denominator,
    count(s.month) as n,
    case
        when count(s.month) = 0 then 'no data'
        when last_day(m.month) > $as_of::date then 'to date'
        else 'ok'
    end as status
from month as m
left join so_far as s on m.month = s.month
group by m.month
