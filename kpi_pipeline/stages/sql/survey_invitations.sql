select
    date,
    lower(survey) as survey,
    nullif(lower(trim(regexp_replace(community, '\s+', ' ', 'g'))), '') as community,
    sum(invited)::bigint as invited
from raw.survey_invitations
group by all
order by all
