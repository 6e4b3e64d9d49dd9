-- Operational costs per month and fiscal quarter: the organisation and every category of its document, credits beside it.
with reach as (
    select
        min(month) filter (where kind = 'cost' and days_to_date > 0) as first_month,
        (select max(date) from staged.ledger where date <= $as_of) as newest
    from facts.recognised
),

category as (
    select unnest([
        'engineering', 'partnerships and community', 'executive', 'fiscal fee', 'services', 'uncategorised'
    ]) as category
),

period as (
    select p.kind, p.period_start, p.period_end, p.is_closed, r.newest
    from facts.periods as p cross join reach as r
    where p.kind in ('month', 'quarter') and p.period_end >= r.first_month
),

summed as (
    select
        p.kind,
        p.period_start,
        case when grouping(f.category) = 1 then 'organisation' else 'category' end as grain,
        case when grouping(f.category) = 1 then 'organisation' else f.category end as member,
        sum(f.amount_to_date) as amount,
        sum(f.amount_to_date) filter (where f.amount_to_date < 0) as credits,
        count(distinct (f.source, f.item)) as n
    from period as p
    inner join facts.recognised as f on f.month between p.period_start and p.period_end
    where f.kind = 'cost' and f.days_to_date > 0
    group by grouping sets ((p.kind, p.period_start), (p.kind, p.period_start, f.category))
),

cell as (
    select *, 'organisation' as grain, 'organisation' as member from period
    union all
    select p.*, 'category', c.category from period as p cross join category as c
),

-- Where the books end, months that follow hold only what earlier lines reach into: that isn't all of them.
figure as (
    select
        c.kind,
        c.grain,
        c.member,
        c.period_start,
        c.period_end,
        coalesce(s.amount, 0) as amount,
        coalesce(s.credits, 0) as credits,
        coalesce(s.n, 0) as n,
        case
            when s.n is null and coalesce(c.newest < c.period_start, true) then 'no data'
            when coalesce(date_trunc('month', c.newest) < date_trunc('month', c.period_end), true) then 'incomplete'
            when c.is_closed then 'ok'
            else 'to date'
        end as status
    from cell as c
    left join summed as s
        on c.kind = s.kind and c.period_start = s.period_start and c.grain = s.grain and c.member = s.member
)

select
    case kind when 'month' then grain else grain || ':quarter' end as grain,
    member,
    period_start,
    period_end,
    case when status <> 'no data' then amount end as value,
    null as numerator,
    null as denominator,
    n,
    status
from figure
union all
select
    grain || ':credits', member, period_start, period_end, case when status <> 'no data' then credits end, null, null,
    n, status
from figure
where kind = 'month'
