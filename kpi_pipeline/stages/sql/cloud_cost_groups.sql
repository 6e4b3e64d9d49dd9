-- The one pass over the billing lines: sums of what can't be told apart any further.
select
    _file as file,
    ChargePeriodStart::date as date,
    BillingPeriodStart as billing_period,
    ProviderName as provider,
    BillingAccountId as billing_account_id,
    SubAccountId as sub_account_id,
    nullif(Tags, '') as hub_tag,
    ChargeCategory as charge_category,
    ChargeClass is not null as is_correction,
    BillingCurrency as currency,
    count(*) as lines,
    sum(BilledCost) as billed
from raw.cloud_costs
group by all
