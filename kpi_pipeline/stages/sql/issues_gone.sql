-- Issues that GitHub hadn't any more where they were, when it was asked for them one by one: when that was, and what had
-- become of them. One that a later answer lists is back.
with gone as (
    select
        coalesce(n.name, g.repository) as repository,
        g.number,
        max(g.happened_at) as gone_at,
        arg_max(g.event, g.happened_at) as how
    from raw.github as g
    left join temp.github_renamed as n on g.repository = n.repository
    where g.stream = 'gone'
    group by coalesce(n.name, g.repository), g.number
)

select g.repository, g.number, g.gone_at, g.how
from gone as g
inner join temp.github_current as o on o.stream = 'issues' and g.repository = o.repository and g.number = o.number
inner join temp.github_files as f on o._file = f.file
group by all
having g.gone_at > max(f.fetched_at)
