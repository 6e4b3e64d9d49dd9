-- Every object once: the only version of it, or the newest.
select * replace (case stream when 'timeline' then 'events' else stream end as stream)
from raw.github as o
where not exists (
    select 1
    from temp.github_repeated as r
    where
        r.repository = o.repository
        and r.stream = case o.stream when 'timeline' then 'events' else o.stream end
        and r.id = o.id
)
union all by name
select * exclude (place, is_conflict)
from temp.github_versions
where place = 1 and not is_conflict
