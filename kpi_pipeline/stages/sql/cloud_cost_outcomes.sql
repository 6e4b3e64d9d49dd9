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
),

-- The newest rate not after a line's day holds; where the rates of that day contradict each other there is none.
rated as (
    select
        g.*,
        case when g.currency = $reporting_currency then 1::decimal(38, 9) else r.rate end as rate
    from temp.cost_groups as g
    asof left join staged.rates as r on g.currency = r.currency and g.date >= r.date
)

select
    g.*,
    case
        when not n.is_newest then 'replaced'
        when g.date > $as_of then 'after_as_of'
        when g.rate is null then 'no_rate'
        else 'counted'
    end as outcome
from rated as g
inner join temp.cost_deliveries as d on g.file = d.file
inner join newest as n
    on g.billing_account_id = n.billing_account_id and g.billing_period = n.billing_period and d.delivery = n.delivery
