-- Active users of the members and days of temp.restate, which lie between $first and $last: running sums of what comes
-- and goes, from the day on which a member begins. The first day begins with the numbers of the day before. `begun` is
-- above 0 on days on which there is something to begin with: those numbers, or people.
with flow as (
    select f.*
    from facts.flows as f
    semi join temp.restate as r on f.member_id = r.member_id
    where f.date between $first::date - $mau_days and $last::date
),

event as (
    select
        member_id, date, dau, new, "returning", 0 as lapsed, wau_in as wau, new + "returning" as mau, dau > 0 as begun
    from flow
    union all
    select member_id, date + $wau_days, 0, 0, 0, 0, -wau_out, 0, false from flow
    union all
    select member_id, date + $mau_days, 0, 0, 0, mau_out, 0, -mau_out, false from flow
    union all
    select r.member_id, r.from_date, 0, 0, 0, 0, a.wau, a.mau, true
    from temp.restate as r
    inner join facts.members as m on r.member_id = m.member_id
    inner join facts.active_users as a on a.grain = m.grain and a.member = m.member and a.date = r.from_date - 1
    where a.date between $first::date - 1 and $last::date
),

daily as (
    select
        d.member_id,
        d.date,
        coalesce(sum(dau), 0)::bigint as dau,
        coalesce(sum(new), 0)::bigint as new,
        coalesce(sum("returning"), 0)::bigint as "returning",
        coalesce(sum(lapsed), 0)::bigint as lapsed,
        coalesce(sum(wau), 0)::bigint as wau_change,
        coalesce(sum(mau), 0)::bigint as mau_change,
        count(*) filter (where begun) as begun
    from (
        select member_id, unnest(generate_series(from_date, least(to_date, $last::date), interval 1 day))::date as date
        from temp.restate
    ) as d
    left join event as e on d.member_id = e.member_id and d.date = e.date
    group by d.member_id, d.date
)

select
    d.date,
    m.grain,
    m.member,
    d.dau,
    sum(d.wau_change) over so_far::bigint as wau,
    sum(d.mau_change) over so_far::bigint as mau,
    d.new,
    d."returning",
    d.lapsed
from daily as d
inner join facts.members as m on d.member_id = m.member_id
window so_far as (partition by d.member_id order by d.date)
qualify sum(d.begun) over so_far > 0
order by d.date, m.grain, m.member
