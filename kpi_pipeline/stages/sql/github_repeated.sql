-- Objects that were delivered more than once; most weren't, and need no comparison.
select repository, stream, id
from temp.github_current
group by all
having count(*) > 1
