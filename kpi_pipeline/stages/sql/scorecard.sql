-- KPIs against their targets: the running period and the eight before it, each by the target that held on its last day.
-- Only unrounded values are compared, with factors of ten so that nothing is rounded.
with period as (
    select k.*, p.period_start, p.period_end, p.is_closed
    from temp.scored as k
    inner join facts.periods as p on k.kind = p.kind
    qualify row_number() over (partition by k.kpi_id order by p.period_start desc) <= 9
),

exempt as (
    select p.kpi_id, p.period_start, min(e.reason || ' (until ' || e.last_day || ', approved by ' || e.approved_by || ')') as note
    from period as p
    inner join temp.exemptions as e on p.kpi_id = e.kpi_id and p.period_end between e.first_day and e.last_day
    group by p.kpi_id, p.period_start
),

valued as (
    select p.*, v.value, v.n, v.status as value_status, e.note as exempt_note
    from period as p
    left join kpi.kpi_values as v
        on p.kpi_id = v.kpi_id and p.grain = v.grain and p.member = v.member
        and p.period_start = v.period_start and p.period_end = v.period_end
    left join exempt as e on p.kpi_id = e.kpi_id and p.period_start = e.period_start
),

compared as (
    select
        v.*,
        t.comparator,
        t.target,
        t.min_n,
        lag(v.value) over (partition by v.kpi_id order by v.period_start) as previous_value,
        case t.comparator
            when '>=' then v.value >= t.target
            when '>' then v.value > t.target
            when '<=' then v.value <= t.target
            when '<' then v.value < t.target
            when '=' then v.value = t.target
        end as is_met,
        case
            when t.comparator in ('>=', '>') then v.value * 10 >= t.target * 9
            when t.comparator in ('<=', '<') then v.value * 10 <= t.target * 11
            else v.value * 10 between t.target * 9 and t.target * 11
        end as is_near,
        -- What the share of the target that was reached is the share of.
        case when t.comparator in ('>=', '>') or (t.comparator = '=' and v.value < t.target) then v.value else t.target end
            as part,
        case when t.comparator in ('>=', '>') or (t.comparator = '=' and v.value < t.target) then t.target else v.value end
            as whole
    from valued as v
    asof left join temp.targets as t on v.kpi_id = t.kpi_id and v.period_end >= t.valid_from
),

judged as (
    select
        *,
        case
            when exempt_note is not null then 'exempt'
            when value is null then 'no data'
            -- A count says itself how much there is: none is a value like any other.
            when (n < coalesce(min_n, 1) and not is_count) or value_status = 'insufficient' then 'insufficient'
            when fresh_until < period_end then 'stale'
            when target is null then 'no target'
            when is_met then 'met'
            when is_near then 'near'
            else 'missed'
        end as status
    from compared
)

select
    kpi_id,
    role,
    period_start,
    period_end,
    value,
    comparator,
    target,
    case
        when status = 'met' then 1
        when status in ('near', 'missed') and (part <= 0 or whole <= 0) then 0
        when status in ('near', 'missed') then
            ((2 * (part * 1000000000)::hugeint * 1000000000 + (whole * 1000000000)::hugeint)
                // (2 * (whole * 1000000000)::hugeint))::decimal(28, 0) * 0.000000001::decimal(10, 9)
    end as score,
    status,
    previous_value,
    n,
    is_closed,
    case
        when status = 'exempt' then exempt_note
        when status = 'no data' then no_data_note
        when status = 'insufficient' then n || ' observations'
        when status = 'stale' then 'data until ' || newest
        when status = 'no target' then no_target_note
    end as note
from judged
order by kpi_id, period_start
