-- Recognised revenue per month and fiscal quarter: the organisation and every category of its document, credits beside it.
with revenue as (
    select * from facts.recognised_periods where kind = 'revenue'
),

booking as (
    select
        case when grouping(b.category) = 1 then 'organisation' else 'category' end || ':' || b.basis as grain,
        case when grouping(b.category) = 1 then 'organisation' else b.category end as member,
        p.period_start,
        p.period_end,
        sum(b.amount) as amount,
        count(*) as n,
        case when p.is_closed then 'ok' else 'to date' end as status
    from revenue as p inner join facts.bookings as b on b.date between p.period_start and p.period_end
    where p.period = 'month' and p.grain = 'organisation'
    group by grouping sets (
        (b.basis, p.period_start, p.period_end, p.is_closed),
        (b.basis, p.period_start, p.period_end, p.is_closed, b.category)
    )
),

open_deal as (
    select
        case when grouping(category) = 1 then 'organisation' else 'category' end as grain,
        case when grouping(category) = 1 then 'organisation' else category end as member,
        sum(weighted_amount) as weighted,
        sum(amount) as amount,
        count(weighted_amount) as n,
        count(*) as deals
    from facts.pipeline
    group by grouping sets ((), (category))
)

select
    case period when 'month' then grain else grain || ':quarter' end as grain,
    member,
    period_start,
    period_end,
    amount as value,
    null as numerator,
    null as denominator,
    items as n,
    status
from revenue
union all
select grain || ':credits', member, period_start, period_end, credits, null, null, items, status
from revenue
where period = 'month'
union all
select grain, member, period_start, period_end, amount, null, null, n, status from booking
union all
select
    grain || ':pipeline', member, $as_of, $as_of, coalesce(weighted, case when deals = 0 then 0 end), null, null, n,
    case when n < deals then 'incomplete' else 'ok' end
from open_deal
where $has_deals
union all
select grain || ':pipeline_unweighted', member, $as_of, $as_of, coalesce(amount, 0), null, null, deals, 'ok'
from open_deal
where $has_deals
