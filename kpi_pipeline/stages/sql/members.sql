-- Members that facts.members doesn't have yet.
select
    (select coalesce(max(member_id), 0) from facts.members) + row_number() over (order by grain, member) as member_id,
    grain,
    member
from (
    select grain, member from temp.cell_grains
    except
    select grain, member from facts.members
)
