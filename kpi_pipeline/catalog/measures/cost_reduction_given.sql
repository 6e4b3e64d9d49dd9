-- List price less charged price per month of service, and per fiscal quarter; the running ones up to the as-of day.
with part as (
    select
        _file,
        _row,
        month,
        (reduction::decimal(28, 2) * 100)::hugeint as cents,
        last_day - first_day + 1 as days,
        least(last_day, $as_of::date) - first_day + 1 as days_so_far
    from facts.cost_reductions
    where first_day <= $as_of
),

so_far as (
    select
        _file,
        _row,
        month,
        -- Whole months stay as they are allocated; of the running one, evenly per day, to the nearest cent.
        case
            when days_so_far = days then cents
            else sign(cents) * ((2 * abs(cents) * days_so_far + days) // (2 * days))
        end as cents
    from part
),

period as (
    select p.kind, p.period_start, p.period_end, p.is_closed
    from facts.periods as p
    inner join (select min(month) as first_month from part) as f on p.period_end >= f.first_month
    where p.kind in ('month', 'quarter') and p.period_start <= $as_of
)

select
    case p.kind when 'month' then 'organisation' else 'organisation:quarter' end as grain,
    'organisation' as member,
    p.period_start,
    p.period_end,
    sum(s.cents)::decimal(28, 0) * 0.01::decimal(3, 2) as value,
    null as numerator,
    null as denominator,
    count(distinct (s._file, s._row)) filter (where s.month is not null) as n,
    case
        when count(s.month) = 0 then 'no data'
        when p.is_closed then 'ok'
        else 'to date'
    end as status
from period as p
left join so_far as s on s.month between p.period_start and p.period_end
group by p.kind, p.period_start, p.period_end, p.is_closed
