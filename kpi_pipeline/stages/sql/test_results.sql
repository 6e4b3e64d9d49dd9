-- Test cases by what came of them in the end. Runners that try again list a case once per attempt: a failed attempt that
-- the same file, day and <testsuite> name tries again later is not counted by itself, and a pass after it is flaky.
with attempt as (
    select
        date,
        lower(trim(regexp_replace(team, '\s+', ' ', 'g'))) as team,
        lower(trim(regexp_replace(suite, '\s+', ' ', 'g'))) as suite,
        outcome,
        is_flaky,
        outcome in ('failed', 'error') as is_failed,
        lag(outcome) over tries as before,
        lead(outcome) over tries as after
    from raw.test_results
    -- Cases without a name can't be told apart, and a skipped one is no attempt.
    window tries as (
        partition by
            _file, date, test_suite, class_name, name,
            case when name is null or outcome = 'skipped' then _row end
        order by _row
    )
),

outcome as (
    select
        date,
        team,
        suite,
        outcome,
        is_failed and after is not null as is_retried,
        outcome = 'passed' and (is_flaky or coalesce(before in ('failed', 'error'), false)) as is_flaky
    from attempt
)

select
    o.date,
    o.team,
    any_value(coalesce(t.teams, [o.team])) as teams,
    o.suite,
    count(*) filter (where o.outcome <> 'skipped' and not o.is_retried) as run,
    count(*) filter (where o.outcome = 'passed') as passed,
    count(*) filter (where o.is_flaky) as flaky,
    count(*) filter (where o.outcome = 'failed' and not o.is_retried) as failed,
    count(*) filter (where o.outcome = 'error' and not o.is_retried) as errors,
    count(*) filter (where o.outcome = 'skipped') as skipped,
    count(*) filter (where o.is_retried) as retried
from outcome as o
left join staged.teams as t on o.team = t.team
group by o.date, o.team, o.suite
order by o.date, o.team, o.suite
