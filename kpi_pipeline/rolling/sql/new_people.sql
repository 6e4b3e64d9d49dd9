-- First days in members, from those in cells (temp.first_days): taken away where they were, added where they are now.
select member_id, date, new
from (
    select member_id, unnest([before, after]) as date, unnest([-1, 1]) as new
    from (
        select m.member_id, f.person_key, min(f.before) as before, min(f.after) as after
        from temp.first_days as f
        inner join facts.cell_members as m on f.cell = m.cell
        group by m.member_id, f.person_key
    )
    where before is distinct from after
)
where date is not null
