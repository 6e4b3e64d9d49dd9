-- Days that a person spent in several cells of a member: they count once, so all but one of them are taken away.
select m.member_id, m.start_date + d.day::integer as date, 1 - count(*) as dau
from temp.words_in_many as m
inner join temp.pairs as p on m.member_id = p.member_id and m.person_key = p.person_key
inner join temp.words as w on p.cell = w.member_id and p.person_key = w.person_key and m.start_date = w.start_date
inner join range(64) as d (day) on (w.bits >> d.day) & 1 = 1
where m.cell_days > bit_count(m.bits)
group by m.member_id, m.person_key, m.start_date, d.day
having count(*) > 1
