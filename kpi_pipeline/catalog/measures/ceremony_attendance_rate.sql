select
    date,
    list_transform(teams, lambda team: 'team=' || team) || ['kind=' || kind] as places,
    attended::decimal(18, 0) as numerator,
    expected::decimal(18, 0) as denominator,
    1 as n,
    null::varchar as person,
    expected as people
from facts.ceremonies
