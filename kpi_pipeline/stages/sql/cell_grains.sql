-- Every member of every grain that a cell belongs to.
select cell, 'organisation' as grain, 'organisation' as member from facts.cells
union all
select cell, 'hub' as grain, hub_id as member from facts.cells
union all
select cell, 'hub_type' as grain, hub_type as member from facts.cells
union all
select cell, 'cluster' as grain, cluster as member from facts.cells
union all
select cell, 'community' as grain, unnest(communities) as member from facts.cells
