-- A month's bill: what hubs cost, directly and shared, and what is nobody's; the rows of a month sum to its bill.
with figure as (
    select
        period_start as month,
        period_end,
        split_part(grain, ':', 1) as grain,
        split_part(grain, ':', 2) as statistic,
        member,
        value,
        status
    from kpi_values
    where kpi_id = 'engineering.cloud_cost_per_hub_user'
)

select
    month,
    period_end,
    case grain when 'hub' then member end as hub_id,
    case statistic when 'direct_cost' then 'direct' when 'shared_cost' then 'shared' else 'unallocated' end as basis,
    value::decimal(38, 2) as cost
from figure
where
    value <> 0
    and ((grain = 'hub' and statistic in ('direct_cost', 'shared_cost'))
    or (grain = 'organisation' and statistic = 'unallocated'))
order by month, hub_id, basis
