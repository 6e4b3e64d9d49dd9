select _file, _row, 'closed_before_opened' as reason, happened_at
from staged.github_objects
where stream = 'issues' and ended_at < happened_at
