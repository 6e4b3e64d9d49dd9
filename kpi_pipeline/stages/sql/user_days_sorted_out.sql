-- One row per day, hub and person, and what becomes of it: excluded first, then staging, then binder.
with user_day as (
    select
        date,
        hub_id,
        person_key,
        any_value(environment) as environment,
        any_value(kind) as kind,
        max(coalesce(sessions, 1)) as sessions
    from temp.activity
    where reason is null
    group by date, hub_id, person_key
)

select
    u.date,
    u.hub_id,
    u.person_key,
    u.sessions,
    case
        when e.hub_id is not null then 'excluded'
        when u.environment = 'staging' then 'staging'
        when u.kind = 'binder' then 'binder'
        else 'qualifying'
    end as outcome
from user_day as u
left join (
    select distinct date, hub_id, person_key from temp.excluded
) as e on u.date = e.date and u.hub_id = e.hub_id and u.person_key = e.person_key
