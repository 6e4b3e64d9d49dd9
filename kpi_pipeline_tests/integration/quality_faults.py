"""Test results and code of the right warehouse in test_checks, and what is done to them that a check must notice."""

RIGHT = """
insert into raw.loads values ('test_results', 'web/unit/r.xml', 'x', 'k', 3), ('code_quality', 'c.csv', 'x', 'k', 3);
insert into staged.teams values ('web', null, ['web']);
insert into raw.test_results by name
    select date '2026-01-01' as date, 'web' as team, 'unit' as suite, 'a' as name, outcome, false as is_flaky,
        'web/unit/r.xml' as _file, row_number() over () as _row
    from (values ('failed'), ('passed'), ('skipped')) t (outcome);
insert into facts.test_results by name
    select date '2026-01-01' as date, 'web' as team, ['web'] as teams, 'unit' as suite, 1 as run, 1 as passed,
        1 as flaky, 0 as failed, 0 as errors, 1 as skipped, 1 as retried;
insert into raw.code_quality by name
    select date '2026-01-01' as date, team, tool, unit, 10 as lines, 'yes' as meets, 'c.csv' as _file, 1 as _row
    from (values ('web', 'x', 'a.py'), (' Web', 'y', 'a.py'), ('web', 'x', 'b.py')) t (team, tool, unit);
insert into facts.code_quality values ('2026-01-01', 'web', ['web'], 2, 2, 20, 20);
"""
FAULTS = {
    "delete from facts.test_results": "every_test_case_is_counted",
    "delete from raw.test_results where outcome = 'failed'": "every_test_case_is_counted",
    "update facts.test_results set passed = 0, flaky = 0": "every_test_case_is_counted",
    "update facts.test_results set flaky = 2": "every_test_case_is_counted",
    "update facts.test_results set team = 'wbe'": "teams_are_known",
    "delete from facts.code_quality": "every_unit_is_counted",
    "update facts.code_quality set units = 3": "every_unit_is_counted",
    "update facts.code_quality set lines_that_meet = 21": "every_unit_is_counted",
    "update facts.code_quality set team = 'wbe'": "teams_are_known",
}
