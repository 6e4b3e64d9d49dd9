-- Each hub as it was at the end of each month: the last version that had begun by then, else its first one.
with month as (
    select distinct date_trunc('month', date)::date as month from staged.user_days where date <= $as_of
    union
    select distinct date_trunc('month', date)::date from staged.cloud_costs
),

version as (
    select
        m.month,
        h.hub_id,
        h.cluster,
        h.hub_type,
        row_number() over (
            partition by m.month, h.hub_id
            order by
                h.from_day < m.month + interval 1 month desc,
                case when h.from_day < m.month + interval 1 month then h.from_day end desc,
                h.from_day
        ) as place
    from month as m
    cross join staged.hubs as h
)

select month, hub_id, cluster, hub_type
from version
where place = 1
order by month, hub_id
