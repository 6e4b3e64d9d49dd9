-- Whether $day is the newest, and within how many days of it most of its people have been there. For the newest that is
-- as far back as the last day that was half as busy as the busiest of the week: on a Tuesday it is Monday, on a Monday
-- it is Friday. On an older day the days after it count as well, and few people have both so near.
with busy as (
    select date
    from facts.flows
    where date > $day::date - $wau_days and date < $day::date
    group by date
    qualify sum(dau) >= max(sum(dau)) over () / 2
)

select is_newest, case when is_newest then coalesce($day::date - last_busy + 1, $wau_days) else $wau_days end
from (
    select
        not exists (from facts.user_days where date > $day::date) as is_newest,
        (select max(date) from busy) as last_busy
)
