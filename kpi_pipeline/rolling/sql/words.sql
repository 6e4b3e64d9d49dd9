-- The days from $start on as bits, $start being bit 0: one row per cell and person.
select cell as member_id, person_key, $start::date as start_date, bit_or(1::ubigint << (date - $start::date)) as bits
from facts.user_days
where date >= $start::date and date < $start::date + $word_days
group by cell, person_key
