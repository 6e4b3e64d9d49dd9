-- Days from a complete request for a hub to its first successful production deployment, less the time that was spent waiting
-- for the customer; by period of the deployment. Whole seconds, divided in integers: 1.5 days are 1.500000000.
with success as (
    select
        hub_id,
        split_part(hub_id, '/', 1) as cluster,
        min(finished_at) as deployed_at
    from facts.deployments
    where is_production and outcome = 'success' and hub_id is not null and finished_at::date <= $as_of
    group by hub_id
),

-- Since when a cluster has had each of its hubs, by the registry or by a deployment.
service as (
    select hub_id, cluster, min(first_date) as first_date
    from (
        select hub_id, split_part(hub_id, '/', 1) as cluster, from_day as first_date
        from staged.hubs
        where environment = 'production'
        union all
        select hub_id, cluster, deployed_at::date from success
    )
    group by hub_id, cluster
),

first_of_cluster as (
    select s.hub_id
    from success as s
    where not exists (
        select 1 from service as o
        where o.cluster = s.cluster and o.hub_id <> s.hub_id and o.first_date < s.deployed_at::date
    )
    qualify row_number() over (partition by s.cluster order by s.deployed_at, s.hub_id) = 1
),

-- A day of use counts from its midnight, or from the deployment where that came later on the day.
first_use as (
    select s.hub_id, greatest(min(u.date)::timestamp, min(s.deployed_at)) as used_at
    from success as s
    inner join staged.user_days as u on s.hub_id = u.hub_id and u.date between s.deployed_at::date and $as_of
    group by s.hub_id
),

request as (
    select
        r.repository,
        r.number,
        r.hub_id,
        split_part(r.hub_id, '/', 1) as cluster,
        r.hub_id in (select hub_id from first_of_cluster) as is_new_cluster,
        r.completed_at,
        s.deployed_at,
        u.used_at
    from facts.hub_requests as r
    left join success as s on r.hub_id = s.hub_id
    left join first_use as u on r.hub_id = u.hub_id
    where r.completed_at::date <= $as_of
),

-- What is timed: to the deployment, to the first use, and what is not deployed yet to the end of the as-of day.
span as (
    select *, '' as statistic, deployed_at as until_at from request where deployed_at is not null
    union all
    select *, 'first_use', used_at from request where used_at is not null
    union all
    select *, 'open', ($as_of::date + 1)::timestamp from request where deployed_at is null
),

timed as (
    select
        s.hub_id,
        s.cluster,
        s.is_new_cluster,
        s.deployed_at::date as date,
        s.statistic,
        (epoch_us(s.until_at) - epoch_us(s.completed_at)) // 1000000
        - coalesce(sum(
            (epoch_us(least(coalesce(w.to_at, s.until_at), s.until_at)) - epoch_us(greatest(w.from_at, s.completed_at)))
            // 1000000
        ) filter (where w.from_at is not null), 0) as seconds
    from span as s
    left join facts.hub_request_waits as w
        on s.repository = w.repository and s.number = w.number
        and w.from_at < s.until_at and coalesce(w.to_at, 'infinity'::timestamp) > s.completed_at
    group by s.repository, s.number, s.hub_id, s.cluster, s.is_new_cluster, s.deployed_at, s.statistic, s.until_at,
        s.completed_at
),

-- Clusters stand beside the organisation's mean of hubs, and each has a row of its own.
observation as (
    select date, statistic, seconds, unnest(case when is_new_cluster
        then [
            {'grain': 'organisation', 'member': 'organisation', 'is_of_clusters': false},
            {'grain': 'organisation', 'member': 'organisation', 'is_of_clusters': true},
            {'grain': 'cluster', 'member': cluster, 'is_of_clusters': false},
            {'grain': 'hub', 'member': hub_id, 'is_of_clusters': false}
        ]
        else [
            {'grain': 'organisation', 'member': 'organisation', 'is_of_clusters': false},
            {'grain': 'hub', 'member': hub_id, 'is_of_clusters': false}
        ]
    end, recursive := true)
    from timed
),

named as (
    select date, grain, member, seconds, concat_ws('_', case when is_of_clusters then 'clusters' end, nullif(statistic, ''))
        as statistic
    from observation
),

begun as (
    select min(date) as first_date
    from (
        select min(completed_at)::date as date from request
        union all
        select min(created_at)::date from facts.deployments where is_production and created_at::date <= $as_of
    )
),

period as (
    -- In its first month a quarter that runs is the month.
    select '' as span, p.period_start, p.period_end, bool_or(p.is_closed) as is_closed
    from facts.periods as p
    inner join begun as b on p.period_end >= b.first_date
    where p.kind in ('month', 'quarter') and p.period_start <= $as_of
    group by p.period_start, p.period_end
    union all
    select p.kind, p.period_start, p.period_end, p.is_closed
    from facts.periods as p
    inner join begun as b on p.period_end >= b.first_date
    where p.kind = 'rolling_30_days' and p.period_end <= $as_of
),

-- The organisation has a row for every period, with or without new hubs; where nobody asked for one there is none.
frame as (
    select p.*, 'organisation' as grain, 'organisation' as member, s.statistic
    from period as p
    cross join (values (''), ('first_use'), ('clusters'), ('clusters_first_use')) as s (statistic)
    where exists (select 1 from request) and (p.span = '' or not starts_with(s.statistic, 'clusters'))
    union
    select p.*, n.grain, n.member, n.statistic
    from period as p
    inner join named as n on n.date between p.period_start and p.period_end
    where n.statistic <> 'open' and p.span = ''
),

counted as (
    select
        f.*,
        count(n.seconds) as n,
        sum(n.seconds)::hugeint as seconds,
        list_sort(list(n.seconds) filter (where n.seconds is not null)) as sorted
    from frame as f
    left join named as n
        on f.grain = n.grain and f.member = n.member and f.statistic = n.statistic
        and n.date between f.period_start and f.period_end
    group by all
),

-- Every value as a fraction of tenths of a second; percentiles interpolate linearly.
fraction as (
    select span, grain, member, period_start, period_end, is_closed, n, statistic, true as is_mean, seconds * 10 as tenths,
        n as parts
    from counted
    union all
    select
        c.span,
        c.grain,
        c.member,
        c.period_start,
        c.period_end,
        c.is_closed,
        c.n,
        concat_ws('_', nullif(c.statistic, ''), q.name),
        false,
        c.sorted[(c.n - 1) * q.tenth // 10 + 1] * (10 - (c.n - 1) * q.tenth % 10)
        + coalesce(c.sorted[(c.n - 1) * q.tenth // 10 + 2], 0) * ((c.n - 1) * q.tenth % 10),
        least(c.n, 1)
    from counted as c
    cross join (values ('median', 5), ('p90', 9)) as q (name, tenth)
    where c.grain = 'organisation' and c.statistic in ('', 'first_use')
    union all
    select '', grain, member, $as_of::date, $as_of::date, true, count(*), 'open_age', true, sum(seconds)::hugeint * 10, count(*)
    from named
    where statistic = 'open'
    group by grain, member
)

select
    concat_ws(':', grain, nullif(concat_ws('_', nullif(span, ''), nullif(statistic, '')), '')) as grain,
    member,
    period_start,
    period_end,
    case
        when n > 0
            then ((tenths::hugeint * 2000000000 + parts * 864000) // (parts * 1728000))::decimal(29, 0)
                * 0.000000001::decimal(9, 9)
    end as value,
    case
        when n > 0 and is_mean
            then ((tenths::hugeint * 2000000000 + 864000) // 1728000)::decimal(29, 0) * 0.000000001::decimal(9, 9)
    end as numerator,
    case when n > 0 and is_mean then parts end as denominator,
    n,
    case when n = 0 then 'no data' when is_closed then 'ok' else 'to date' end as status
from fraction
union all
select grain || ':open', member, $as_of::date, $as_of::date, count(*), null, null, count(*), 'ok'
from named
where statistic = 'open'
group by grain, member
union all
select
    'organisation:unmatched_deployments',
    'organisation',
    p.period_start,
    p.period_end,
    count(*) filter (where d.hub_id is null),
    null,
    null,
    count(*),
    case when p.is_closed then 'ok' else 'to date' end
from period as p
inner join facts.deployments as d on d.is_production and d.created_at::date between p.period_start and p.period_end
where p.span = ''
group by p.period_start, p.period_end, p.is_closed
