-- Up to which day each part of a live source is landed, at most the as-of day; of one that never was, the day before the
-- first that anything of its source is landed of.
with covered as (
    select source, part, min(first_day) as first_day, max(last_day) as last_day
    from raw.covered_days
    where first_day <= $as_of::date
    group by source, part
),

begun as (
    select source, min(first_day) as first_day
    from covered
    group by source
)

select
    p.source,
    p.part,
    case when c.part is not null then least(c.last_day, $as_of::date) else b.first_day - 1 end as last_day
from raw.parts as p
left join covered as c on p.source = c.source and p.part = c.part
left join begun as b on p.source = b.source
where p.is_wanted
