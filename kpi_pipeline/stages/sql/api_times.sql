-- A mean needs both of a step: calls without durations would make it too small, and the other way round.
with step as (
    select
        date,
        service,
        audience,
        sampled_at,
        sum(value) filter (where series = $requests) as calls,
        sum(value) filter (where series = $duration_sum) as seconds
    from temp.api_samples
    where series in ($requests, $duration_sum)
    group by date, service, audience, sampled_at
)

select
    date,
    service,
    audience,
    coalesce(sum(calls) filter (where seconds is not null), 0)::decimal(38, 9) as calls,
    coalesce(sum(seconds) filter (where calls is not null), 0)::decimal(38, 9) as seconds,
    coalesce(sum(calls) filter (where seconds is null), 0)::decimal(38, 9) as untimed_calls,
    coalesce(sum(seconds) filter (where calls is null), 0)::decimal(38, 9) as uncounted_seconds
from step
where $duration_sum is not null
group by date, service, audience
order by date, service, audience
