with invitation as (
    select
        date,
        lower(survey) as survey,
        coalesce(kind, 'satisfaction') as kind,
        nullif(lower(trim(regexp_replace(subject, '\s+', ' ', 'g'))), '') as subject,
        nullif(lower(trim(regexp_replace(team, '\s+', ' ', 'g'))), '') as team,
        nullif(lower(trim(regexp_replace(community, '\s+', ' ', 'g'))), '') as community,
        sum(invited)::bigint as invited
    from raw.survey_invitations
    group by all
)

select i.*, case when i.team is not null then coalesce(t.teams, [i.team]) end as teams
from invitation as i
left join staged.teams as t on i.team = t.team
order by i.date, i.survey, i.kind, i.subject, i.team, i.community
