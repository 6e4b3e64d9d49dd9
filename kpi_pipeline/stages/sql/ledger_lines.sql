-- Lines of the ledger with the document's category, the rate of the day on which they were booked, and what is wrong.
-- A line is converted once, as a whole: its months then sum to it in the reporting currency too.
with line as (
    select
        l.date,
        l.kind,
        coalesce(c.category, $uncategorised) as category,
        l.contract_id,
        coalesce(l.service_start, l.date) as first_day,
        coalesce(l.service_end, l.date) as last_day,
        l.amount,
        l.currency,
        case when l.currency = $reporting_currency then 1::decimal(38, 9) else r.rate end as rate,
        l._file,
        l._row
    from raw.ledger as l
    asof left join staged.rates as r on l.currency = r.currency and l.date >= r.date
    left join temp.category_of as c on l.kind = c.kind and l.category = c.name
)

select
    *,
    round(amount * rate, 2)::decimal(38, 9) as reported_amount,
    case when rate is null then 'no_rate:' || currency end as reason
from line
