-- What became of each line of the files that were just read: `others` are the lines that are neither kept nor rejected.
with read as (
    select unnest($files::varchar[]) as file, unnest($lines::bigint[]) as lines
),

rejected as (
    select file, count(*) as n
    from raw.quarantine
    where source = $source and stage = 'raw' and row is not null
    group by file
)

select $source as source, r.file, r.lines, r.lines - l.rows - coalesce(q.n, 0) as others
from read as r
inner join raw.loads as l on l.source = $source and l.file = r.file
left join rejected as q on q.file = r.file
