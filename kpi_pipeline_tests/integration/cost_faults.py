"""Cloud costs of the right warehouse in test_checks, and what is done to them that a check must notice."""

RIGHT = """
insert into raw.loads values ('cloud_costs', 'bill.csv', 'x', 'k', 2);
insert into raw.cloud_costs
    (BilledCost, BillingAccountId, BillingCurrency, BillingPeriodStart, BillingPeriodEnd, ChargeCategory,
    ChargePeriodStart, ChargePeriodEnd, _file, _row)
    select 1.5, 'billing', 'USD', '2026-01-01', '2026-02-01', 'usage', '2026-01-01', '2026-01-02', 'bill.csv', i
    from range(1, 3) t (i);
insert into staged.cloud_cost_accounting values ('bill.csv', 2, 0, 0, 0, 2, 0);
insert into staged.cloud_costs values ('2026-01-01', null, 'billing', null, null, 'usage', false, 'USD', 2, 3, 3,
    'shared', null, 'all hubs');
insert into facts.hub_months values ('2026-01-01', 'a/one', 'a', 'other');
insert into facts.monthly_users values ('2026-01-01', 'hub', 'a/one', 2, 3), ('2026-01-01', 'hub_type', 'other', 2, 3),
    ('2026-01-01', 'organisation', 'organisation', 2, 3);
insert into facts.cloud_costs values ('2026-01-01', 'shared', 'a/one', 'all hubs', 3);
"""
FAULTS = {
    "delete from raw.cloud_costs where _row = 2": "every_billing_line_is_accounted_for",
    "update staged.cloud_cost_accounting set replaced = 1": "every_billing_line_is_accounted_for",
    "update staged.cloud_costs set lines = 1": "every_billing_line_is_accounted_for",
    "update staged.cloud_cost_accounting set days_lost = 1": "redelivery_covers_what_it_replaces",
    "update facts.cloud_costs set amount = 3.01": "allocation_sums_to_the_bill",
    "delete from facts.cloud_costs": "allocation_sums_to_the_bill",
    "update facts.cloud_costs set hub_id = 'a/two'": "allocated_hubs_are_known",
    "update facts.cloud_costs set hub_id = null": "allocated_hubs_are_known",
    "insert into facts.cloud_costs select * from facts.cloud_costs": "key_is_unique",
    "update facts.monthly_users set users = 3 where grain = 'hub'": "monthly_users_are_nested",
    "update facts.monthly_users set user_days = 4 where grain = 'hub_type'": "monthly_users_are_nested",
}
