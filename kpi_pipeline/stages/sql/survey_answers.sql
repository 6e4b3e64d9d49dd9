-- Answers, each once: of one respondent's answers to one survey for one community on one day, the last one delivered
-- counts. Anonymous answers can't be told apart, so all of them count.
with answer as (
    select
        date,
        lower(survey) as survey,
        nullif(lower(trim(regexp_replace(community, '\s+', ' ', 'g'))), '') as community,
        person_key,
        score,
        list_sort(list_distinct(list_filter(
            list_transform(string_split(coalesce(themes, ''), ';'), lambda tag: lower(trim(tag))),
            lambda tag: tag <> ''
        ))) as themes,
        _file,
        _row
    from raw.surveys
),

ranked as (
    select
        *,
        row_number() over (partition by survey, community, date, person_key order by _file desc, _row desc) as place
    from answer
)

select * exclude (place)
from ranked
where person_key is null or place = 1
order by date, _file, _row
