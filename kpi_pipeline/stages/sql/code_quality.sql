-- Assessments by day and team. Of what one tool said of a unit on a day the last counts; a unit meets the standard if
-- every tool that assessed it that day says so.
with verdict as (
    select
        date,
        lower(trim(regexp_replace(team, '\s+', ' ', 'g'))) as team,
        tool,
        unit,
        lines,
        coalesce(
            meets = 'yes',
            (case when list_contains($counted, 'errors') then coalesce(errors, 0) else 0 end)
            + (case when list_contains($counted, 'warnings') then coalesce(warnings, 0) else 0 end)
            + (case when list_contains($counted, 'notes') then coalesce(notes, 0) else 0 end) = 0
        ) as meets,
        _file,
        _row
    from raw.code_quality
),

last_word as (
    from verdict
    qualify row_number() over (partition by date, team, tool, unit order by _file desc, _row desc) = 1
),

unit as (
    select date, team, unit, max(lines) as lines, bool_and(meets) as meets
    from last_word
    group by date, team, unit
)

select
    u.date,
    u.team,
    any_value(coalesce(t.teams, [u.team])) as teams,
    count(*) as units,
    count(*) filter (where u.meets) as units_that_meet,
    sum(u.lines)::bigint as lines,
    coalesce(sum(u.lines) filter (where u.meets), 0)::bigint as lines_that_meet
from unit as u
left join staged.teams as t on u.team = t.team
group by u.date, u.team
order by u.date, u.team
