-- A month's bill in cents, by part: each hub's direct cost, each shared pool, what is nobody's. The bill is rounded once;
-- its parts are rounded down, and the cents that are left go to the largest remainders, so that they sum to it.
with part as (
    select date_trunc('month', date)::date as month, basis, hub_id, detail, sum(amount) as amount
    from staged.cloud_costs
    group by all
),

whole as (
    select
        month,
        basis,
        hub_id,
        detail,
        floor(amount * 100)::hugeint as cents,
        amount * 100 - floor(amount * 100) as remainder,
        round(sum(amount) over (partition by month) * 100, 0)::hugeint as bill
    from part
)

select
    month,
    basis,
    hub_id,
    detail,
    cents + case
        when row_number() over (partition by month order by remainder desc, basis, hub_id, detail)
            <= bill - sum(cents) over (partition by month)
            then 1
        else 0
    end as cents
from whole
