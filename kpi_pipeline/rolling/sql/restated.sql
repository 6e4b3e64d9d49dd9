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

-- A change reaches back less than a month from $first, the first changed day: members with people in the month before
-- that can't begin on another day.
maybe_moved as (
    select member_id from span
    anti join (
        select member_id from facts.flows
        where date between $first::date - 2 * $mau_days and $first::date - $mau_days
    ) using (member_id)
),

-- A day on which all are new in the difference wasn't there, and one that is in it alone is no longer there. The earlier
-- of the two first days is a change itself; all days up to the later one differ.
start as (
    select
        member_id,
        min(f.date) as now,
        min(date) filter (where d.dau is distinct from f.dau) as before
    from (from facts.flows semi join maybe_moved using (member_id)) as f
    full join (from temp.difference semi join maybe_moved using (member_id)) as d using (member_id, date)
    group by member_id
)

select
    member_id,
    from_date,
    case
        when s.now is not distinct from s.before then to_date
        when s.now is null or s.before is null then date '9999-12-31'
        else greatest(to_date, s.now, s.before)
    end as to_date
from span
left join start as s using (member_id)
