-- The groups of an answer of Cost Explorer, in its order: a day's costs of an account and a value of the tag. What isn't
-- one stays in, to be rejected.
with period as (
    select
        period ->> '$.TimePeriod.Start' as start_text,
        period ->> '$.TimePeriod.End' as end_text,
        from_json(period -> '$.Groups', '["json"]') as groups
    from (select unnest(from_json(document -> '$.ResultsByTime', '["json"]')) as period from temp.answer)
),

one as (
    select
        start_text,
        end_text,
        unnest(groups) as cost,
        generate_subscripts(groups, 1) as place_in_day
    from period
),

taken as (
    select
        start_text,
        end_text,
        cost ->> '$.Keys[0]' as account,
        cost ->> '$.Keys[1]' as tag,
        -- Only one metric was asked for.
        try_cast(cost -> '$.Metrics' as map(varchar, json)).map_values()[1] as metric,
        row_number() over (order by start_text, place_in_day) as place
    from one
)

select
    place,
    start_text,
    end_text,
    date_trunc('month', try_cast(start_text as date))::varchar as month_start,
    (date_trunc('month', try_cast(start_text as date)) + interval 1 month)::varchar as month_end,
    account,
    -- The tag's key and its value, which is empty where the costs bear no tag.
    json_object(split_part(tag, '$', 1), substr(tag, instr(tag, '$') + 1)) as tags,
    metric ->> '$.Amount' as amount,
    metric ->> '$.Unit' as unit
from taken
