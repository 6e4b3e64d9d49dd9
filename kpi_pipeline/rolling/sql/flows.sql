-- Who comes and who leaves, by member and day, from temp.seen: one row per member, person and day.
-- first_date: the first day ever, where earlier days are not in temp.seen.
with gap as (
    select
        member_id,
        date,
        coalesce(
            date_diff('day', lag(date) over person, date),
            case when first_date < date then $mau_days end
        ) as before,
        date_diff('day', date, lead(date) over person) as after
    from temp.seen
    window person as (partition by member_id, person_key order by date)
)

select
    member_id,
    date,
    count(*) as dau,
    count(*) filter (where before is null) as new,
    count(*) filter (where before >= $mau_days) as "returning",
    count(*) filter (where before is null or before >= $wau_days) as wau_in,
    count(*) filter (where after is null or after >= $wau_days) as wau_out,
    count(*) filter (where after is null or after >= $mau_days) as mau_out
from gap
group by member_id, date
