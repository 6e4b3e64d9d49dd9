"""API calls and uptime of the right warehouse in test_checks, and what is done to them that a check must notice."""

RIGHT = """
insert into facts.api_calls values ('2026-01-01', 'hubs', 'b2b', 'acme', 10.5), ('2026-01-02', 'hubs', null, null, 3);
insert into facts.api_times values ('2026-01-01', 'hubs', 'b2b', 10.5, 2, 0, 0);
insert into facts.api_buckets values ('2026-01-01', 'hubs', 'b2b', 0.5, 1, 10),
    ('2026-01-01', 'hubs', 'b2b', null, 1, 10.5);
insert into facts.uptime values ('2026-01-01', 'hubs', 43200, 43200, 43200, 12);
"""
FAULTS = {
    "delete from facts.api_calls where date = '2026-01-02'": "api_calls_have_no_gap",
    "update facts.api_calls set audience = 'business'": "audiences_are_known",
    "update facts.api_times set untimed_calls = 1": "calls_have_durations",
    "update facts.api_times set uncounted_seconds = 0.001": "calls_have_durations",
    "insert into facts.api_buckets select * from facts.api_buckets where le is null": "key_is_unique",
    "update facts.uptime set unobserved_seconds = 43201": "observed_time_is_within_the_day",
    "update facts.uptime set up_seconds = 43200.5": "observed_time_is_within_the_day",
    "update facts.uptime set observed_seconds = 86401, unobserved_seconds = -1": "observed_time_is_within_the_day",
}
