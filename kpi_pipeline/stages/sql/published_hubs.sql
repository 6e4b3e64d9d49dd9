select
    hub_id, from_day, to_day, cluster, hub, provider, display_name, domain, environment, kind, hub_type, communities,
    from_day <= $as_of and to_day > $as_of as is_current
from staged.hubs
