-- Days with activity on which what the registry says of a hub differs between staged.hubs and temp.new_hubs.
with old_only as (
    select hub_id, from_day, to_day, environment, kind, hub_type, communities from staged.hubs
    except
    select hub_id, from_day, to_day, environment, kind, hub_type, communities from temp.new_hubs
),

new_only as (
    select hub_id, from_day, to_day, environment, kind, hub_type, communities from temp.new_hubs
    except
    select hub_id, from_day, to_day, environment, kind, hub_type, communities from staged.hubs
),

day as (select distinct date from raw.hub_activity),

old_days as (
    select d.date, h.hub_id, h.environment, h.kind, h.hub_type, h.communities
    from old_only as h inner join day as d on d.date >= h.from_day and d.date < h.to_day
),

new_days as (
    select d.date, h.hub_id, h.environment, h.kind, h.hub_type, h.communities
    from new_only as h inner join day as d on d.date >= h.from_day and d.date < h.to_day
)

select date from (select * from old_days except select * from new_days)
union
select date from (select * from new_days except select * from old_days)
