-- Distinct people in the 30 days that end on each day, at every grain, as the rolling engine has counted them. Beside one
-- that rests on missing days: of how many of its clusters all days are there.
with figure as (
    select
        a.date,
        a.grain,
        a.member,
        a.mau,
        m.clusters,
        m.clusters_covered,
        case when c.status_30_days = 'ok' and m.date is not null then 'incomplete' else c.status_30_days end as status
    from facts.active_users as a
    inner join facts.coverage as c on a.date = c.date
    left join facts.missing_activity as m on a.date = m.date and a.grain = m.grain and a.member = m.member
    where a.date <= $as_of
)

select
    grain,
    member,
    date - 29 as period_start,
    date as period_end,
    mau as value,
    null as numerator,
    null as denominator,
    mau as n,
    status
from figure
union all
select
    grain || ':clusters_covered',
    member,
    date - 29,
    date,
    clusters_covered,
    clusters_covered,
    clusters,
    clusters,
    status
from figure
where clusters is not null
