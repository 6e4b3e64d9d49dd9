-- Days on which a production hub was in service and the activity of its cluster isn't landed, from the first day that
-- anything of a live source is landed of; with every hub-day of these days beside it, so that shares can be told. What
-- files had delivered of a cluster before its server was asked is there.
with covered as (
    select part, first_day, last_day
    from raw.covered_days
    where source = 'hub_activity'
),

touched as (
    select p.part, least(p.first_day, min(c.first_day)) as first_day
    from raw.parts as p
    left join covered as c on p.part = c.part
    where p.source = 'hub_activity'
    group by p.part, p.first_day
),

day as (
    select unnest(generate_series(
        (select min(first_day) from touched), (select max(date) from facts.active_users), interval 1 day
    ))::date as date
),

delivered as (
    select distinct a.cluster, a.date
    from raw.hub_activity as a
    inner join (
        select split_part(part, '/', 1) as cluster, min(first_day) as first_day
        from touched
        group by all
    ) as t on a.cluster = t.cluster and a.date < t.first_day
)

select
    d.date,
    h.hub_id,
    h.cluster,
    h.hub_type,
    h.communities,
    v.date is null
    and not exists (
        select 1
        from covered as c
        where c.part in (h.cluster, h.hub_id) and d.date between c.first_day and c.last_day
    ) as is_missing
from day as d
inner join staged.hubs as h
    on h.environment = 'production' and h.kind = 'hub' and h.from_day <= d.date and d.date < h.to_day
left join delivered as v on h.cluster = v.cluster and d.date = v.date
