with period as (
    -- A month and a quarter to date can be the same days: one row.
    select period_start, period_end, bool_or(is_closed) as is_closed
    from facts.periods
    where kind in ('month', 'quarter') and period_end <= $as_of
        and period_end >= (select min(established_on) from facts.partnerships)
    group by period_start, period_end
),

-- How things stand with each partner at the end of a period: its newest partnership, if that goes on.
partner as (
    select
        p.period_start,
        p.period_end,
        s.ended_on is null or s.ended_on > p.period_end as is_partner,
        is_partner and s.onboarded_on <= p.period_end as is_onboarded,
        s.building_from <= p.period_end and (s.building_to is null or s.building_to > p.period_end) as is_building
    from period as p
    inner join facts.partnerships as s on s.established_on <= p.period_end
    qualify row_number() over (partition by p.period_start, p.period_end, s.partner order by s.established_on desc) = 1
),

total as (
    select
        p.*,
        count(*) filter (where s.is_onboarded) as onboarded,
        count(*) filter (where s.is_onboarded and s.is_building) as building
    from period as p
    inner join partner as s on p.period_start = s.period_start and p.period_end = s.period_end
    group by all
)

-- Rounded half up at the ninth decimal, in integers: a float would be off.
select
    'organisation' as grain,
    'organisation' as member,
    period_start,
    period_end,
    case
        when onboarded > 0
            then ((2 * building::hugeint * 100 * 1000000000 + onboarded) // (2 * onboarded))::decimal(28, 0)
                * 0.000000001::decimal(10, 9)
    end as value,
    building as numerator,
    onboarded as denominator,
    onboarded as n,
    case when onboarded = 0 then 'no data' when is_closed then 'ok' else 'to date' end as status
from total
