-- Gaps of $wau_days or more between two days of a person in a member, from temp.seen. Before the first day and after
-- the last one there is a gap too: it has no from_date or no to_date.
-- In a word, `xor(x, x - 1)` is the first day of x and everything before, and `x - 1` of a single day all before it.
with person as materialized (
    select
        member_id,
        person_key,
        start_date,
        bits,
        start_date + bit_count(xor(bits, bits - 1))::integer - 1 as first_date,
        row_number() over days = 1 as is_first,
        lead(start_date + bit_count(xor(bits, bits - 1))::integer - 1) over days as next_date,
        bits >> 1 as within_1,
        within_1 | (within_1 >> 1) as within_2,
        within_2 | (within_2 >> 2) as within_4,
        within_4 | (within_4 >> ($wau_days - 5)) as within_wau,
        -- Days that no other day of the word follows in time.
        bits & ~within_wau as last_days
    from temp.seen
    window days as (partition by member_id, person_key order by start_date)
),

-- Of $wau_days days in a row one at most is such a day, so these are looked at together.
leaving as (
    select
        p.member_id,
        p.person_key,
        p.next_date,
        (p.last_days >> w.first_bit) & ((1::ubigint << $wau_days) - 1) as last_day,
        (w.first_bit + bit_count(last_day - 1))::integer as last_bit,
        p.start_date + last_bit as from_date,
        (p.bits >> last_bit) >> 1 as later
    from person as p
    cross join (select unnest(range(0, $word_days, $wau_days))::ubigint as first_bit) as w
    where last_day > 0
),

gap as (
    select
        member_id,
        person_key,
        from_date,
        case when later = 0 then next_date else from_date + bit_count(xor(later, later - 1))::integer end as to_date
    from leaving
)

select member_id, person_key, from_date, to_date
from gap
where to_date is null or to_date - from_date >= $wau_days
union all
select member_id, person_key, null, first_date
from person
where is_first
