-- Every delivered state of a transaction, and whether another of the same id and moment says something else. A row
-- without an id is a count of its own.
with version as (
    select
        transaction_id,
        attempted_at,
        coalesce(updated_at, attempted_at) as updated_at,
        lower(trim(regexp_replace(product, '\s+', ' ', 'g'))) as product,
        kind,
        status,
        coalesce("count", 1) as transactions,
        _file,
        _row
    from raw.transactions
),

content as (
    select *, to_json(row(attempted_at, product, kind, status))::varchar as content
    from version
    where transaction_id is not null
)

select *, false as is_contradicted
from version
where transaction_id is null
union all by name
select * exclude (content), min(content) over same <> max(content) over same as is_contradicted
from content
window same as (partition by transaction_id, updated_at)
