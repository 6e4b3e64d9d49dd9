"""Checks of the delivery domain."""

from kpi_pipeline.contracts import TABLES
from kpi_pipeline.stages.checks.model import Check, key_check, null_check
from kpi_pipeline.warehouse import quote

CONTRACT_CHECKED = ("facts.ceremonies", "facts.projects", "facts.intern_tasks")


def _teams_are_known(name: str) -> Check:
    return Check(
        "teams_are_known",
        name,
        "WARN",
        "Every team is in [teams] of kpi.toml; another one may be misspelt, and counts for no other team.",
        f"select team, count(*) as rows from {quote(name)} "
        "where team not in (select team from staged.teams) group by team",
    )


def _accounted_for(name: str, source: str, key: str) -> Check:
    return Check(
        name,
        f"facts.{source}",
        "ERROR",
        f"Every {key} of raw is in facts, or its rows are in quarantine; and nothing else is in facts.",
        f"""with delivered as (
            select lower(trim(regexp_replace({key}, '\\s+', ' ', 'g'))) as {key}, _file, _row
            from {quote("raw." + source)}
        )
        select {key} from delivered
        where {key} not in (select {key} from {quote("facts." + source)}) and (_file, _row) not in (
            select (file, row) from raw.quarantine where source = '{source}' and row is not null)
        union all
        select {key} from {quote("facts." + source)} where {key} not in (select {key} from delivered)""",
        of_shared=True,
    )


CHECKS: tuple[Check, ...] = (
    *(check(TABLES[name]) for name in CONTRACT_CHECKED for check in (key_check, null_check)),
    _teams_are_known("facts.ceremonies"),
    _teams_are_known("facts.projects"),
    _accounted_for("every_project_is_accounted_for", "projects", "project"),
    _accounted_for("every_task_is_accounted_for", "intern_tasks", "task"),
)
