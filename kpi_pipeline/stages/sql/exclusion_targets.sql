-- What each rule of the register applies to: hubs and days, and people where the rule names some.
select distinct
    r.rule_id,
    h.hub_id,
    k.person_key,
    coalesce(r.first_day, date '0001-01-01') as first_day,
    coalesce(r.last_day, date '9999-12-31') as last_day
from temp.exclusion_rules as r
inner join staged.hubs as h
    on (r.cluster is null or lower(h.cluster) glob lower(r.cluster))
    and (r.hub is null or lower(h.hub) glob lower(r.hub))
left join temp.exclusion_people as k on r.rule_id = k.rule_id and h.identity_issuer = k.issuer
where not r.names_people or k.person_key is not null
