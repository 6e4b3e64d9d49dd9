-- Versions of every repeated object: place 1 was updated last. Two that say otherwise at the same moment contradict each other: the
-- first by file and row stays. Events of an issue come in two streams, and are the same objects in both.
with version as (
    select
        * replace (case stream when 'timeline' then 'events' else stream end as stream),
        coalesce(updated_at, happened_at) as version_at,
        md5(to_json(row(
            number, event, state, reason, label, environment, happened_at, ended_at, actor_key, assignee_key
        ))::varchar) as content
    from raw.github as o
    where exists (
        select 1
        from temp.github_repeated as r
        where
            r.repository = o.repository
            and r.stream = case o.stream when 'timeline' then 'events' else o.stream end
            and r.id = o.id
    )
)

select
    * exclude (version_at, content),
    row_number() over (partition by repository, stream, id order by version_at desc, _file, _row) as place,
    content <> first_value(content) over (
        partition by repository, stream, id, version_at order by _file, _row
    ) as is_conflict
from version
