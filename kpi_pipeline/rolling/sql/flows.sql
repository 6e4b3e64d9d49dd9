-- What gaps mean for the days at their ends, from gaps; `sign` says how often a gap counts.
select member_id, from_date as date, 0 as wau_in, 0 as mau_in, sum(sign) as wau_out,
    sum(case when to_date is null or to_date - from_date >= $mau_days then sign else 0 end) as mau_out
from gaps
where from_date is not null and (to_date is null or to_date - from_date >= $wau_days)
group by member_id, from_date
union all
select member_id, to_date as date, sum(sign) as wau_in,
    sum(case when from_date is null or to_date - from_date >= $mau_days then sign else 0 end) as mau_in, 0, 0
from gaps
where to_date is not null and (from_date is null or to_date - from_date >= $wau_days)
group by member_id, to_date
