-- Exchange rates, each line with what is wrong with it. Lines of one currency and day that contradict each other are
-- all wrong: an older rate must not slip in for them.
select
    currency,
    date,
    rate,
    _file,
    _row,
    case
        when count(distinct rate) over (partition by currency, date) > 1 then 'conflicting_duplicate'
    end as reason
from raw.rates
