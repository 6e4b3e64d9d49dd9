-- Every amount over the months of its service days: amount x days in the month / all days, to the cent. Cents that are
-- left over go to the months with the largest remainders, the earlier one of two, so that the months sum to the amount.
-- The part of the running month up to the as-of day is taken from the month's share in the same way: it and the rest
-- sum to the share.
with item as (
    select 'ledger' as source, _file || ':' || _row as item, kind, category, first_day, last_day, reported_amount
    from staged.ledger
    union all
    select 'deals', deal_id, 'revenue', category, first_day, last_day, reported_amount
    from staged.deals
    where state = 'won' and not in_ledger
),

started as (
    select
        *,
        unnest(generate_series(
            date_trunc('month', first_day)::timestamp, last_day::timestamp, interval 1 month
        ))::date as month
    from item
),

part as (
    select
        source,
        item,
        kind,
        category,
        month,
        case when reported_amount < 0 then -1 else 1 end as sign,
        (abs(reported_amount) * 100)::hugeint as cents,
        (last_day - first_day + 1)::hugeint as all_days,
        greatest(first_day, month) as from_day,
        least(last_day, last_day(month)) as to_day
    from started
),

divided as (
    select
        *,
        (to_day - from_day + 1)::hugeint as days,
        greatest(0, least(to_day, $as_of::date) - from_day + 1)::hugeint as days_to_date,
        (cents * (to_day - from_day + 1)) // all_days as whole,
        (cents * (to_day - from_day + 1)) % all_days as remainder
    from part
),

shared as (
    select
        *,
        whole + case
            when row_number() over (partition by source, item order by remainder desc, month)
                <= cents - sum(whole) over (partition by source, item) then 1
            else 0
        end as share
    from divided
)

select
    source,
    item,
    kind,
    category,
    month,
    (sign * share)::decimal(38, 0) * 0.01::decimal(3, 2) as amount,
    days_to_date::bigint as days_to_date,
    (sign * ((2 * share * days_to_date + days) // (2 * days)))::decimal(38, 0) * 0.01::decimal(3, 2) as amount_to_date
from shared
order by source, item, month
