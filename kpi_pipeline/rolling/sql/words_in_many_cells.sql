-- People who are in several cells of a member: the union of their days there, and in how many cells they were, summed.
select p.member_id, w.person_key, w.start_date, bit_or(w.bits) as bits, sum(bit_count(w.bits)) as cell_days
from temp.words as w
inner join temp.pairs as p on w.member_id = p.cell and w.person_key = p.person_key
group by p.member_id, w.person_key, w.start_date
