"""Each check fails on what it is there for: a warehouse that is right, then one thing wrong at a time."""

from collections.abc import Iterator
from datetime import date
from uuid import UUID

import duckdb
import pytest

from kpi_pipeline.contracts import RECORDS, WAREHOUSE
from kpi_pipeline.errors import PublishRefusedError
from kpi_pipeline.stages.checks import CHECKS, evaluate, freshness_check, refuse_if_wrong
from kpi_pipeline.warehouse import Connection, create_tables, run
from kpi_pipeline_tests.integration import (
    cost_faults,
    delivery_faults,
    metric_faults,
    outreach_faults,
    period_faults,
    product_faults,
    quality_faults,
)

AS_OF = date(2026, 1, 2)
PARAMETERS: dict[str, object] = {
    "as_of": AS_OF,
    "rules": ["staff"],
    "min_people": 3,
    "as_of_period_end": [],
    "may_be_empty": [record.source for record in RECORDS.values() if record.may_be_empty],
}
RIGHT = """
insert into raw.loads values ('hub_activity', 'a.csv', 'x', 'k', 400);
insert into raw.hub_activity select date '2026-01-02', 'a', 'one', p, 1, 'a.csv', 1
    from (values ('00000000-0000-0000-0000-000000000001'::uuid), ('00000000-0000-0000-0000-000000000002')) t (p);
insert into raw.hub_activity values ('2026-01-01', 'a', 'one', '00000000-0000-0000-0000-000000000001', 1, 'a.csv', 3);
insert into staged.activity_accounting
    values ('2026-01-01', 1, 0, 0, 0, 0, 0, 1), ('2026-01-02', 2, 0, 0, 0, 0, 0, 2);
insert into staged.user_days select date, 'a/one', person_key from raw.hub_activity;
insert into staged.exclusion_effects values ('2026-01-02', 'staff', 3);
insert into staged.hubs by name select 'a/one' as hub_id, date '2025-01-01' as from_day, date '9999-12-31' as to_day,
    'a' as cluster, 'one' as hub, 'One' as display_name, 'production' as environment, 'hub' as kind,
    'education' as hub_type, ['a', 'reef'] as communities, 'a' as identity_issuer, 'f' as _file, 1 as _row;
insert into raw.access_logs by name select date '2026-01-01' as date, timestamp '2026-01-01 10:00' as hit_at,
    'a' as cluster, 'one' as hub, '00000000-0000-0000-0000-000000000001'::uuid as person_key, 'r' as repo,
    'a/one/a.log' as _file, 1 as _row;
insert into raw.log_files values ('access_logs', 'a/one/a.log', 3, 2);
insert into facts.nbgitpuller_hits by name select date, hit_at, 'a/one' as hub_id, 'education' as hub_type, person_key,
    repo, 1 as hits, true as is_click from raw.access_logs;
insert into raw.tickets by name select 1 as id, timestamp '2026-01-01 10:00' as created_at,
    timestamp '2026-01-01 10:00' as updated_at, 2 as status, uuid() as person_key, 'tickets/1.json' as _file, 1 as _row;
insert into staged.tickets by name select 1 as ticket_id, timestamp '2026-01-01 10:00' as created_at,
    timestamp '2026-01-01 10:00' as updated_at, 2 as status, 'a' as community, 'p' as product, true as has_messages;
insert into facts.tickets by name select 1 as ticket_id, timestamp '2026-01-01 10:00' as created_at, 'a' as community,
    'p' as product, timestamp '2026-01-01 11:00' as replied_at, 1800 as reply_seconds, 600 as reply_business_seconds;
insert into facts.ticket_waits values (1, '2026-01-01 10:00', '2026-01-01 10:30'), (1, '2026-01-01 12:00', null);
insert into facts.members values (1, 'organisation', 'organisation'), (2, 'hub', 'a/one');
insert into facts.cell_members values (1, 1), (1, 2);
insert into facts.user_days select date, 1, person_key from raw.hub_activity;
insert into facts.active_users
    select '2026-01-01', m.grain, m.member, 1, 1, 1, 1, 0, 0 from facts.members m union all
    select '2026-01-02', m.grain, m.member, 2, 2, 2, 1, 0, 0 from facts.members m;
insert into staged.issues values ('o/r', 1, null, '2026-01-01', null, 'open', null, false, null, null, null);
insert into facts.issue_flows values
    ('o/r', 1, null, '2026-01-01', '2026-01-01', 'opened', false),
    ('o/r', 1, null, '2026-01-01', '2026-01-01 10:00', 'completed', false),
    ('o/r', 1, null, '2026-01-02', '2026-01-02', 'reopened', false);
insert into facts.issue_open values
    ('o/r', 1, null, '2026-01-01', '2026-01-01 10:00', 'completed'), ('o/r', 1, null, '2026-01-02', null, null);
insert into facts.issue_assigned values ('o/r', 1, '2026-01-01', '2026-01-01 09:00'), ('o/r', 1, '2026-01-02', null);
insert into facts.technical_issues by name select 'o/r' as repository, 1 as number, timestamp '2026-01-01' as opened_at,
    unnest(['open', 'completed', 'open']) as state, unnest([0, 10, 24]) * interval 1 hour + opened_at as from_at,
    unnest([10, 24, null]) * interval 1 hour + opened_at as to_at, unnest([0, 36000, 36000]) as open_seconds,
    [] as teams, timestamp '2026-01-03' as due_at, 0 as assignees;
insert into facts.deployments values
    ('o/r', 1, 'a/one', true, 'a/one', '2026-01-01 10:00', '2026-01-01 10:01', '2026-01-01 10:05', 'success');
insert into facts.hub_requests values ('o/r', 1, 'a/one', '2026-01-01 10:05');
insert into facts.hub_request_waits values
    ('o/r', 1, '2026-01-01 08:00', '2026-01-01 09:00'), ('o/r', 1, '2026-01-02', null);
insert into kpi.kpi_values
    select 'impact.' || k, 'organisation', 'organisation', '2025-12-04', '2026-01-02', v, null, null, 12, 'ok', 'h',
        'r', timestamp '2026-01-03', null
    from (values ('mau_p10', 1), ('mau_p50', 2), ('mau_p90', 3)) t (k, v);
insert into staged.ledger values ('2026-01-01', 'cost', 'services', null, '2026-01-01', '2026-01-01', 3, 'USD', 1, 3,
    'k.csv', 1);
insert into raw.ledger values ('2026-01-01', 'cost', 'services', 3, 'USD', null, null, null, null, 'k.csv', 1);
insert into facts.recognised values ('ledger', 'k.csv:1', 'cost', 'services', '2026-01-01', 3, 1, 3);
insert into facts.recognised_periods
    select 'cost', 'month', g, m, '2026-01-01', '2026-01-02', false, 3, 0, 1, 'to date'
    from (values ('organisation', 'organisation'), ('category', 'services')) t (g, m);
insert into staged.charges values ('reef', null, '2026-01-31', '2026-02-01', 10, 8.99, 'c', 1);
insert into facts.cost_reductions values ('c', 1, '2026-01-01', '2026-01-31', '2026-01-31', 0.51),
    ('c', 1, '2026-02-01', '2026-02-01', '2026-02-01', 0.50);
insert into facts.works values ('doi:10.1234/x', '2026-01-01', '10.1234/x', 'X', 'publication', ['reef'], 2, 1);
insert into staged.community_declarations values ('reef', '2026-01-01', '9999-12-31', true);
insert into facts.survey_answers by name select date '2026-01-01' as date, 's' as survey, 'satisfaction' as kind,
    'reef' as community, 4 as score, 5 as scale, ['speed'] as themes, 's' as _file, 1 as _row;
insert into facts.survey_answers by name select date '2026-01-01' as date, 's' as survey, 'acceptance' as kind,
    'frontend' as team, ['frontend'] as teams, 9 as score, 10 as scale, [] as themes, 's' as _file, 2 as _row;
insert into staged.teams values ('frontend', null, ['frontend']);
insert into kpi.kpi_values
    select 'qualitative.community_satisfaction', 'community', 'reef', '2026-01-01', '2026-01-02', null, null, null, 2,
        'insufficient', 'h', 'r', timestamp '2026-01-03', null;
"""
# What is done to the warehouse, and the check that must notice.
FAULTS = {
    "insert into facts.active_users select * from facts.active_users limit 1": "key_is_unique",
    "insert into staged.user_days select * from staged.user_days limit 1": "key_is_unique",
    "insert into facts.user_days select * from facts.user_days limit 1": "user_days_key_is_unique",
    "insert into raw.quarantine values ('hub_activity', 'b.csv', null, 'truncated', 'raw', null)": "files_are_readable",
    "insert into raw.quarantine select 'hub_activity', 'a.csv', i, 'invalid:date', 'raw', null from range(5) t (i)":
        "few_records_are_rejected",
    "insert into raw.loads values ('hub_activity', 'empty.csv', 'x', 'k', 0)": "files_hold_records",
    "update staged.activity_accounting set duplicates = 1": "every_record_is_accounted_for",
    "delete from staged.activity_accounting where date = '2026-01-01'": "every_record_is_accounted_for",
    "delete from staged.exclusion_effects": "exclusions_match_something",
    "delete from staged.user_days where date = '2026-01-01'": "staged_days_are_counted",
    "update facts.active_users set new = 0, \"returning\" = 0 where date = '2026-01-02'": "mau_flow_identity",
    "update facts.active_users set wau = 3 where date = '2026-01-02'": "windows_are_nested",
    "update facts.active_users set lapsed = -1, new = new - 1 where date = '2026-01-02'": "windows_are_nested",
    "update facts.active_users set mau = 1, wau = 1, dau = 1, new = 0 where grain <> 'hub' and date = '2026-01-02'":
        "grains_are_consistent",
    "update facts.active_users set wau = 1, dau = 1 where date = '2026-01-02'": "mau_is_what_counting_gives",
    "delete from facts.active_users where grain = 'hub'": "mau_is_what_counting_gives",
    "update kpi.kpi_values set value = 5 where kpi_id = 'impact.mau_p10'": "percentiles_are_ordered",
    "delete from facts.nbgitpuller_hits": "every_landing_is_accounted_for",
    "update facts.nbgitpuller_hits set hits = 2": "every_landing_is_accounted_for",
    "update raw.log_files set lines = 4": "every_log_line_is_accounted_for",
    "update raw.log_files set lines = 0, others = -1": "every_log_line_is_accounted_for",
    "delete from raw.log_files": "every_log_line_is_accounted_for",
    "update facts.nbgitpuller_hits set is_click = false": "clicks_begin_with_the_first_landing",
    "delete from staged.tickets": "every_ticket_is_staged",
    "delete from facts.tickets": "staged_tickets_are_in_facts",
    "update facts.tickets set reply_business_seconds = 1801": "ticket_times_are_possible",
    "update facts.tickets set reply_seconds = 3601": "ticket_times_are_possible",
    "update facts.tickets set reply_seconds = null": "ticket_times_are_possible",
    "update facts.ticket_waits set to_at = '2026-01-01 13:00'": "waits_do_not_overlap",
    "update facts.ticket_waits set to_at = from_at": "waits_do_not_overlap",
    "update kpi.kpi_values set status = 'no data'": "no_value_is_no_zero",
    "insert into facts.recognised values ('ledger', 'a:1', 'cost', 'services', '2026-01-01', 1, 0, 0)":
        "months_sum_to_the_contract",
    "insert into staged.deals values ('1', 'won', 'grants', '2026-01-01', '2026-01-01', '2026-01-01', 1, 'USD', 1, 1, "
    "null, false, 'd.csv', 1)": "months_sum_to_the_contract",
    "insert into facts.recognised values ('ledger', 'a:1', 'cost', 'services', '2026-01-01', 1, 1, 2)":
        "part_of_a_month_is_within_it",
    "update facts.recognised_periods set amount = 2 where grain = 'category'": "periods_hold_what_is_recognised",
    "delete from facts.recognised_periods": "periods_hold_what_is_recognised",
    "insert into raw.ledger values ('2026-01-01', 'cost', 'rent', 1, 'USD', null, null, null, null, 'l.csv', 1)":
        "every_ledger_line_is_accounted_for",
    "insert into staged.deals values ('1', 'lost', 'grants', '2026-01-01', '2026-01-01', '2026-01-01', 1, 'USD', 1, 1, "
    "null, false, 'd.csv', 1)": "every_deal_is_accounted_for",
    "insert into raw.ledger select '2026-01-01', 'cost', 'rent', 1, 'USD', null, null, null, null, f, 1 "
    "from (values ('l.csv'), ('m.csv')) t (f)": "ledger_files_do_not_overlap",
    "update kpi.kpi_values set status = 'no data' where value is not null": "no_value_is_no_zero",
    "update staged.charges set charged_price = 9": "months_sum_to_the_charge",
    "delete from facts.cost_reductions": "months_sum_to_the_charge",
    "update kpi.kpi_values set value = 4 where grain = 'community'": "few_people_are_not_shown",
    "update kpi.kpi_values set numerator = 8 where grain = 'community'": "few_people_are_not_shown",
    "update facts.survey_answers set community = 'raef'": "communities_are_known",
    "update facts.survey_answers set team = 'forntend' where team is not null": "teams_of_answers_are_known",
    "update facts.works set contents = 2": "reports_of_a_work_agree",
    **cost_faults.FAULTS,
    **period_faults.FAULTS,
    **quality_faults.FAULTS,
    **metric_faults.FAULTS,
    **delivery_faults.FAULTS,
    **product_faults.FAULTS,
    "delete from facts.issue_flows where flow = 'reopened'": "issue_stock_and_flow",
    "delete from facts.issue_open where to_at is null": "issue_stock_and_flow",
    "update facts.issue_open set to_at = '2026-01-02 01:00' where to_at is not null": "issue_spells_are_apart",
    "update facts.issue_open set to_at = '2025-12-31' where to_at is not null": "issue_spells_are_apart",
    "update facts.issue_assigned set to_at = '2026-01-02 01:00' where to_at is not null": "assigned_spells_are_apart",
    "update staged.issues set state = 'closed'": "listing_agrees_with_events",
    "update facts.deployments set started_at = '2026-01-01 09:59'": "deployment_times_are_possible",
    "update facts.deployments set finished_at = '2026-01-01 10:00'": "deployment_times_are_possible",
    "update facts.deployments set outcome = null": "deployment_times_are_possible",
    "update facts.hub_request_waits set to_at = '2026-01-02' where to_at is not null": "hub_request_waits_are_apart",
    "update facts.hub_request_waits set to_at = from_at": "hub_request_waits_are_apart",
    "insert into facts.hub_requests values ('o/r', 2, 'a/one', '2026-01-01')": "hubs_are_asked_for_once",
    "update facts.hub_requests set completed_at = '2026-01-01 10:06'": "hubs_are_asked_for_once",
    "update facts.deployments set hub_id = null": "production_deployments_name_a_hub",
    **outreach_faults.FAULTS,
    "update facts.technical_issues set state = 'completed'": "technical_issues_follow_their_spells",
    "update facts.technical_issues set to_at = from_at": "technical_issues_follow_their_spells",
    "update facts.technical_issues set open_seconds = 90000": "technical_issues_follow_their_spells",
    "update facts.technical_issues set opened_at = '2026-01-01 01:00'": "technical_issues_follow_their_spells",
    "update facts.technical_issues set due_at = null": "technical_issues_have_an_agreed_time",
    "update facts.technical_issues set team = 'frontned'": "teams_of_issues_are_known",
}  # fmt: skip


@pytest.fixture
def con() -> Iterator[Connection]:
    with duckdb.connect() as connection:
        create_tables(connection, WAREHOUSE)
        connection.execute(RIGHT)
        connection.execute(cost_faults.RIGHT)
        connection.execute(period_faults.RIGHT)
        connection.execute(quality_faults.RIGHT)
        connection.execute(metric_faults.RIGHT)
        connection.execute(delivery_faults.RIGHT)
        connection.execute(product_faults.RIGHT)
        connection.execute(outreach_faults.RIGHT)
        yield connection


def failing(con: Connection) -> set[str]:
    return {check.name for check in CHECKS if not evaluate(con, check, PARAMETERS).passed}


def test_a_right_warehouse_passes(con: Connection) -> None:
    assert failing(con) == set()
    refuse_if_wrong(con, CHECKS, PARAMETERS)


ANSWERS = """
truncate facts.survey_answers;
delete from kpi.kpi_values where kpi_id = 'qualitative.community_satisfaction';
insert into facts.survey_answers by name select date '2026-01-01' + (i // 2)::integer as date, 's' as survey,
    'satisfaction' as kind, 5 as scale, 'reef' as community, case when i < $known then p::uuid end as person_key,
    4 as score, ['speed'] as themes, 's' as _file, i as _row, date '2026-01-01' as invited_on,
    'reef' as invited_community
    from range(4) t (i), (select '00000000-0000-0000-0000-00000000000' || (i % $people)) u (p);
insert into kpi.kpi_values
    select 'qualitative.community_satisfaction', $grain, $member, '2026-01-01', '2026-01-02', 4, 4, 4, 4,
        'insufficient', 'h', 'r', timestamp '2026-01-03', null;
"""


@pytest.mark.parametrize("grain", ["community", "community:share_of_best", "community:response_rate", "theme"])
@pytest.mark.parametrize(
    ("people", "known", "passes"), [(2, 4, False), (3, 4, True), (2, 2, True), (1, 3, False), (1, 2, True)]
)
def test_people_are_counted_and_not_answers(con: Connection, grain: str, people: int, known: int, passes: bool) -> None:
    """Four answers, of which `known` come from `people` respondents; of the others nobody knows who gave them."""
    told = {"known": known, "people": people, "grain": grain, "member": "speed" if grain == "theme" else "reef"}
    for statement in ANSWERS.split(";")[:-1]:
        run(con, statement, told)
    assert ("few_people_are_not_shown" not in failing(con)) == passes


@pytest.mark.parametrize("source", ["tickets", "github", "access_logs"])
def test_an_empty_page_or_log_is_nothing_to_wonder_at(con: Connection, source: str) -> None:
    con.execute("insert into raw.loads values (?, 'empty', 'x', 'k', 0)", [source])
    assert failing(con) == set()


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_noticed(con: Connection, fault: str) -> None:
    con.execute(fault)
    assert FAULTS[fault] in failing(con)


def test_every_check_is_shown_to_fail() -> None:
    """no_nulls can't be made to fail: the tables refuse nulls themselves."""
    assert {check.name for check in CHECKS} - set(FAULTS.values()) == {"no_nulls", "user_days_no_nulls"}


def test_nulls_are_refused_by_the_table_itself(con: Connection) -> None:
    with pytest.raises(duckdb.ConstraintException):
        con.execute("insert into staged.user_days values ('2026-01-01', null, ?)", [UUID(int=1)])


def test_the_gate_names_check_and_rows(con: Connection) -> None:
    con.execute("update facts.active_users set wau = 3 where date = '2026-01-02' and grain = 'hub'")
    with pytest.raises(PublishRefusedError) as caught:
        refuse_if_wrong(con, CHECKS, PARAMETERS)
    assert "windows_are_nested" in str(caught.value)
    assert "a/one" in str(caught.value)


def test_a_warning_does_not_close_the_gate(con: Connection) -> None:
    con.execute("delete from staged.exclusion_effects")
    refuse_if_wrong(con, CHECKS, PARAMETERS)


@pytest.mark.parametrize(
    ("as_of", "max_age", "passes"),
    [
        (date(2026, 1, 2), 0, True),
        (date(2026, 1, 4), 2, True),
        (date(2026, 1, 5), 2, False),
        (date(2027, 1, 5), None, True),
        (date(2025, 12, 31), 2, False),
    ],
)
def test_data_must_be_newer_than_its_deadline(con: Connection, as_of: date, max_age: int | None, passes: bool) -> None:
    """The newest activity is of 2 January; before the first data there is none, which isn't fresh either."""
    outcome = evaluate(con, freshness_check("hub_activity"), {"as_of": as_of, "max_age_days": max_age})
    assert outcome.passed is passes
