-- Combinations that the registry has and facts.cells doesn't.
select
    (select coalesce(max(cell), 0) from facts.cells)
    + row_number() over (order by hub_id, cluster, hub_type, communities) as cell,
    hub_id,
    cluster,
    hub_type,
    communities
from (
    select distinct hub_id, cluster, hub_type, communities from staged.hubs
    where environment = 'production' and kind = 'hub'
    except
    select hub_id, cluster, hub_type, communities from facts.cells
)
