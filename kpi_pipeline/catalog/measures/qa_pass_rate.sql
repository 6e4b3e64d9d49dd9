select
    date,
    list_transform(teams, lambda team: 'team=' || team) || ['suite=' || suite] as places,
    passed::decimal(18, 0) as numerator,
    run::decimal(18, 0) as denominator,
    flaky::decimal(18, 0) as apart,
    run as n,
    null::varchar as person,
    null::bigint as people
from facts.test_results
