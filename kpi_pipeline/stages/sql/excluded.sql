-- User-days that a rule matches; one row per rule.
select distinct a.date, a.hub_id, a.person_key, t.rule_id
from temp.activity as a
inner join temp.exclusion_targets as t
    on a.hub_id = t.hub_id
    and a.date between t.first_day and t.last_day
    and (t.person_key is null or a.person_key = t.person_key)
where a.reason is null
