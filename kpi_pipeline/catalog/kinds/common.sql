-- Where the observations of a measure count, and over which days. An observation has at least
--   date DATE           the day that it counts on
--   places VARCHAR[]    what it is of: 'dimension=member', such as 'team=frontend'
--   person VARCHAR      whose doing it is, where it is one person's; never shown, only counted
--   people BIGINT       how many people's doing it is, where only that is known
in_scope as (
    select * exclude (places), list_sort(list_distinct(places)) as places
    from observation
    -- Of each dimension that the scope names, it has one of the members named.
    where date <= $as_of
        and len(list_filter($scope::varchar[][], lambda named: not list_has_any(named, places))) = 0
),

placed as (
    select $own_grain as grain, $own_member as member, * exclude (places)
    from in_scope
    union all
    select split_part(place, '=', 1) as grain, substr(place, strpos(place, '=') + 1) as member, * exclude (place)
    from (select * exclude (places), unnest(places) as place from in_scope)
    where split_part(place, '=', 1) <> $own_grain
),

period as (
    -- A month and a quarter to date can be the same days: one row.
    select '' as span, period_start, period_end, bool_or(is_closed) as is_closed
    from facts.periods
    where kind in ('month', 'quarter')
    group by period_start, period_end
    union all
    select kind, period_start, period_end, is_closed
    from facts.periods
    where kind = 'rolling_30_days' and $rolling
),

slot as (
    select m.grain, m.member, p.*
    from (select grain, member, min(date) as first_date from placed group by grain, member) as m
    inner join period as p on m.first_date <= p.period_end
),
