select repository, number, hub_id, completed_at
from temp.hub_request_issues
where reason is null
order by repository, number
