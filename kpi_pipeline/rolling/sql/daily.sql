-- What comes and goes on each day of each member, for the members and days of temp.restate, which lie between $first
-- and $last. The first day begins with the numbers of the day before.
with base as (
    select r.member_id, r.from_date, a.wau, a.mau
    from temp.restate as r
    inner join facts.members as m on r.member_id = m.member_id
    inner join facts.active_users as a on a.grain = m.grain and a.member = m.member and a.date = r.from_date - 1
    where a.date between $first::date - 1 and $last::date
),

-- A member that wasn't there the day before begins with the first day on which anybody was.
member as (
    select
        r.member_id,
        case when b.member_id is null then greatest(r.from_date, min(f.date)) else r.from_date end as from_date,
        r.to_date
    from temp.restate as r
    left join base as b on r.member_id = b.member_id
    left join facts.flows as f on r.member_id = f.member_id and f.date between r.from_date and r.to_date
        and f.date between $first::date and $last::date
    group by r.member_id, b.member_id, r.from_date, r.to_date
    having b.member_id is not null or min(f.date) is not null
),

flow as (
    select f.*
    from facts.flows as f
    semi join temp.restate as r on f.member_id = r.member_id
    where f.date between $first::date - $mau_days and $last::date
),

event as (
    select member_id, date, dau, new, "returning", 0 as lapsed, wau_in as wau, new + "returning" as mau from flow
    union all
    select member_id, date + $wau_days, 0, 0, 0, 0, -wau_out, 0 from flow
    union all
    select member_id, date + $mau_days, 0, 0, 0, mau_out, 0, -mau_out from flow
    union all
    select member_id, from_date, 0, 0, 0, 0, wau, mau from base
)

select
    d.member_id,
    d.date,
    coalesce(sum(dau), 0)::bigint as dau,
    coalesce(sum(new), 0)::bigint as new,
    coalesce(sum("returning"), 0)::bigint as "returning",
    coalesce(sum(lapsed), 0)::bigint as lapsed,
    coalesce(sum(wau), 0)::bigint as wau_change,
    coalesce(sum(mau), 0)::bigint as mau_change
from (
    select member_id, unnest(generate_series(from_date, to_date, interval 1 day))::date as date from member
) as d
left join event as e on d.member_id = e.member_id and d.date = e.date
group by d.member_id, d.date
