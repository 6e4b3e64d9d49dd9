-- Samples of buckets, with what is wrong with the histogram that they are part of. A bound of null is +Inf.
with bucket as (
    select
        *,
        max(value) over (
            partition by labels, sampled_at order by le nulls last rows between unbounded preceding and 1 preceding
        ) as smaller
    from temp.api_samples
    where series = $duration_buckets
),

judged as (
    select
        *,
        bool_or(le is null) over histogram as has_infinity,
        -- Prometheus adds floats: what is less than a millionth of a call too small is rounding.
        bool_or(coalesce(value < smaller - 0.000001, false)) over histogram as decreases
    from bucket
    window histogram as (partition by labels, sampled_at)
)

select
    * exclude (smaller, has_infinity, decreases),
    case
        when not has_infinity then 'no_infinite_bucket'
        when decreases then 'buckets_decrease'
    end as reason
from judged
