"""Values by period of the right warehouse in test_checks, and what is done to them that a check must notice."""

RIGHT = """
insert into facts.periods values ('month', '2026-01-01', '2026-01-02', false),
    ('rolling_30_days', '2025-12-03', '2026-01-01', true), ('rolling_30_days', '2025-12-04', '2026-01-02', true);
insert into facts.upstream_contributions values ('2026-01-01', 'u/p', 'review', 2);
insert into kpi.kpi_values by name
    select k as kpi_id, g as grain, m as member, s::date as period_start, '2026-01-02'::date as period_end, v as value,
        n as n, 'to date' as status, 'h' as definition_hash, 'r' as run_id, timestamp '2026-01-03' as computed_at
    from (values
        ('qualitative.community_satisfaction', 'organisation', 'organisation', '2026-01-01', 4, 1),
        ('impact_centric.publications_from_hubs', 'organisation', 'organisation', '2026-01-01', 1, 1),
        ('upstream.upstream_contributions', 'organisation', 'organisation', '2026-01-01', 2, 2),
        ('upstream.upstream_contributions', 'project', 'u/p', '2026-01-01', 2, 2),
        ('upstream.upstream_contributions', 'kind', 'review', '2026-01-01', 2, 2)
    ) t (k, g, m, s, v, n)
    union all
    select 'community_guidance.ticket_turnaround_time', g || f, m, s, '2026-01-02', 1, 1, 'to date', 'h', 'r',
        timestamp '2026-01-03'
    from (values ('organisation', 'organisation'), ('community', 'a'), ('product', 'p')) t (g, m)
    cross join (values ('', '2026-01-01'), (':rolling_30_days', '2025-12-04')) u (f, s)
    union all
    select 'engineering.issues_closed_minus_opened', g || f, m, '2026-01-01', '2026-01-02', v, 3, 'to date', 'h', 'r',
        timestamp '2026-01-03'
    from (values ('organisation', 'organisation'), ('repository', 'o/r')) t (g, m)
    cross join (values ('', -1), (':quarter', -1), (':opened', 1), (':reopened', 1), (':closed', 1), (':completed', 1),
        (':open_at_end', 1)) u (f, v);
"""
FAULTS = {
    "update kpi.kpi_values set value = 7 where grain = 'repository:quarter'": "months_sum_to_the_quarter",
    "delete from kpi.kpi_values where kpi_id like '%minus_opened' and grain = 'organisation'":
        "months_sum_to_the_quarter",
    "update kpi.kpi_values set n = 9 where grain = 'community:rolling_30_days'": "windows_are_within_their_months",
    "update kpi.kpi_values set period_start = '2026-01-01', value = 3 where grain like '%:rolling_30_days'":
        "windows_are_within_their_months",
    "update kpi.kpi_values set n = 9 where grain = 'product'": "members_sum_to_the_organisation",
    "delete from kpi.kpi_values where grain = 'kind'": "members_sum_to_the_organisation",
    "update kpi.kpi_values set value = 5 where grain = 'repository:open_at_end'": "issue_months_stock_and_flow",
    "delete from kpi.kpi_values where kpi_id like '%turnaround_time'": "replies_are_in_a_month",
    "update facts.tickets set resolved_at = '2026-01-02 10:00'": "resolutions_are_in_a_month",
    "insert into facts.issue_flows values ('o/r', 2, null, '2025-12-31', '2025-12-31', 'opened', false)":
        "issue_flows_are_in_a_month",
    "insert into facts.issue_flows values ('o/r', 2, null, '2026-01-02', '2026-01-02', 'opened', false)":
        "issue_flows_are_in_a_month",
    "insert into facts.upstream_contributions values ('2026-01-02', 'u/p', 'review', 1)":
        "contributions_are_in_a_month",
    "delete from facts.survey_answers": "answers_are_in_a_month",
    "delete from facts.works": "works_are_in_a_month",
    "insert into raw.publications by name select date '0202-01-01' as date, 'X' as title, 'publication' as kind, "
    "'p.csv' as _file, 1 as _row": "data_is_not_before_the_calendar",
}  # fmt: skip
