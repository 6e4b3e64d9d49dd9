-- Every day of a system from its first sample on: a step without a sample is unobserved, never up or down.
with sample as (
    select s.date, s.system, s.sampled_at, s.value
    from raw.uptime as s
    inner join temp.metric_files as f on s._file = f.file
    qualify row_number() over (
        partition by s.labels, s.sampled_at order by f.landed_at desc, s._file desc, s._row desc
    ) = 1
),

-- A system with several probes is up as far as all of them say so.
step as (
    select date, system, sampled_at, min(value)::decimal(10, 9) as up
    from sample
    group by date, system, sampled_at
),

retired as (
    select unnest($retired_systems::varchar[]) as system, unnest($last_days::date[]) as last_day
),

day as (
    select
        f.system,
        unnest(generate_series(f.first_date, least($as_of::date, coalesce(r.last_day, $as_of::date)), interval 1 day))::date
            as date
    from (select system, min(date) as first_date from step group by system) as f
    left join retired as r on f.system = r.system
)

select
    d.date,
    d.system,
    coalesce(sum(s.up * $step_seconds::decimal(5, 0)), 0)::decimal(38, 9) as up_seconds,
    count(s.up) * $step_seconds as observed_seconds,
    86400 - count(s.up) * $step_seconds as unobserved_seconds,
    count(s.up) as samples
from day as d
left join step as s on d.system = s.system and d.date = s.date
group by d.date, d.system
order by d.date, d.system
