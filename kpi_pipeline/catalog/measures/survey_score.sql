-- Answers to the questions of a kind, by what the questions are about; and, on the day of an invitation, how many were
-- asked and how many of them have answered by $as_of.
with answered as (
    select survey, kind, subject, team, invited_on, invited_community, count(*) as answers
    from facts.survey_answers
    where date <= $as_of and invited_on is not null
    group by all
),

told as (
    select
        date,
        kind,
        subject,
        teams,
        coalesce(person_key::varchar, _file || '/' || _row) as person,
        score,
        score >= scale - 1 as is_best,
        -- Of 10 points: 9 and 10 promote, 0 to 6 detract.
        case when kind = 'recommend' then (score >= 9)::bigint - (score <= 6)::bigint end as promoter,
        null::bigint as invited,
        null::bigint as responded
    from facts.survey_answers
    union all
    select i.date, i.kind, i.subject, i.teams, null, null, null, null, i.invited, coalesce(a.answers, 0)
    from staged.survey_invitations as i
    left join answered as a
        on i.survey = a.survey and i.kind = a.kind and i.date = a.invited_on
        and i.subject is not distinct from a.subject and i.team is not distinct from a.team
        and i.community is not distinct from a.invited_community
)

select
    date,
    list_transform(if($dimension = 'team', teams, [subject]), lambda member: $dimension || '=' || member) as places,
    person,
    null::bigint as people,
    score,
    is_best,
    promoter,
    invited,
    responded
from told
-- Satisfaction without a subject is the communities' with us as a whole: a measure of its own.
where kind = $kind and ($dimension = 'team' or subject is not null)
