select
    date,
    list_transform(teams, lambda team: 'team=' || team) as places,
    lines_that_meet::decimal(18, 0) as numerator,
    lines::decimal(18, 0) as denominator,
    units as n,
    null::varchar as person,
    null::bigint as people
from facts.code_quality
