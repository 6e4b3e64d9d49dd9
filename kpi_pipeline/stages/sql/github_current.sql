-- What was landed, under the names that repositories have now. Events of an issue come in two streams, and are the same
-- objects in both; comments are counted apart from them, so that one may have the id that an event has.
select
    o.* replace (
        coalesce(n.name, o.repository) as repository,
        case
            when o.stream not in ('events', 'timeline') then o.stream
            when o.event = 'commented' then 'comments'
            else 'events'
        end as stream
    )
from raw.github as o
left join temp.github_renamed as n on o.repository = n.repository
where o.stream <> 'gone'
