"""Outreach in the right warehouse of test_checks, and what is done to it that a check must notice."""

RIGHT = """
insert into facts.partnerships values
    ('reef', 'other', '2026-01-01', '2026-01-01', null, null, '2026-01-02'),
    ('reef', 'adopter', '2026-01-02', null, null, null, null);
"""
FAULTS = {
    "insert into facts.integrations values ('2026-01-02', 'sdk', 'x')": "integrations_are_in_a_month",
    "insert into facts.partnerships values ('kelp', 'sponsor', '2026-01-02', null, null, null, null)":
        "partnerships_are_in_a_month",
    "insert into facts.collaborations values ('2026-01-02', 'o/r', 'code')": "collaborations_are_in_a_month",
    "insert into facts.community_channels values ('2026-01-02', 'zulip', 'x')": "channels_are_in_a_month",
    "insert into facts.developer_events values ('2026-01-02', 'x', 'meetup')": "events_are_in_a_month",
    "insert into facts.document_changes values ('2026-01-02', 'x', 'documentation', 'updated')":
        "documents_are_in_a_month",
    "insert into facts.document_changes values ('2026-01-01', 'x', 'documentation', 'updated'), "
    "('2026-01-02', 'x', 'documentation', 'created')": "resources_are_created_once",
    "update facts.partnerships set ended_on = '2026-01-03' where ended_on is not null":
        "partnerships_follow_each_other",
    "update facts.partnerships set ended_on = null": "partnerships_follow_each_other",
}  # fmt: skip
