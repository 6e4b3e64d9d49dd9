-- Of which windows of 30 days something is missing, at each grain: clusters in the window, and those without a gap.
with placed as (
    select date, cluster, is_missing, 'organisation' as grain, 'organisation' as member from temp.hub_days
    union all
    select date, cluster, is_missing, 'cluster', cluster from temp.hub_days
    union all
    select date, cluster, is_missing, 'hub_type', hub_type from temp.hub_days
    union all
    select date, cluster, is_missing, 'hub', hub_id from temp.hub_days
    union all
    select date, cluster, is_missing, 'community', unnest(communities) from temp.hub_days
),

cluster_day as (
    select grain, member, cluster, date, bool_or(is_missing) as is_missing
    from placed
    where (grain, member) in (select (grain, member) from placed where is_missing)
    group by all
),

-- The windows that a day lies in end on it and on the 29 days after it.
cluster_window as (
    select grain, member, cluster, (date + n::integer) as date, bool_or(is_missing) as is_missing
    from cluster_day
    cross join range(30) as r (n)
    group by all
)

select
    date,
    grain,
    member,
    count(*) as clusters,
    count(*) filter (where not is_missing) as clusters_covered
from cluster_window
where date <= (select max(date) from facts.active_users)
group by date, grain, member
having bool_or(is_missing)
order by grain, member, date
