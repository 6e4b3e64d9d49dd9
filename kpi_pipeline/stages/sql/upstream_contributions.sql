-- What affiliated people did elsewhere, at the time when they were affiliated; and work without code, as recorded.
with contribution as (
    select
        o.repository,
        o.actor_key,
        case
            when o.stream = 'pulls' then o.ended_at
            else o.happened_at
        end as happened_at,
        case
            when o.stream = 'pulls' and o.ended_at is not null then 'merged_pull_request'
            when o.stream = 'reviews' then 'review'
            when o.stream = 'issues' and not o.is_pull_request then 'issue'
            when o.stream = 'comments' then 'comment'
            when o.stream = 'releases' then 'release'
        end as kind
    from staged.github_objects as o
    inner join temp.github_repositories as r on o.repository = r.repository and not r.is_own
    where
        not coalesce(o.actor_is_bot, false)
        and o.actor_key not in (select person_key from temp.github_bots)
),

counted as (
    select happened_at::date as date, repository as project, kind, count(*) as contributions
    from contribution as c
    where
        kind is not null
        -- Not a join: entries of one person that overlap must not count twice.
        and exists (
            select 1
            from raw.affiliations as a
            where
                a.person_key = c.actor_key
                and a."from" <= c.happened_at
                and (a."to" is null or c.happened_at < a."to")
        )
    group by all
    union all
    select date, project, kind, "count"
    from raw.upstream_work
)

select date, project, kind, sum(contributions)::bigint as contributions
from counted
group by date, project, kind
order by date, project, kind
