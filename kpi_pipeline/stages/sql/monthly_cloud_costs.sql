-- Shared pools among their hubs by $shared_by, again to the cent by largest remainder, in whole numbers throughout. A pool
-- that nobody used that month is nobody's.
with weight as (
    select
        u.month,
        u.member as hub_id,
        unnest(['all hubs', 'cluster ' || lower(h.cluster)]) as pool,
        (case $shared_by when 'users' then u.users when 'user_days' then u.user_days else 0 end)::hugeint as weight
    from facts.monthly_users as u
    inner join facts.hub_months as h on u.month = h.month and u.member = h.hub_id
    where u.grain = 'hub'
),

claim as (
    select
        p.month,
        w.hub_id,
        p.detail,
        sign(p.cents)::hugeint as sign,
        abs(p.cents) as pool,
        abs(p.cents) * w.weight // sum(w.weight) over (partition by p.month, p.detail)::hugeint as cents,
        abs(p.cents) * w.weight % sum(w.weight) over (partition by p.month, p.detail)::hugeint as remainder
    from temp.cost_parts as p
    inner join weight as w on p.month = w.month and p.detail = w.pool
    where p.basis = 'shared' and w.weight > 0
),

share as (
    select
        month,
        hub_id,
        detail,
        sign * (cents + case
            when row_number() over (partition by month, detail order by remainder desc, hub_id)
                <= pool - sum(cents) over (partition by month, detail)
                then 1
            else 0
        end) as cents
    from claim
),

settled as (
    select month, basis, hub_id, detail, cents from temp.cost_parts where basis <> 'shared'
    union all
    select month, 'shared', hub_id, detail, cents from share
    union all
    select month, 'unallocated', null, 'shared by ' || detail || ', which nobody used', cents
    from temp.cost_parts as p
    where
        basis = 'shared'
        and not exists (select 1 from share as s where s.month = p.month and s.detail = p.detail)
)

select month, basis, hub_id, detail, (cents::decimal(36, 0) * 0.01)::decimal(38, 2) as amount
from settled
order by month, basis, hub_id, detail
