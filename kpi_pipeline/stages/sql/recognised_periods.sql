-- Recognised amounts and credits per month and fiscal quarter, from the first month that has any: the organisation and every
-- category of its document.
with category as (
    select 'revenue' as kind, unnest($revenue_categories::varchar[]) as category
    union all
    select 'cost', unnest($cost_categories::varchar[])
),

reach as (
    select
        kind,
        min(month) as first_month,
        (select max(date) from staged.ledger where date <= $as_of) as newest
    from facts.recognised
    where days_to_date > 0
    group by kind
),

period as (
    select r.kind, p.kind as period, p.period_start, p.period_end, p.is_closed, r.newest
    from facts.periods as p
    inner join reach as r on p.period_end >= r.first_month
    where p.kind in ('month', 'quarter')
),

summed as (
    select
        p.kind,
        p.period,
        p.period_start,
        case when grouping(f.category) = 1 then 'organisation' else 'category' end as grain,
        case when grouping(f.category) = 1 then 'organisation' else f.category end as member,
        sum(f.amount_to_date) as amount,
        sum(f.amount_to_date) filter (where f.amount_to_date < 0) as credits,
        count(distinct (f.source, f.item)) as items
    from period as p
    inner join facts.recognised as f on p.kind = f.kind and f.month between p.period_start and p.period_end
    where f.days_to_date > 0
    group by grouping sets ((p.kind, p.period, p.period_start), (p.kind, p.period, p.period_start, f.category))
),

cell as (
    select *, 'organisation' as grain, 'organisation' as member from period
    union all
    select p.*, 'category', c.category from period as p inner join category as c on p.kind = c.kind
),

-- Where the books end, months that follow hold only what earlier lines reach into: that isn't all of them.
judged as (
    select
        c.*,
        coalesce(s.amount, 0) as amount,
        coalesce(s.credits, 0) as credits,
        coalesce(s.items, 0) as items,
        case
            when s.items is null and coalesce(c.newest < c.period_start, true) then 'no data'
            when coalesce(date_trunc('month', c.newest) < date_trunc('month', c.period_end), true) then 'incomplete'
            when c.is_closed then 'ok'
            else 'to date'
        end as status
    from cell as c
    left join summed as s
        on c.kind = s.kind and c.period = s.period and c.period_start = s.period_start
        and c.grain = s.grain and c.member = s.member
)

select
    kind,
    period,
    grain,
    member,
    period_start,
    period_end,
    is_closed,
    case when status <> 'no data' then amount end as amount,
    case when status <> 'no data' then credits end as credits,
    items,
    status
from judged
order by kind, period, period_start, grain, member
