select
    date,
    []::varchar[] as places,
    score::decimal(18, 0) as numerator,
    scale::decimal(18, 0) as denominator,
    1 as n,
    coalesce(person_key::varchar, _file || '/' || _row) as person,
    null::bigint as people
from facts.survey_answers
where kind = 'progress'
