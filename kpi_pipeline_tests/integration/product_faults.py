"""Transactions and users of the right warehouse in test_checks, and what is done to them that a check must notice."""

RIGHT = """
insert into facts.periods values ('rolling_30_days', '2025-11-05', '2025-12-04', true);
insert into raw.transactions by name
    select timestamp '2026-01-01' as attempted_at, 'P' as product, 'payment' as kind, s as status, i as transaction_id,
        n as "count", 'p.csv' as _file, r as _row
    from (values
        ('succeeded', 'x', null, 1), ('refunded', 'x', null, 2), ('failed', null, 4, 3), ('pending', 'y', 1, 4)
    ) t (s, i, n, r);
insert into raw.quarantine values ('transactions', 'p.csv', 1, 'contradicting_versions', 'staged', '2026-01-01');
insert into raw.loads values ('transactions', 'p.csv', 'x', 'k', 400);
insert into facts.transactions values ('2026-01-01', 'p', 'payment', 6, 1, 1, 4);
insert into raw.product_activity by name
    select d as date, '00000000-0000-0000-0000-000000000001'::uuid as person_key, 'a.csv' as _file, 1 as _row
    from (values (date '2025-12-04'), (date '2026-01-02')) t (d);
insert into staged.registration_spells
    select '00000000-0000-0000-0000-00000000000' || i, '2025-12-01', '9999-12-31', ['b2c'] from range(1, 3) t (i);
insert into facts.product_users values ('2026-01-02', ['b2c'], 2, 1);
"""
FAULTS = {
    "update facts.transactions set attempted = 7": "every_transaction_counts_once",
    "delete from facts.transactions": "every_transaction_counts_once",
    "update facts.transactions set refunded = 2": "outcomes_are_of_attempts",
    "update facts.transactions set failed = 6": "outcomes_are_of_attempts",
    "update facts.transactions set failed = -1": "outcomes_are_of_attempts",
    "insert into raw.transactions by name select * replace ('q.csv' as _file, 0 as \"count\") from raw.transactions "
    "where _row = 3": "transaction_counts_are_in_one_file",
    "insert into facts.transactions select * from facts.transactions": "key_is_unique",
    "update facts.product_users set active = 2": "active_users_are_what_counting_gives",
    "update facts.product_users set registered = 3": "active_users_are_what_counting_gives",
    "delete from staged.registration_spells": "active_users_are_what_counting_gives",
    "update facts.product_users set active = 3": "active_users_are_registered",
    "update staged.registration_spells set to_day = '2026-01-02'": "activity_is_of_registered_users",
}
