-- Days before the first of which hub activity is landed as a whole, from the first on of which a live source says something
-- all the same: a hub says who was last active on a day long ago, and not who was active on it and again since. Pages of
-- live sources are named by their content.
select
    'hub_activity' as source,
    t.first_day,
    c.first_day - 1 as last_day
from (
    select min(date) as first_day
    from raw.hub_activity
    where regexp_full_match(_file, '.*/[0-9a-f]{20}[.]json')
) as t
cross join (
    select min(first_day) as first_day
    from raw.covered_days
    where source = 'hub_activity'
) as c
where t.first_day < c.first_day
