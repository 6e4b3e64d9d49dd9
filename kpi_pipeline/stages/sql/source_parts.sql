-- The parts of live sources that kpi.toml names, and how whole each is landed up to the as-of day.
with missing as (
    select source, part, sum(last_day - first_day + 1)::bigint as days, max(last_day) as last_day
    from temp.missing_days
    group by source, part
),

covered as (
    select source, part, least(max(last_day), $as_of::date) as last_day
    from raw.covered_days
    where first_day <= $as_of::date
    group by source, part
)

select
    p.source,
    p.part,
    case
        when p.problem is not null then 'failing'
        when c.last_day is null then 'never fetched'
        when m.last_day = $as_of::date then 'behind'
        when m.days > 0 then 'gaps'
        else 'whole'
    end as state,
    c.last_day as covered_until,
    coalesce(m.days, 0) as days_missing,
    p.checked_at,
    p.problem_since as failing_since
from raw.parts as p
left join covered as c on p.source = c.source and p.part = c.part
left join missing as m on p.source = m.source and p.part = m.part
where p.is_wanted
