-- Up to which day each part of a live source is landed, at most the as-of day; of one that never was, the day before that
-- began to be so.
select
    p.source,
    p.part,
    coalesce(least(max(c.last_day), $as_of::date), any_value(p.problem_since)::date - 1) as last_day
from raw.parts as p
left join raw.covered_days as c on p.source = c.source and p.part = c.part and c.first_day <= $as_of::date
where p.is_wanted
group by p.source, p.part
