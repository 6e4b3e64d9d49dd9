-- Days up to the as-of day of which a part of a live source isn't landed: from the first of which anything of it is, between
-- what is, and after it. Nothing of a part that never was landed is there: it is missing for as long as its source. The last
-- days are a lag where they normally aren't there yet: of a period that still runs nothing else is to be expected.
with covered as (
    select source, part, first_day, last_day
    from raw.covered_days
    where first_day <= $as_of::date
),

begun as (
    select source, min(first_day) as first_day
    from covered
    group by source
),

known as (
    select p.source, p.part, p.lag_days, p.first_day as touched_day, c.first_day, c.last_day, b.first_day as begun_day
    from raw.parts as p
    left join covered as c on p.source = c.source and p.part = c.part
    left join begun as b on p.source = b.source
    where p.is_wanted
),

gap as (
    select
        source,
        part,
        case when last_day is null then coalesce(touched_day, begun_day, $as_of::date) else last_day + 1 end as first_day,
        coalesce(lead(first_day) over (partition by source, part order by first_day) - 1, $as_of::date) as last_day,
        lag_days
    from known
    union all
    -- What was landed in part before the first whole day.
    select source, part, min(touched_day), min(first_day) - 1, 0
    from known
    group by source, part
)

select source, part, first_day, last_day, $as_of::date - first_day < lag_days as is_lag
from gap
where first_day <= last_day
