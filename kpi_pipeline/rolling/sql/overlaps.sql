-- Days that a person spent in several cells of a member count once: each time after the first is taken away.
with recursive again as (
    select
        p.member_id,
        w.start_date,
        w.bits & bit_or(w.bits) over (
            partition by p.member_id, w.person_key, w.start_date
            order by p.cell
            rows between unbounded preceding and 1 preceding
        ) as days
    from temp.words_in_many as m
    inner join temp.pairs as p on m.member_id = p.member_id and m.person_key = p.person_key
    inner join temp.words as w on p.cell = w.member_id and p.person_key = w.person_key and m.start_date = w.start_date
    where m.cell_days > bit_count(m.bits)
),

-- Those days, taken off one after another.
day as (
    select member_id, start_date, days from again where days > 0
    union all
    select member_id, start_date, days & (days - 1) from day where days & (days - 1) > 0
)

select member_id, start_date + bit_count(xor(days, days - 1))::integer - 1 as date, -count(*) as dau
from day
group by all
