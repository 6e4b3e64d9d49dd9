-- The invitation that an answer goes back to: the last one sent for its question of its survey by then, to its community
-- if there is one, else to everybody. So an answer counts for one invitation only.
with candidate as (
    select
        a._file,
        a._row,
        i.date as invited_on,
        i.community as invited_community,
        row_number() over (
            partition by a._file, a._row order by (i.community is not null) desc, i.date desc
        ) as place
    from staged.survey_answers as a
    inner join staged.survey_invitations as i
        on a.survey = i.survey and a.kind = i.kind
        and a.subject is not distinct from i.subject and a.team is not distinct from i.team
        and i.date <= a.date and (i.community = a.community or i.community is null)
)

select a.*, c.invited_on, c.invited_community
from staged.survey_answers as a
left join candidate as c on a._file = c._file and a._row = c._row and c.place = 1
order by a.date, a._file, a._row
