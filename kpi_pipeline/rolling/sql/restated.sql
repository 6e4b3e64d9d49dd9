-- Which days of active_users the difference of flows changes: those who leave are missed 7 or 30 days later.
-- Outside of these days the changes cancel out, unless a member begins on another day than before.
with change as (
    select
        member_id,
        case when "dau" <> 0 or new <> 0 or "returning" <> 0 or wau_in <> 0 then date end as at_once,
        case when wau_out <> 0 then date + $wau_days end as after_wau,
        case when mau_out <> 0 then date + $mau_days end as after_mau
    from temp.difference
),

span as (
    select
        member_id,
        min(least(at_once, after_wau, after_mau)) as from_date,
        max(greatest(at_once, after_wau, after_mau)) as to_date
    from change
    group by member_id
),

start as (
    select member_id, min(date) as start_date from facts.flows group by member_id
)

select
    s.member_id,
    o.start_date is distinct from n.start_date as has_moved,
    case when has_moved then least(s.from_date, o.start_date, n.start_date) else s.from_date end as from_date,
    case
        when has_moved and (o.start_date is null or n.start_date is null) then date '9999-12-31'
        when has_moved then greatest(s.to_date, o.start_date, n.start_date)
        else s.to_date
    end as to_date
from span as s
left join temp.starts as o on s.member_id = o.member_id
left join start as n on s.member_id = n.member_id
