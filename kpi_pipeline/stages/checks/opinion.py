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
        "No value of satisfaction that rests on fewer than min_people respondents is shown for a community or a theme; "
        "an anonymous answer is a respondent of its own.",
        """with answer as (
            select *, coalesce(person_key::varchar, _file || '/' || _row) as person
            from facts.survey_answers where date <= $as_of and kind = 'satisfaction' and subject is null
        ),
        said as (
            select unnest(['community', 'community:share_of_best']) as grain, community as member, date, person
            from answer
            union all
            select 'community:response_rate', invited_community, invited_on, person from answer
            union all
            select 'theme', unnest(themes), date, person from answer
        )
        select v.grain, v.member, v.period_start, v.period_end, v.n, count(distinct s.person) as people
        from kpi.kpi_values v
        left join said s
            on v.grain = s.grain and v.member = s.member and s.date between v.period_start and v.period_end
        where v.kpi_id = 'qualitative.community_satisfaction' and not starts_with(v.grain, 'organisation')
            and coalesce(v.value, v.numerator, v.denominator) is not null
        group by all
        having least(count(distinct s.person), v.n) < $min_people""",
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
        "teams_of_answers_are_known",
        "facts.survey_answers",
        "WARN",
        "Every team in surveys and invitations is in [teams] of kpi.toml; another one may be misspelt.",
        """with named as (
            select team from facts.survey_answers
            union select team from staged.survey_invitations
        )
        select team from named where team not in (select team from staged.teams)""",
    ),
    Check(
        "reports_of_a_work_agree",
        "facts.works",
        "WARN",
        "Records that share a DOI have the same title and kind; the first one counts.",
        "select work, reports, contents from facts.works where contents > 1",
    ),
)
