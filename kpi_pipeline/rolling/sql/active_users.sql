-- Running sums of the flows, per member from temp.restate.from_date on, up to $through.
with member as (
    select r.member_id, greatest(r.from_date, min(f.date)) as start_date, r.from_date
    from temp.restate as r
    inner join facts.flows as f on r.member_id = f.member_id
    group by r.member_id, r.from_date
),

grid as (
    select member_id, unnest(generate_series(start_date, $through::date, interval 1 day))::date as date
    from member
    where start_date <= $through
),

event as (
    select f.member_id, f.date, dau, new, "returning", 0 as lapsed, wau_in as wau_change
    from facts.flows as f inner join member as m on f.member_id = m.member_id and f.date >= m.from_date
    union all
    select f.member_id, f.date + $wau_days, 0, 0, 0, 0, -wau_out
    from facts.flows as f inner join member as m on f.member_id = m.member_id and f.date >= m.from_date - $wau_days
    union all
    select f.member_id, f.date + $mau_days, 0, 0, 0, mau_out, 0
    from facts.flows as f inner join member as m on f.member_id = m.member_id and f.date >= m.from_date - $mau_days
),

daily as (
    select
        g.member_id,
        g.date,
        coalesce(sum(dau), 0)::bigint as dau,
        coalesce(sum(new), 0)::bigint as new,
        coalesce(sum("returning"), 0)::bigint as "returning",
        coalesce(sum(lapsed), 0)::bigint as lapsed,
        coalesce(sum(wau_change), 0)::bigint as wau_change
    from grid as g left join event as e on g.member_id = e.member_id and g.date = e.date
    group by g.member_id, g.date
),

base as (
    select r.member_id, a.wau, a.mau
    from temp.restate as r
    inner join facts.members as m on r.member_id = m.member_id
    inner join facts.active_users as a on a.grain = m.grain and a.member = m.member and a.date = r.from_date - 1
)

select
    d.date,
    m.grain,
    m.member,
    d.dau,
    (coalesce(b.wau, 0) + sum(d.wau_change) over so_far)::bigint as wau,
    (coalesce(b.mau, 0) + sum(d.new + d."returning" - d.lapsed) over so_far)::bigint as mau,
    d.new,
    d."returning",
    d.lapsed
from daily as d
inner join facts.members as m on d.member_id = m.member_id
left join base as b on d.member_id = b.member_id
window so_far as (partition by d.member_id order by d.date)
