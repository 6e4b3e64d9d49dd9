-- Days that at least one part of a live source covers: a quiet day is a day with data.
select distinct unnest(generate_series(first_day, last_day, interval 1 day))::date as date
from raw.covered_days
where source = 'hub_activity'
