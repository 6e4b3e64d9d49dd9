-- Registered and active users by day, without looking at any window: who comes and who goes, summed up day by day.
-- An active day opens 30 days of being active; days of a person that come before these are over prolong them.
with calendar as (
    select period_start, period_end
    from facts.periods
    where kind = 'rolling_30_days'
),

delivered as (
    select min(date) as first_day, max(date) as last_day
    from raw.product_activity
    where date between (select min(period_end) from calendar) and (select max(period_end) from calendar)
),

-- Only days whose 30 days have been delivered: before and after, the active ones aren't known.
day as (
    select c.period_end as date
    from calendar as c
    inner join delivered as d on c.period_start >= d.first_day and c.period_end <= d.last_day
),

active_day as (
    select distinct a.person_key, a.date
    from raw.product_activity as a
    inner join staged.registration_spells as s
        on a.person_key = s.person_key and a.date >= s.from_day and a.date < s.to_day
),

numbered as (
    select person_key, date, sum(begins) over (partition by person_key order by date) as spell
    from (
        select
            person_key,
            date,
            case when date - lag(date) over (partition by person_key order by date) <= 30 then 0 else 1 end as begins
        from active_day
    )
),

active_spell as (
    select person_key, min(date) as from_day, max(date) + 30 as to_day
    from numbered
    group by person_key, spell
),

-- Being active counts only while registered, and for the audiences of that time.
active_part as (
    select s.audiences, greatest(s.from_day, a.from_day) as from_day, least(s.to_day, a.to_day) as to_day
    from active_spell as a
    inner join staged.registration_spells as s
        on a.person_key = s.person_key and a.from_day < s.to_day and s.from_day < a.to_day
),

flow as (
    select audiences, from_day as date, 1 as registered, 0 as active from staged.registration_spells
    union all
    select audiences, to_day, -1, 0 from staged.registration_spells
    union all
    select audiences, from_day, 0, 1 from active_part
    union all
    select audiences, to_day, 0, -1 from active_part
),

stock as (
    select
        audiences,
        date,
        sum(sum(registered)) over (partition by audiences order by date) as registered,
        sum(sum(active)) over (partition by audiences order by date) as active
    from flow
    group by audiences, date
)

select d.date, m.audiences, s.registered::bigint as registered, s.active::bigint as active
from day as d
cross join (select distinct audiences from stock) as m
asof inner join stock as s on m.audiences = s.audiences and d.date >= s.date
order by d.date, m.audiences
