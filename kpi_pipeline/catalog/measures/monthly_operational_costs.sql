-- Operational costs per month and fiscal quarter: the organisation and every category of its document, credits beside it.
with cost as (
    select * from facts.recognised_periods where kind = 'cost'
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
from cost
union all
select grain || ':credits', member, period_start, period_end, credits, null, null, items, status
from cost
where period = 'month'
