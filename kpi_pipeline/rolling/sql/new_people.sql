-- First days in members, from those in cells: taken away where they were, added where they are now.
with first_day as (
    select m.member_id, f.person_key, min(f.before) as before, min(f.after) as after
    from temp.first_days as f
    inner join facts.cell_members as m on f.cell = m.cell
    group by m.member_id, f.person_key
)

select member_id, before as date, -count(*) as new
from first_day where before is distinct from after and before is not null group by member_id, before
union all
select member_id, after as date, count(*) as new
from first_day where before is distinct from after and after is not null group by member_id, after
