"""Checks of the opinion domain."""

from kpi_pipeline.contracts import TABLES
from kpi_pipeline.stages.checks.model import Check, key_check, null_check

CONTRACT_CHECKED = (
    "facts.survey_answers",
    "staged.community_declarations",
    "facts.works",
    "facts.cost_reductions",
)

CHECKS: tuple[Check, ...] = (
    *(check(TABLES[name]) for name in CONTRACT_CHECKED for check in (key_check, null_check)),
    Check(
        "months_sum_to_the_charge",
        "facts.cost_reductions",
        "ERROR",
        "The months of every charge sum to list price less charged price, to the cent.",
        """select c._file, c._row, c.list_price - c.charged_price as reduction, r.months
        from staged.charges c
        full join (select _file, _row, sum(reduction) as months from facts.cost_reductions group by all) r
            on r._file = c._file and r._row = c._row
        where c.list_price - c.charged_price is distinct from r.months""",
    ),
    Check(
        "few_people_are_not_shown",
        "kpi.kpi_values",
        "ERROR",
        "No value of satisfaction that rests on fewer than 3 answers is shown for a community or a theme.",
        """select grain, member, period_start, period_end from kpi.kpi_values
        where kpi_id = 'qualitative.community_satisfaction' and not starts_with(grain, 'organisation')
            and n < 3 and coalesce(value, numerator, denominator) is not null""",
    ),
    Check(
        "communities_are_known",
        "facts.survey_answers",
        "WARN",
        "Communities in surveys, publications, declarations and charges are in the registry; others may be misspelt.",
        """with named as (
            select community from facts.survey_answers
            union select community from staged.survey_invitations
            union select community from staged.community_declarations
            union select community from staged.charges
            union select unnest(communities) from facts.works
        )
        select community from named
        where community not in (select unnest(communities) from staged.hubs)""",
    ),
    Check(
        "reports_of_a_work_agree",
        "facts.works",
        "WARN",
        "Records that share a DOI have the same title and kind; the first one counts.",
        "select work, reports, contents from facts.works where contents > 1",
    ),
)
