-- Every registration, and whether the same one is there with another end.
select
    person_key,
    audience,
    registered_on,
    coalesce(closed_on, date '9999-12-31') as closed_on,
    _file,
    _row,
    min(coalesce(closed_on, date '9999-12-31')) over same <> max(coalesce(closed_on, date '9999-12-31')) over same
        as is_contradicted
from raw.registrations
window same as (partition by person_key, audience, registered_on)
