-- Days up to the as-of day of which a part of a live source isn't landed: between what is, after it, or from its first
-- failure on where nothing is.
with covered as (
    select p.source, p.part, p.problem_since, c.first_day, c.last_day
    from raw.parts as p
    left join raw.covered_days as c on p.source = c.source and p.part = c.part and c.first_day <= $as_of::date
    where p.is_wanted
),

gap as (
    select
        source,
        part,
        coalesce(last_day + 1, problem_since::date - 1, $as_of::date) as first_day,
        coalesce(lead(first_day) over (partition by source, part order by first_day) - 1, $as_of::date) as last_day
    from covered
)

select source, part, first_day, last_day
from gap
where first_day <= last_day
