-- Distinct people of each month up to $as_of, counted anew at each grain.
with person as (
    select date_trunc('month', date)::date as month, hub_id, person_key, count(*) as days
    from staged.user_days
    where date <= $as_of
    group by all
),

placed as (
    select p.*, h.hub_type
    from person as p
    inner join facts.hub_months as h on p.month = h.month and p.hub_id = h.hub_id
)

select month, 'hub' as grain, hub_id as member, count(distinct person_key) as users, sum(days)::bigint as user_days
from placed
group by month, hub_id
union all
select month, 'hub_type', hub_type, count(distinct person_key), sum(days)::bigint
from placed
group by month, hub_type
union all
select month, 'organisation', 'organisation', count(distinct person_key), sum(days)::bigint
from placed
group by month
order by month, grain, member
