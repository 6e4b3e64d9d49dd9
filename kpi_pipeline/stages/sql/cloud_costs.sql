-- The lines that count, and whom each is for: the hub that its tag names, else the one that its account is for; without
-- a tag it is shared within the account's cluster, or by all hubs. A tag that names no hub is nobody's.
with known_hub as (
    -- Names are compared in lower case; min, so that a line stays one line where two hubs differ in case only.
    select lower(hub_id) as name, min(hub_id) as hub_id from staged.hubs group by lower(hub_id)
),

known_cluster as (
    select distinct lower(cluster) as name from staged.hubs
),

line as (
    select
        date,
        provider,
        billing_account_id,
        sub_account_id,
        hub_tag,
        charge_category,
        is_correction,
        currency,
        sum(lines)::bigint as lines,
        sum(billed) as billed,
        -- The rate of a line's own day; a product has room for 12 and 9 decimals.
        sum(
            case
                when currency = $reporting_currency then billed
                else (billed::decimal(28, 12) * rate::decimal(18, 9))::decimal(38, 24)
            end
        ) as amount
    from temp.cost_outcomes
    where outcome = 'counted'
    group by all
),

mapped as (
    select l.*, lower(coalesce(s.target, b.target)) as target
    from line as l
    left join temp.cost_accounts as s on l.sub_account_id = s.account
    left join temp.cost_accounts as b on l.billing_account_id = b.account
),

known as (
    select
        m.*,
        t.hub_id as tagged_hub,
        a.hub_id as account_hub,
        c.name as account_cluster
    from mapped as m
    left join known_hub as t
        on t.name = lower(
            case
                when contains(m.hub_tag, '/') then m.hub_tag
                else split_part(m.target, '/', 1) || '/' || m.hub_tag
            end
        )
    left join known_hub as a on m.target = a.name
    left join known_cluster as c on m.target = c.name
)

select
    * exclude (target, tagged_hub, account_hub, account_cluster),
    case
        when tagged_hub is not null then 'tag'
        when account_hub is not null then 'account'
        when hub_tag is not null or (target is not null and account_cluster is null) then 'unallocated'
        else 'shared'
    end as basis,
    coalesce(tagged_hub, account_hub) as hub_id,
    case
        when coalesce(tagged_hub, account_hub) is not null then null
        when hub_tag is not null then 'its tag names no known hub'
        when target is not null and account_cluster is null then 'its account is for no known hub or cluster'
        else coalesce('cluster ' || account_cluster, 'all hubs')
    end as detail
from known
order by all
