-- How many in a period. An observation has also
--   key VARCHAR    what is counted, once a period however often it comes; null: the observation stands for n of them
--   n BIGINT       how many it stands for
select
    s.grain,
    s.member,
    s.period_start,
    s.period_end,
    (count(distinct o.key) + coalesce(sum(o.n) filter (where o.key is null), 0))::decimal(38, 9) as value,
    null as numerator,
    null as denominator,
    (count(distinct o.key) + coalesce(sum(o.n) filter (where o.key is null), 0))::bigint as n,
    greatest(nullif(count(distinct o.person), 0), max(o.people)) as people,
    case when s.is_closed then 'ok' else 'to date' end as status
from slot as s
left join placed as o
    on s.grain = o.grain and s.member = o.member and o.date between s.period_start and s.period_end
group by s.grain, s.member, s.period_start, s.period_end, s.is_closed
