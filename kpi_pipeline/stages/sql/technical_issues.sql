-- Technical issues, state by state. Labels are those that an issue bears now: one that is put right counts for the past
-- too. The first rule of kpi.toml that a label matches says what it is, else the first that its repository matches.
with matched as (
    select l.repository, l.number, r.*
    from facts.issue_labels as l
    inner join temp.issue_rules as r on not r.by_repository and lower(l.label) glob r.pattern
    where l.to_at is null
    union all
    select i.repository, i.number, r.*
    from staged.issues as i
    inner join temp.issue_rules as r on r.by_repository and i.repository glob r.pattern
),

mapped as (
    select
        repository,
        number,
        bool_or(dimension = 'technical') as is_technical,
        arg_min(name, (by_repository, place)) filter (where dimension = 'team') as team,
        arg_min(name, (by_repository, place)) filter (where dimension = 'area') as area,
        arg_min(name, (by_repository, place)) filter (where dimension = 'kind') as kind,
        arg_min(name, (by_repository, place)) filter (where dimension = 'priority') as priority
    from matched
    group by repository, number
),

assigned as (
    select
        repository,
        number,
        arg_max(assignee_key, (happened_at, id)) as assignee_key,
        count(distinct assignee_key) as assignees
    from temp.issue_events
    where event = 'assigned' and reason is null and not assignee_is_bot
    group by repository, number
),

spell as (
    select
        repository,
        number,
        case when flow in ('opened', 'reopened') then 'open' else flow end as state,
        happened_at as from_at,
        next_at as to_at,
        coalesce(
            sum(case when flow in ('opened', 'reopened') then epoch(next_at)::bigint - epoch(happened_at)::bigint end)
                over (partition by repository, number order by place rows between unbounded preceding and 1 preceding),
            0
        )::bigint as open_seconds
    from temp.issue_toggles
    -- What was transferred away goes on in its new repository.
    where left_at is null
)

select
    s.repository,
    s.number,
    i.opened_at,
    s.state,
    s.from_at,
    s.to_at,
    s.open_seconds,
    m.team,
    coalesce(t.teams, case when m.team is null then [] else [m.team] end) as teams,
    m.area,
    m.kind,
    m.priority,
    i.opened_at + to_seconds(r.agreed_seconds) as due_at,
    a.assignee_key,
    coalesce(a.assignees, 0) as assignees
from spell as s
inner join staged.issues as i on s.repository = i.repository and s.number = i.number
inner join mapped as m on s.repository = m.repository and s.number = m.number and m.is_technical
left join (
    select distinct name, agreed_seconds from temp.issue_rules where dimension = 'priority'
) as r on m.priority = r.name
left join staged.teams as t on m.team = t.team
left join assigned as a on s.repository = a.repository and s.number = a.number
-- Closed and reopened within a second: a state of no length.
where s.to_at is distinct from s.from_at
order by s.repository, s.number, s.from_at
