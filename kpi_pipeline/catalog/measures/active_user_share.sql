select
    date,
    list_transform(audiences, lambda audience: 'audience=' || audience) as places,
    active::decimal(18, 0) as numerator,
    registered::decimal(18, 0) as denominator,
    registered as n,
    null::varchar as person,
    registered as people
from facts.product_users
