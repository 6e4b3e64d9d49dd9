-- What each community says of itself on each day: of declarations that overlap, the one that was declared last. The
-- days at which any declaration begins or ends cut the time into pieces; neighbours that say the same are not joined.
with declaration as (
    select
        nullif(lower(trim(regexp_replace(community, '\s+', ' ', 'g'))), '') as community,
        historically_marginalised = 'yes' as is_marginalised,
        valid_from,
        coalesce(valid_to, date '9999-12-31') as valid_to,
        self_declared,
        _file,
        _row
    from raw.communities
),

cut as (
    select community, valid_from as day from declaration
    union
    select community, valid_to as day from declaration
),

piece as (
    select community, day as from_day, lead(day) over (partition by community order by day) as to_day
    from cut
),

ranked as (
    select
        p.community,
        p.from_day,
        p.to_day,
        d.is_marginalised,
        row_number() over (
            partition by p.community, p.from_day
            order by d.self_declared desc, d.valid_from desc, d._file desc, d._row desc
        ) as place
    from piece as p
    inner join declaration as d
        on p.community = d.community and d.valid_from <= p.from_day and d.valid_to >= p.to_day
    where p.to_day is not null
)

select community, from_day, to_day, is_marginalised
from ranked
where place = 1
order by community, from_day
