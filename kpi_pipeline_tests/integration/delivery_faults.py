"""The checks of the delivery domain: what is right, and one thing wrong at a time."""

RIGHT = """
insert into staged.teams values ('devops', null, ['devops']);
insert into facts.ceremonies values ('2026-01-01', 'devops', ['devops'], 'stand-up', 4, 3);
insert into raw.projects values ('Health  Page', 'DevOps', null, '2026-01-01', null, null, 3, 'p.csv', 1);
insert into raw.loads values ('projects', 'p.csv', 'x', 'k', 200);
insert into raw.projects values ('twice', 'devops', null, '2026-01-01', null, null, 3, 'p.csv', 2),
    ('twice', 'devops', null, '2026-01-01', '2026-01-01', null, 3, 'p.csv', 3);
insert into raw.quarantine
    select 'projects', 'p.csv', row, 'conflicting_duplicate', 'staged', null from (values (2), (3)) t (row);
insert into facts.projects values ('health page', 'devops', ['devops'], null, '2026-01-01', null, null, 3);
insert into raw.intern_tasks values ('T-1', '2026-01-01', null, null, null, 5, 't.csv', 1);
insert into facts.intern_tasks values ('t-1', '2026-01-01', null, null, null, 5);
"""
FAULTS = {
    "update facts.ceremonies set team = 'devosp'": "teams_are_known",
    "update facts.projects set team = 'devosp'": "teams_are_known",
    "delete from facts.projects": "every_project_is_accounted_for",
    "delete from raw.projects where _row = 1": "every_project_is_accounted_for",
    "delete from raw.quarantine where source = 'projects' and row = 3": "every_project_is_accounted_for",
    "delete from facts.intern_tasks": "every_task_is_accounted_for",
    "delete from raw.intern_tasks": "every_task_is_accounted_for",
    "insert into facts.projects from facts.projects": "key_is_unique",
    "insert into facts.intern_tasks from facts.intern_tasks": "key_is_unique",
}
