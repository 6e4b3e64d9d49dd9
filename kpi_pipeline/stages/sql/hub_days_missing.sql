-- Days on which a production hub was in service and the activity of its cluster isn't landed, from the first day that
-- a live source says anything of; with every hub-day of these days beside it, so that shares can be told.
with covered as (
    select part, first_day, last_day
    from raw.covered_days
    where source = 'hub_activity'
),

day as (
    select unnest(generate_series(
        (select min(first_day) from (select first_day from covered union all select first_day from temp.told_days)),
        (select max(date) from facts.active_users),
        interval 1 day
    ))::date as date
)

select
    d.date,
    h.hub_id,
    h.cluster,
    h.hub_type,
    h.communities,
    not exists (
        select 1
        from covered as c
        where c.part in (h.cluster, h.hub_id) and d.date between c.first_day and c.last_day
    ) as is_missing
from day as d
inner join staged.hubs as h
    on h.environment = 'production' and h.kind = 'hub' and h.from_day <= d.date and d.date < h.to_day
