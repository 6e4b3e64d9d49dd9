-- What became of every line of a file, and the days that a newer delivery should have had and hasn't.
with lost as (
    select old.file, count(*) as days
    from (
        select distinct file, billing_account_id, billing_period, date from temp.cost_outcomes where outcome = 'replaced'
    ) as old
    where not exists (
        select 1 from temp.cost_outcomes as new
        where
            new.outcome <> 'replaced'
            and new.billing_account_id = old.billing_account_id
            and new.billing_period = old.billing_period
            and new.date = old.date
    )
    group by old.file
)

select
    o.file,
    sum(o.lines)::bigint as lines,
    coalesce(sum(o.lines) filter (where o.outcome = 'replaced'), 0)::bigint as replaced,
    coalesce(sum(o.lines) filter (where o.outcome = 'after_as_of'), 0)::bigint as after_as_of,
    coalesce(sum(o.lines) filter (where o.outcome = 'no_rate'), 0)::bigint as no_rate,
    coalesce(sum(o.lines) filter (where o.outcome = 'counted'), 0)::bigint as counted,
    coalesce(any_value(l.days), 0) as days_lost
from temp.cost_outcomes as o
left join lost as l on o.file = l.file
group by o.file
order by o.file
