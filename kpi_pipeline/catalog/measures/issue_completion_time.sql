-- Hours that an issue was open and assigned to a human, from its first assignment to its final completed close; by the period
-- of that close: months are the KPI, quarters and rolling windows stand beside it. Whole seconds, divided in integers: 1.5 hours are 1.500000000.
with spell as (
    select
        repository,
        number,
        team,
        from_at,
        case when to_at::date <= $as_of then to_at end as to_at,
        case when to_at::date <= $as_of then ended_by end as ended_by
    from facts.issue_open
    where from_at::date <= $as_of
),

final as (
    select *
    from spell
    qualify row_number() over (partition by repository, number order by from_at desc) = 1
),

assigned as (
    select repository, number, from_at, case when to_at::date <= $as_of then to_at end as to_at
    from facts.issue_assigned
    where from_at::date <= $as_of
),

assignment as (
    select repository, number, min(from_at) as first_at, bool_or(to_at is null) as is_assigned
    from assigned
    group by repository, number
),

issue as (
    select
        f.repository,
        f.number,
        f.team,
        f.to_at as closed_at
    from final as f
    inner join assignment as a on f.repository = a.repository and f.number = a.number
    where (f.ended_by = 'completed' and a.first_at < f.to_at) or (f.to_at is null and a.is_assigned)
),

worked as (
    select
        i.*,
        greatest(s.from_at, a.from_at) as from_at,
        least(
            coalesce(s.to_at, ($as_of::date + 1)::timestamp), coalesce(a.to_at, ($as_of::date + 1)::timestamp)
        ) as to_at
    from issue as i
    inner join spell as s on i.repository = s.repository and i.number = s.number
    inner join assigned as a on i.repository = a.repository and i.number = a.number
),

working_day as (
    select
        opens_at,
        closes_at,
        sum(epoch(closes_at)::bigint - epoch(opens_at)::bigint) over (order by opens_at)
        - (epoch(closes_at)::bigint - epoch(opens_at)::bigint) as before
    from facts.business_hours
),

-- Business seconds up to a moment; their difference is the time between two.
timed as (
    select
        w.*,
        epoch(w.to_at)::bigint - epoch(w.from_at)::bigint as seconds,
        coalesce(t.before + epoch(least(w.to_at, t.closes_at))::bigint - epoch(t.opens_at)::bigint, 0)
        - coalesce(f.before + epoch(least(w.from_at, f.closes_at))::bigint - epoch(f.opens_at)::bigint, 0)
            as business_seconds
    from (select * from worked where to_at > from_at) as w
    asof left join working_day as f on w.from_at >= f.opens_at
    asof left join working_day as t on w.to_at >= t.opens_at
),

total as (
    select
        i.*,
        coalesce(sum(t.seconds), 0)::bigint as seconds,
        coalesce(sum(t.business_seconds), 0)::bigint as business_seconds
    from issue as i
    left join timed as t on i.repository = t.repository and i.number = t.number
    group by all
),

expanded as (
    select
        closed_at,
        seconds,
        business_seconds,
        unnest([
            {'grain': 'organisation', 'member': 'organisation'},
            {'grain': 'repository', 'member': repository},
            {'grain': 'team', 'member': team}
        ], recursive := true)
    from total
),

closed as (
    select *, closed_at::date as date
    from expanded
    where closed_at is not null and member is not null
),

frame as (
    select m.grain, m.member, p.kind, p.period_start, p.period_end, p.is_closed
    from (select grain, member, min(date) as first_date from closed group by grain, member) as m
    inner join facts.periods as p on p.period_end >= m.first_date and p.period_start <= $as_of
    where p.kind in ('month', 'quarter', 'rolling_30_days')
),

period_day as (
    -- By day, so that issues find their periods by equality: by a range, each is compared with every period.
    select kind, period_start, unnest(generate_series(period_start, period_end, interval 1 day))::date as date
    from facts.periods
    where kind in ('month', 'quarter', 'rolling_30_days')
),

counted as (
    select
        c.grain,
        c.member,
        p.kind,
        p.period_start,
        quantile_cont(c.seconds, [0.5, 0.9]) as percentiles,
        sum(c.seconds)::hugeint as seconds,
        sum(c.business_seconds)::hugeint as business_seconds,
        count(*) as n
    from period_day as p
    inner join closed as c on p.date = c.date
    group by c.grain, c.member, p.kind, p.period_start
),

-- Of the many windows of a repository or a team, those in which something was closed.
figure as (
    select f.*, c.percentiles, c.seconds, c.business_seconds, coalesce(c.n, 0) as n
    from frame as f
    left join counted as c
        on f.grain = c.grain and f.member = c.member and f.kind = c.kind and f.period_start = c.period_start
    where f.kind <> 'rolling_30_days' or f.grain = 'organisation' or c.n > 0
),

-- Every value as a fraction of hours: seconds x 10 / (n x 36000). A percentile of whole seconds is of whole tenths, which a
-- float holds to far less than one.
fraction as (
    select
        *,
        unnest(['', 'business_hours', 'median', 'p90']) as statistic,
        unnest([
            seconds * 10,
            business_seconds * 10,
            round(10 * percentiles[1])::hugeint,
            round(10 * percentiles[2])::hugeint
        ]) as tenths,
        unnest([n, n, 1, 1]) as parts
    from figure
),

shown as (
    select
        concat_ws(':', grain, nullif(concat_ws('_', nullif(kind, 'month'), nullif(statistic, '')), '')) as grain,
        member,
        period_start,
        period_end,
        n,
        case when n > 0 then tenths end as tenths,
        parts,
        statistic in ('', 'business_hours') as is_mean,
        case when n = 0 then 'no data' when is_closed then 'ok' else 'to date' end as status
    from fraction
    union all
    select
        grain || ':open_assigned_age',
        member,
        $as_of::date,
        $as_of::date,
        count(*),
        sum(seconds)::hugeint * 10,
        count(*),
        true,
        'ok'
    from expanded
    where closed_at is null and member is not null
    group by grain, member
)

select
    grain,
    member,
    period_start,
    period_end,
    case
        when tenths is not null
            then ((tenths * 2000000000 + parts * 36000) // (parts * 72000))::decimal(27, 0) * 0.000000001
    end as value,
    case
        when is_mean and tenths is not null
            then ((tenths * 2000000000 + 36000) // 72000)::decimal(27, 0) * 0.000000001
    end as numerator,
    case when is_mean then parts end as denominator,
    n,
    status
from shown
union all
select grain || ':open_assigned', member, $as_of::date, $as_of::date, count(*), null, null, count(*), 'ok'
from expanded
where closed_at is null and member is not null
group by grain, member
