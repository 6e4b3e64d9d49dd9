-- The newest value of each headline KPI.
select
    d.kpi_id,
    d.title,
    d.question,
    d.unit,
    d.direction,
    s.period,
    s.period_start,
    s.period_end,
    s.value,
    s.previous_value,
    s.change,
    s.change_percent,
    s.n,
    s.status,
    s.is_external
from kpi_definitions as d
inner join kpi_details as p on d.kpi_id = p.kpi_id
inner join kpi_series as s on d.kpi_id = s.kpi_id and s.grain = p.own_grain and s.member = p.own_member
where d.headline
qualify row_number() over (partition by d.kpi_id order by s.period_end desc, s.period_start desc) = 1
order by d.kpi_id
