-- The days of a user are cut wherever a registration begins or ends; each part has the audiences that hold throughout.
with registration as (
    select person_key, audience, registered_on, closed_on
    from temp.registration_versions
    where not is_contradicted
),

boundary as (
    select person_key, registered_on as day from registration
    union
    select person_key, closed_on from registration
),

part as (
    select person_key, day as from_day, lead(day) over (partition by person_key order by day) as to_day
    from boundary
)

select p.person_key, p.from_day, p.to_day, list_sort(list(distinct r.audience)) as audiences
from part as p
inner join registration as r
    on p.person_key = r.person_key and r.registered_on <= p.from_day and p.to_day <= r.closed_on
group by p.person_key, p.from_day, p.to_day
order by p.person_key, p.from_day
