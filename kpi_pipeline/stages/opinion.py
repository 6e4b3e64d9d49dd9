"""Raw to facts of the opinion domain: answers, works, declarations, charges. Each table is built anew, whole.

Never here: what a KPI is (catalog/measures), and a person beyond their key.
"""

from collections.abc import Mapping

from kpi_pipeline.contracts import table
from kpi_pipeline.warehouse import Connection, fill, quote, run, sql, transaction


def stage_surveys(con: Connection) -> None:
    """Makes staged.survey_answers, staged.survey_invitations and facts.survey_answers."""
    with transaction(con):
        _rebuild(con, "staged.survey_answers", "survey_answers")
        _rebuild(con, "staged.survey_invitations", "survey_invitations")
        _rebuild(con, "facts.survey_answers", "answers_with_invitations")


def stage_declarations(con: Connection) -> None:
    """Makes staged.community_declarations."""
    with transaction(con):
        _rebuild(con, "staged.community_declarations", "community_declarations")


def count_works(con: Connection) -> None:
    """Makes facts.works."""
    with transaction(con):
        _rebuild(con, "facts.works", "works")


def stage_charges(con: Connection, currency: str) -> None:
    """Makes staged.charges and facts.cost_reductions, and quarantines charges that can't count."""
    with transaction(con):
        run(
            con,
            f"create or replace temp table sorted_charges as {sql('stages', 'charges_sorted_out')}",
            {"currency": currency},
        )
        run(con, "truncate staged.charges")
        fill(
            con,
            table("staged.charges"),
            "select * exclude (is_repeated, is_contradiction, is_foreign) from temp.sorted_charges "
            "where not (is_repeated or is_contradiction or is_foreign) order by first_day, _file, _row",
        )
        _rebuild(con, "facts.cost_reductions", "cost_reductions")
        run(con, "delete from raw.quarantine where source = 'charges' and stage = 'staged'")
        for rejected in REJECTED_CHARGES:
            fill(con, table("raw.quarantine"), rejected)
    run(con, "drop table temp.sorted_charges")


REJECTED_CHARGES = (
    "select 'charges' as source, _file as file, _row as row, 'contradicts_earlier' as reason, 'staged' as stage, "
    "first_day as date from temp.sorted_charges where is_contradiction",
    "select 'charges' as source, _file as file, _row as row, 'other_currency' as reason, 'staged' as stage, "
    "first_day as date from temp.sorted_charges where is_foreign and not is_contradiction and not is_repeated",
)


def _rebuild(con: Connection, name: str, select: str, parameters: Mapping[str, object] | None = None) -> None:
    run(con, f"truncate {quote(name)}")
    fill(con, table(name), sql("stages", select), parameters)
