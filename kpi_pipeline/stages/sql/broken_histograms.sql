select 'api_metrics' as source, _file as file, _row as row, reason, 'staged' as stage, date
from temp.bucket_samples
where reason is not null
