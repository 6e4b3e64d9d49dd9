-- The samples of an answer, in its order. What should be a series and isn't has one row, without a sample.
with series as (
    select unnest(from_json(document -> '$.data.result', '["json"]')) as series
    from temp.answer
),

labelled as (
    select
        try_cast(series -> '$.metric' as map(varchar, varchar)) as labels,
        from_json(series -> '$.values', '[["varchar"]]') as samples
    from series
),

sample as (
    select
        labels,
        labels is not null and samples is not null as is_series,
        md5(list_sort(list_filter(map_entries(labels), lambda label: label.key <> 'le'))::varchar || $server) as series_id,
        unnest(case when labels is null or samples is null then [null] else samples end) as sample
    from labelled
)

select
    labels,
    series_id,
    is_series,
    sample,
    row_number() over () as place,
    -- In milliseconds, as Prometheus keeps time: exact as a double, too.
    case
        when regexp_full_match(sample[1], '[0-9]{1,11}([.][0-9]+)?')
            then make_timestamp_ms(round(sample[1]::double * 1000)::bigint)
    end as sampled_at,
    sample[2] as value_text,
    case
        when regexp_full_match(sample[2], '[+-]?[0-9]+([.][0-9]+)?([eE][+-]?[0-9]+)?')
            then try_cast(sample[2] as decimal(38, 9))
    end as value
from sample
