-- Every object once: the only version of it, or the newest.
select *
from temp.github_current as o
where not exists (
    select 1
    from temp.github_repeated as r
    where r.repository = o.repository and r.stream = o.stream and r.id = o.id
)
union all by name
select * exclude (place, is_conflict)
from temp.github_versions
where place = 1 and not is_conflict
