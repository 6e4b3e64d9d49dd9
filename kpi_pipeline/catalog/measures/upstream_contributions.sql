-- Contributions per month: of the organisation, per project and per kind.
with contribution as (
    select
        c.date,
        c.contributions,
        unnest([
            {'grain': 'organisation', 'member': 'organisation'},
            {'grain': 'project', 'member': c.project},
            {'grain': 'kind', 'member': c.kind}
        ], recursive := true)
    from facts.upstream_contributions as c
    where c.date <= $as_of
),

month as (
    select m.grain, m.member, p.kind, p.period_start, p.period_end, p.is_closed
    from (select grain, member, min(date) as first_date from contribution group by grain, member) as m
    inner join facts.periods as p on p.period_end >= m.first_date and p.period_start <= $as_of
    where p.kind in ('month', 'quarter')
)

select
    m.grain || case m.kind when 'month' then '' else ':' || m.kind end as grain,
    m.member,
    m.period_start,
    m.period_end,
    coalesce(sum(c.contributions), 0) as value,
    null as numerator,
    null as denominator,
    coalesce(sum(c.contributions), 0) as n,
    case when m.is_closed then 'ok' else 'to date' end as status
from month as m
left join contribution as c
    on m.grain = c.grain and m.member = c.member and c.date between m.period_start and m.period_end
group by m.grain, m.member, m.kind, m.period_start, m.period_end, m.is_closed
