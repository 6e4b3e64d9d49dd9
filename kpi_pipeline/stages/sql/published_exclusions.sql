select
    r.* exclude (position),
    case
        when r.until < $as_of then 'expired'
        when r.first_day > $as_of then 'not yet in force'
        when e.user_days is null then 'matches nothing'
        else 'applied'
    end as state,
    coalesce(e.user_days, 0) as user_days
from temp.exclusion_register as r
left join (
    select rule_id, sum(user_days)::bigint as user_days
    from staged.exclusion_effects
    where date <= $as_of
    group by rule_id
) as e on r.rule_id = e.rule_id
