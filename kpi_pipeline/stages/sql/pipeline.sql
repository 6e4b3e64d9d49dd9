-- Open deals, weighted. A deal without a probability has no weighted amount: neither 0 nor the whole is what it is worth.
select
    deal_id,
    category,
    close_date,
    reported_amount as amount,
    probability,
    round(reported_amount * probability, 2)::decimal(38, 9) as weighted_amount
from staged.deals
where state = 'open'
