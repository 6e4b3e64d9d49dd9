-- Objects that were delivered more than once; most weren't, and need no comparison.
select repository, case stream when 'timeline' then 'events' else stream end as stream, id
from raw.github
group by all
having count(*) > 1
