select date, service, audience, customer, sum(value)::decimal(38, 9) as calls
from temp.api_samples
where series = $requests
group by date, service, audience, customer
order by date, service, audience, customer
