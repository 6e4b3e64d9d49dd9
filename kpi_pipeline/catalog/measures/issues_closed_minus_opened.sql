-- Flows of issues per period at every grain; months are the KPI, quarters, weeks and the parts stand beside it.
with daily as (
    select date, repository, team, flow, is_by_bot, count(*) as n
    from facts.issue_flows
    where date <= $as_of
    group by all
),

flow as (
    select
        f.date,
        f.flow,
        f.is_by_bot,
        f.n,
        unnest([
            {'grain': 'organisation', 'member': 'organisation'},
            {'grain': 'repository', 'member': f.repository},
            {'grain': 'team', 'member': f.team}
        ], recursive := true)
    from daily as f
),

stock as (
    select
        grain,
        member,
        date,
        sum(sum(case when flow in ('opened', 'reopened', 'transferred_in') then n else -n end)) over (
            partition by grain, member order by date
        ) as open_issues
    from flow
    where member is not null
    group by grain, member, date
),

frame as (
    select m.grain, m.member, p.kind, p.period_start, p.period_end, p.is_closed
    from (select grain, member, min(date) as first_date from stock group by grain, member) as m
    inner join facts.periods as p on p.period_end >= m.first_date and p.period_start <= $as_of
    where p.kind in ('month', 'quarter', 'week')
),

period_day as (
    -- By day, so that flows find their periods by equality: by a range, each is compared with every period.
    select kind, period_start, unnest(generate_series(period_start, period_end, interval 1 day))::date as date
    from facts.periods
    where kind in ('month', 'quarter', 'week')
),

counted as (
    select
        f.grain,
        f.member,
        p.kind,
        p.period_start,
        coalesce(sum(f.n) filter (where f.flow = 'opened'), 0) as opened,
        coalesce(sum(f.n) filter (where f.flow = 'opened' and f.is_by_bot), 0) as opened_by_bots,
        coalesce(sum(f.n) filter (where f.flow = 'reopened'), 0) as reopened,
        coalesce(sum(f.n) filter (where f.flow = 'completed'), 0) as completed,
        coalesce(sum(f.n) filter (where f.flow = 'not_planned'), 0) as not_planned,
        coalesce(sum(f.n) filter (where f.flow = 'duplicate'), 0) as duplicate,
        coalesce(sum(f.n) filter (where f.flow = 'transferred_in'), 0) as transferred_in,
        coalesce(sum(f.n) filter (where f.flow = 'transferred_out'), 0) as transferred_out,
        coalesce(sum(f.n) filter (where f.flow = 'deleted'), 0) as deleted
    from flow as f
    inner join period_day as p on f.date = p.date
    where f.member is not null
    group by f.grain, f.member, p.kind, p.period_start
),

figure as (
    select
        f.*,
        coalesce(c.opened, 0) as opened,
        coalesce(c.opened_by_bots, 0) as opened_by_bots,
        coalesce(c.reopened, 0) as reopened,
        coalesce(c.completed, 0) as completed,
        coalesce(c.not_planned, 0) as not_planned,
        coalesce(c.duplicate, 0) as duplicate,
        coalesce(c.completed + c.not_planned + c.duplicate, 0) as closed,
        coalesce(c.transferred_in, 0) as transferred_in,
        coalesce(c.transferred_out, 0) as transferred_out,
        coalesce(c.deleted, 0) as deleted,
        coalesce(s.open_issues, 0) as open_at_end
    from frame as f
    left join counted as c
        on f.grain = c.grain and f.member = c.member and f.kind = c.kind and f.period_start = c.period_start
    asof left join stock as s on f.grain = s.grain and f.member = s.member and f.period_end >= s.date
)

select
    f.grain || case
        when s.statistic <> 'value' then ':' || s.statistic
        when f.kind <> 'month' then ':' || f.kind
        else ''
    end as grain,
    f.member,
    f.period_start,
    f.period_end,
    case s.statistic
        when 'value' then f.closed - (f.opened + f.reopened)
        when 'opened' then f.opened
        when 'opened_by_bots' then f.opened_by_bots
        when 'reopened' then f.reopened
        when 'closed' then f.closed
        when 'completed' then f.completed
        when 'not_planned' then f.not_planned
        when 'duplicate' then f.duplicate
        when 'transferred_in' then f.transferred_in
        when 'transferred_out' then f.transferred_out
        when 'deleted' then f.deleted
        when 'open_at_end' then f.open_at_end
    end as value,
    null as numerator,
    null as denominator,
    f.closed + f.opened + f.reopened as n,
    case when f.is_closed then 'ok' else 'to date' end as status
from figure as f
cross join (
    values
    ('value'), ('opened'), ('opened_by_bots'), ('reopened'), ('closed'), ('completed'), ('not_planned'), ('duplicate'),
    ('transferred_in'), ('transferred_out'), ('deleted'), ('open_at_end')
) as s (statistic)
where f.kind = 'month' or s.statistic = 'value'
