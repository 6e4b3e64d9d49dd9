-- Every row of raw.projects. Rows that say different things of one project contradict each other; of equal ones the
-- first (copy 1) counts.
with project as (
    select
        lower(trim(regexp_replace(project, '\s+', ' ', 'g'))) as project,
        lower(trim(regexp_replace(team, '\s+', ' ', 'g'))) as team,
        planned_on,
        due_on,
        completed_on,
        cancelled_on,
        people,
        _file,
        _row
    from raw.projects
),

compared as (
    select
        *,
        dense_rank() over (partition by project order by team, planned_on, due_on, completed_on, cancelled_on, people) as version,
        row_number() over (partition by project order by _file, _row) as copy
    from project
)

select
    p.* exclude (version),
    coalesce(t.teams, [p.team]) as teams,
    max(p.version) over (partition by p.project) > 1 as is_contradicted
from compared as p
left join staged.teams as t on p.team = t.team
order by p.project
