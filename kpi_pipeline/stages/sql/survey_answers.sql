-- Answers, each once: of one respondent's answers to one question of one survey for one community on one day, the last
-- one delivered counts. Anonymous answers can't be told apart, and a team lead rates several internships: all count.
with answer as (
    select
        date,
        lower(survey) as survey,
        kind,
        nullif(lower(trim(regexp_replace(subject, '\s+', ' ', 'g'))), '') as subject,
        nullif(lower(trim(regexp_replace(team, '\s+', ' ', 'g'))), '') as team,
        nullif(lower(trim(regexp_replace(community, '\s+', ' ', 'g'))), '') as community,
        person_key,
        score,
        scale,
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
        row_number() over (
            partition by survey, kind, subject, team, community, date, person_key order by _file desc, _row desc
        ) as place
    from answer
)

select r.* exclude (place), case when r.team is not null then coalesce(t.teams, [r.team]) end as teams
from ranked as r
left join staged.teams as t on r.team = t.team
where r.person_key is null or r.kind = 'progress' or r.place = 1
order by r.date, r._file, r._row
