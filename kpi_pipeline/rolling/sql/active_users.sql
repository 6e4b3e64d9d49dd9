-- Running sums of what comes and goes (temp.daily), from the day on which a member begins.
select
    d.date,
    m.grain,
    m.member,
    d.dau,
    sum(d.wau_change) over so_far::bigint as wau,
    sum(d.mau_change) over so_far::bigint as mau,
    d.new,
    d."returning",
    d.lapsed
from temp.daily as d
inner join facts.members as m on d.member_id = m.member_id
window so_far as (partition by d.member_id order by d.date)
qualify sum(d.begun) over so_far > 0
order by d.date, m.grain, m.member
