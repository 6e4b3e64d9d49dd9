with ceremony as (
    select date, lower(trim(regexp_replace(team, '\s+', ' ', 'g'))) as team, kind, expected, attended, _file, _row
    from raw.ceremonies
)

select c.date, c.team, coalesce(t.teams, [c.team]) as teams, c.kind, c.expected, c.attended
from ceremony as c
left join staged.teams as t on c.team = t.team
qualify row_number() over (partition by c.date, c.team, c.kind order by c._file desc, c._row desc) = 1
order by c.date, c.team, c.kind
