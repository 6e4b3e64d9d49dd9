-- What becomes of each group. Of the deliveries that have lines of one account and billing period the newest counts;
-- of two that came together, the one whose name sorts last.
with bearer as (
    select distinct g.billing_account_id, g.billing_period, d.delivery, d.delivered_at
    from temp.cost_groups as g
    inner join temp.cost_deliveries as d on g.file = d.file
),

newest as (
    select
        billing_account_id,
        billing_period,
        delivery,
        row_number() over (
            partition by billing_account_id, billing_period order by delivered_at desc, delivery desc
        ) = 1 as is_newest
    from bearer
)

select
    g.*,
    r.rate,
    case
        when not n.is_newest then 'replaced'
        when g.date > $as_of then 'after_as_of'
        when r.rate is null then 'no_rate'
        else 'counted'
    end as outcome
from temp.cost_groups as g
inner join temp.cost_deliveries as d on g.file = d.file
inner join newest as n
    on g.billing_account_id = n.billing_account_id and g.billing_period = n.billing_period and d.delivery = n.delivery
left join temp.cost_rates as r
    on g.currency = r.currency and g.date >= r.from_day and g.date < r.to_day
