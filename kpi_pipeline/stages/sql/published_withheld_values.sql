-- What is internal though its KPI is external: what is insufficient, what rests on fewer than $min_people people, and what
-- would let such a value be worked out: then all members of the grain, in that measure and period.
with valued as (
    select
        v.*,
        d.measure,
        d.audience as kpi_audience,
        split_part(v.grain, ':', 1) as base,
        v.people < $min_people as is_small
    from kpi.kpi_values as v
    inner join temp.kpi_definitions as d on v.kpi_id = d.kpi_id
),

-- People of a member and of each of its parts: what is left of them must not be few either.
part as (
    select distinct
        v.measure,
        v.base,
        v.member,
        v.period_start,
        v.period_end,
        v.people,
        case when v.base = 'team' and t.parent is not null then 'team' else 'organisation' end as whole_grain,
        case when v.base = 'team' and t.parent is not null then t.parent else 'organisation' end as whole_member
    from valued as v
    left join staged.teams as t on v.member = t.team
    where v.grain = v.base and v.people is not null and v.base <> 'organisation'
),

remainder as (
    select p.measure, p.base, p.period_start, p.period_end
    from part as p
    inner join (
        select distinct measure, base, member, period_start, period_end, people
        from valued
        where grain = base and people is not null
    ) as w
        on p.measure = w.measure and p.whole_grain = w.base and p.whole_member = w.member
        and p.period_start = w.period_start and p.period_end = w.period_end
    group by p.measure, p.base, p.whole_member, p.period_start, p.period_end, w.people
    having w.people - sum(p.people) between 1 and $min_people - 1
),

withheld as (
    select measure, base, period_start, period_end
    from valued
    where is_small and base <> 'organisation'
    union
    select measure, base, period_start, period_end
    from remainder
)

select v.kpi_id, v.grain, v.member, v.period_start, v.period_end
from valued as v
left join withheld as w
    on v.measure = w.measure and v.base = w.base and v.period_start = w.period_start and v.period_end = w.period_end
where v.kpi_audience = 'external' and (v.status = 'insufficient' or v.is_small or w.measure is not null)
