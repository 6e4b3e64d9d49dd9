-- Gaps of $wau_days or more between two days of a person in a member, from temp.seen. Before the first day and after
-- the last one there is a gap too: it has no from_date or no to_date.
-- In a word, `x & (x - 1)` is x without its first day, and `xor(x, x - 1)` its first day and everything before.
with recursive person as (
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
        within_4 | (within_4 >> ($wau_days - 5)) as within_wau
    from temp.seen
    window days as (partition by member_id, person_key order by start_date)
),

-- Days that no other day of the word follows in time, taken off one after another.
leaving as (
    select member_id, person_key, start_date, bits, next_date, bits & ~within_wau as last_days from person
    union all
    select member_id, person_key, start_date, bits, next_date, last_days & (last_days - 1)
    from leaving
    where last_days & (last_days - 1) > 0
),

gap as (
    select
        member_id,
        person_key,
        start_date + bit_count(xor(last_days, last_days - 1))::integer - 1 as from_date,
        bits & ~xor(last_days, last_days - 1) as later,
        case
            when later = 0 then next_date else start_date + bit_count(xor(later, later - 1))::integer - 1
        end as to_date
    from leaving
)

select member_id, person_key, from_date, to_date
from gap
where to_date is null or to_date - from_date >= $wau_days
union all
select member_id, person_key, null, first_date
from person
where is_first
