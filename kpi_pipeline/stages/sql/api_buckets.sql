select date, service, audience, le, count(*) as histograms, sum(value)::decimal(38, 9) as calls
from temp.bucket_samples
where reason is null
group by date, service, audience, le
order by date, service, audience, le nulls last
