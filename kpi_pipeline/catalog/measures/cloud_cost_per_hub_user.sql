-- Cost allocated to hubs in a calendar month / distinct people of that month; ratio of sums at every grain, and over the
-- months of a fiscal quarter.
with cost as (
    select
        c.month,
        c.hub_id,
        h.hub_type,
        sum(c.amount) as cost,
        coalesce(sum(c.amount) filter (where c.basis in ('tag', 'account')), 0) as direct_cost,
        coalesce(sum(c.amount) filter (where c.basis = 'shared'), 0) as shared_cost,
        case when u.users is null then sum(c.amount) else 0 end as idle_cost
    from facts.cloud_costs as c
    inner join facts.hub_months as h on c.month = h.month and c.hub_id = h.hub_id
    left join facts.monthly_users as u on c.month = u.month and u.grain = 'hub' and u.member = c.hub_id
    group by c.month, c.hub_id, h.hub_type, u.users
),

placed as (
    select month, 'hub' as grain, hub_id as member, cost, direct_cost, shared_cost, idle_cost from cost
    union all
    select month, 'hub_type', hub_type, cost, direct_cost, shared_cost, idle_cost from cost
    union all
    select month, 'organisation', 'organisation', cost, direct_cost, shared_cost, idle_cost from cost
    union all
    -- A month whose bill is nobody's has a row all the same.
    select distinct month, 'organisation', 'organisation', 0, 0, 0, 0 from facts.cloud_costs
),

summed as (
    select
        p.month,
        p.grain,
        p.member,
        sum(p.cost)::decimal(38, 2) as cost,
        sum(p.direct_cost)::decimal(38, 2) as direct_cost,
        sum(p.shared_cost)::decimal(38, 2) as shared_cost,
        sum(p.idle_cost)::decimal(38, 2) as idle_cost
    from placed as p
    group by p.month, p.grain, p.member
),

-- Of a quarter, the months' costs and the months' users are summed: somebody who is there in each month counts in each.
figure as (
    select
        p.kind,
        p.period_start,
        p.period_end,
        p.is_closed,
        s.grain,
        s.member,
        sum(s.cost)::decimal(38, 2) as cost,
        sum(s.direct_cost)::decimal(38, 2) as direct_cost,
        sum(s.shared_cost)::decimal(38, 2) as shared_cost,
        sum(s.idle_cost)::decimal(38, 2) as idle_cost,
        coalesce(sum(u.users), 0)::bigint as users
    from summed as s
    inner join facts.periods as p on p.kind in ('month', 'quarter') and s.month between p.period_start and p.period_end
    left join facts.monthly_users as u on s.month = u.month and s.grain = u.grain and s.member = u.member
    group by p.kind, p.period_start, p.period_end, p.is_closed, s.grain, s.member
),

judged as (
    select *, case when not is_closed then 'to date' when users = 0 then 'idle' else 'ok' end as status
    from figure
),

bill as (
    select
        month,
        sum(amount) as bill,
        coalesce(sum(amount) filter (where basis = 'unallocated'), 0) as unallocated
    from facts.cloud_costs
    group by month
)

select
    case kind when 'month' then grain else grain || ':quarter' end as grain,
    member,
    period_start,
    period_end,
    -- In whole numbers to the ninth digit, half up: a division of its own would go through a float.
    case when users > 0 then
        sign(cost)::decimal(1, 0)
        * ((abs(cost * 100)::hugeint * 20000000 + users) // (2 * users))::decimal(38, 0)
        * 0.000000001::decimal(9, 9)
    end as value,
    cost as numerator,
    users as denominator,
    users as n,
    status
from judged
union all
select
    f.grain || ':' || s.statistic,
    f.member,
    f.period_start,
    f.period_end,
    -- As wide as the value above, which a union would else round to cents.
    (case s.statistic
        when 'cost' then f.cost
        when 'direct_cost' then f.direct_cost
        when 'shared_cost' then f.shared_cost
        when 'idle_cost' then f.idle_cost
        when 'bill' then b.bill
        when 'unallocated' then b.unallocated
    end)::decimal(38, 9),
    null,
    null,
    f.users,
    f.status
from judged as f
inner join bill as b on f.period_start = b.month
cross join
    (
        values ('cost'), ('direct_cost'), ('shared_cost'), ('idle_cost'), ('bill'), ('unallocated')
    ) as s (statistic)
where f.kind = 'month' and (f.grain = 'organisation' or s.statistic not in ('bill', 'unallocated'))
