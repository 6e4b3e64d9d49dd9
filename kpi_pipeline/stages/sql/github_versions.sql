-- Versions of every repeated object: place 1 was updated last, and of several such it was fetched last, since some of what
-- an object says changes without a word, such as the name of an account. Two that were fetched at once and say otherwise
-- contradict each other: the first by file and row stays.
with version as (
    select
        o.*,
        f.fetched_at,
        coalesce(o.updated_at, o.happened_at) as version_at,
        md5(to_json(row(
            o.number, o.event, o.state, o.reason, o.label, o.environment, o.happened_at, o.ended_at, o.actor_key,
            o.assignee_key
        ))::varchar) as content
    from temp.github_current as o
    left join temp.github_files as f on o._file = f.file
    where exists (
        select 1
        from temp.github_repeated as r
        where r.repository = o.repository and r.stream = o.stream and r.id = o.id
    )
)

select
    * exclude (fetched_at, version_at, content),
    row_number() over (
        partition by repository, stream, id order by version_at desc, fetched_at desc, _file, _row
    ) as place,
    content <> first_value(content) over (
        partition by repository, stream, id, version_at, fetched_at order by _file, _row
    ) as is_conflict
from version
