-- Single lines whose currency has no rate on their day; those of a delivery that was replaced don't matter any more.
select
    'cloud_costs' as source,
    r._file as file,
    r._row as row,
    'no_rate:' || r.BillingCurrency as reason,
    'staged' as stage,
    r.ChargePeriodStart::date as date
from raw.cloud_costs as r
inner join (
    select distinct file, date, billing_account_id, billing_period, currency
    from temp.cost_outcomes
    where outcome = 'no_rate'
) as o
    on r._file = o.file
    and r.ChargePeriodStart::date = o.date
    and r.BillingAccountId = o.billing_account_id
    and r.BillingPeriodStart = o.billing_period
    and r.BillingCurrency = o.currency
order by file, row
