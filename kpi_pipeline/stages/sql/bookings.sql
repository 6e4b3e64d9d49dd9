-- What was billed and what was booked, whole, on its day. Up to the as-of day.
select 'billed' as basis, 'ledger' as source, _file || ':' || _row as item, date, category, reported_amount as amount
from staged.ledger
where kind = 'revenue' and date <= $as_of
union all
select 'booked', 'deals', deal_id, close_date, category, reported_amount
from staged.deals
where state = 'won' and close_date <= $as_of
