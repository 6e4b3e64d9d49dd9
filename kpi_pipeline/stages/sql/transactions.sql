-- One with an id counts once, in its newest state: what was delivered for one moment is the same.
with newest as (
    select
        max_by(attempted_at, updated_at) as attempted_at,
        max_by(product, updated_at) as product,
        max_by(kind, updated_at) as kind,
        max_by(status, updated_at) as status,
        1 as transactions
    from temp.transaction_versions
    where transaction_id is not null and not is_contradicted
    group by transaction_id
),

counted as (
    select * from newest
    union all by name
    select attempted_at, product, kind, status, transactions from temp.transaction_versions where transaction_id is null
)

select
    attempted_at::date as date,
    product,
    kind,
    sum(transactions) as attempted,
    coalesce(sum(transactions) filter (where status in ('succeeded', 'refunded')), 0) as succeeded,
    coalesce(sum(transactions) filter (where status = 'refunded'), 0) as refunded,
    coalesce(sum(transactions) filter (where status = 'failed'), 0) as failed
from counted
group by all
order by all
