with period as (
    -- A month and a quarter to date can be the same days: one row.
    select '' as span, period_start, period_end, bool_or(is_closed) as is_closed
    from facts.periods
    where kind in ('month', 'quarter')
    group by period_start, period_end
    union all
    select kind, period_start, period_end, is_closed
    from facts.periods
    where kind = 'rolling_30_days'
),

period_day as (
    -- By day, so that what was measured finds its periods by equality: by a range, it is compared with every period.
    select *, unnest(generate_series(period_start, period_end, interval 1 day))::date as date
    from period
),

timed as (
    select
        date, unnest(['organisation=organisation', 'service=' || service, 'audience=' || audience]) as place, calls, seconds
    from facts.api_times
    where date <= $as_of
),

timed_period as (
    select t.place, p.span, p.period_start, p.period_end, sum(t.calls) as calls, sum(t.seconds) as seconds
    from timed as t
    inner join period_day as p on t.date = p.date
    group by t.place, p.span, p.period_start, p.period_end
),

total as (
    select m.place, p.*, t.calls::decimal(38, 9) as calls, t.seconds::decimal(38, 9) as seconds
    from (select place, min(date) as first_date from timed where place is not null group by place) as m
    inner join period as p on m.first_date <= p.period_end
    left join timed_period as t
        on m.place = t.place and p.span = t.span and p.period_start = t.period_start and p.period_end = t.period_end
),

bucket_place as (
    select
        date,
        unnest(['organisation=organisation', 'service=' || service, 'audience=' || audience]) as place,
        le,
        histograms,
        calls
    from facts.api_buckets
    where date <= $as_of
),

bucket_day as (
    select date, place, le, sum(histograms) as histograms, sum(calls) as calls
    from bucket_place
    where place is not null
    group by date, place, le
),

bucket as (
    select
        b.place,
        p.* exclude (date),
        b.le,
        sum(b.histograms) as histograms,
        sum(b.calls) as calls
    from bucket_day as b
    inner join period_day as p on b.date = p.date
    group by b.place, p.span, p.period_start, p.period_end, p.is_closed, b.le
),

-- Histograms may differ in their bounds. Every one has +Inf (le is null); of the others, those that all have can be added.
common as (
    select *
    from bucket
    qualify histograms = max(histograms) over (partition by place, span, period_start, period_end)
),

-- In billionths of a call and of a second. What rounding has made smaller than the bucket before is as large as it.
cumulative as (
    select
        place,
        span,
        period_start,
        period_end,
        is_closed,
        (le * 1000000000)::hugeint as le,
        (max(calls) over (
            partition by place, span, period_start, period_end
            order by le nulls last rows between unbounded preceding and current row
        ) * 1000000000)::hugeint as calls
    from common
),

stepped as (
    select
        *,
        max(calls) over (partition by place, span, period_start, period_end) as all_calls,
        lag(le) over histogram as previous_le,
        lag(calls, 1, 0::hugeint) over histogram as previous_calls
    from cumulative
    window histogram as (partition by place, span, period_start, period_end order by le nulls last)
),

-- As histogram_quantile does: the first bucket that holds 95 of 100 calls, and within it a straight line from its lower
-- bound, 0 for the first, to its upper one. Beyond the last finite bound nothing is known: then it is that bound.
quantile as (
    select
        *,
        case
            when le is null then previous_le
            else
                coalesce(previous_le, least(0, le))
                + (2 * (le - coalesce(previous_le, least(0, le))) * (95 * all_calls - 100 * previous_calls)
                    + 100 * (calls - previous_calls))
                // (200 * (calls - previous_calls))
        end as billionths
    from stepped
    where all_calls > 0 and 100 * calls >= 95 * all_calls and (le is not null or previous_le is not null)
    qualify row_number() over (partition by place, span, period_start, period_end order by le nulls last) = 1
)

-- Rounded half up at the ninth decimal, in integers: a float would be off.
select
    concat_ws(':', split_part(place, '=', 1), nullif(span, '')) as grain,
    substr(place, strpos(place, '=') + 1) as member,
    period_start,
    period_end,
    case
        when calls > 0
            then ((2 * (seconds * 1000000000)::hugeint * 1000000000 + (calls * 1000000000)::hugeint)
                // (2 * (calls * 1000000000)::hugeint))::decimal(28, 0) * 0.000000001::decimal(10, 9)
    end as value,
    seconds as numerator,
    calls as denominator,
    coalesce(calls, 0)::bigint as n,
    case when coalesce(calls, 0) = 0 then 'no data' when is_closed then 'ok' else 'to date' end as status
from total
union all
select
    split_part(place, '=', 1) || ':' || concat_ws('_', nullif(span, ''), 'p95'),
    substr(place, strpos(place, '=') + 1),
    period_start,
    period_end,
    billionths::decimal(28, 0) * 0.000000001::decimal(10, 9),
    null,
    null,
    -- Calls, to the nearest whole one.
    ((all_calls * 2 + 1000000000) // 2000000000)::bigint,
    case when is_closed then 'ok' else 'to date' end
from quantile
