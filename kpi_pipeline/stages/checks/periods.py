"""Checks of values by period: months against quarters, windows and facts. What a measure means is not known here."""

from collections.abc import Iterable

from kpi_pipeline.contracts.tables import BUSINESS_HOURS, PERIODS
from kpi_pipeline.stages.calendar import BEGINS, OLDEST
from kpi_pipeline.stages.checks.model import Check, key_check, null_check
from kpi_pipeline.warehouse import quote

TURNAROUND, COMPLETION = "community_guidance.ticket_turnaround_time", "engineering.issue_completion_time"
FLOWS, UPSTREAM = "engineering.issues_closed_minus_opened", "upstream.upstream_contributions"
SATISFACTION, WORKS = "qualitative.community_satisfaction", "impact_centric.publications_from_hubs"
INTEGRATIONS, PARTNERSHIPS = "tech_team.sample_integrations_created", "tech_team.technical_partnerships_established"
COLLABORATIONS = "developer_relations.open_source_collaborations_established"
CHANNELS, EVENTS = "developer_relations.community_channels_created", "developer_relations.developer_events_organised"
DOCUMENTS = "technical_writer.documentation_resources_published"
OUTREACH = (INTEGRATIONS, PARTNERSHIPS, COLLABORATIONS, CHANNELS, EVENTS)
# Of counts and amounts, the months' values sum to the quarter's; of means and times, what they were taken of does.
SUMMED = {
    **dict.fromkeys((FLOWS, UPSTREAM, WORKS, "impact_centric.cost_reduction_given"), "value"),
    **dict.fromkeys(("sustainability.monthly_revenue", "sustainability.monthly_operational_costs"), "value"),
    **dict.fromkeys((TURNAROUND, COMPLETION, SATISFACTION), "n"),
    **dict.fromkeys(OUTREACH, "value"),
}
# Dimensions of which every observation has exactly one member.
WHOLE = (
    *((TURNAROUND, grain) for grain in ("community", "product")),
    *((kpi_id, "repository") for kpi_id in (COMPLETION, FLOWS)),
    *((UPSTREAM, grain) for grain in ("project", "kind")),
    *((kpi_id, "platform" if kpi_id == CHANNELS else "kind") for kpi_id in OUTREACH),
)
IN_A_MONTH = "date_trunc('month', period_start) = date_trunc('month', period_end)"
# How many observations there are in facts.
COUNTED = {
    "replies_are_in_a_month": (
        TURNAROUND,
        "organisation",
        "select count(*) as n, replied_at::date as date from facts.tickets where exclusion is null group by 2",
    ),
    "resolutions_are_in_a_month": (
        TURNAROUND,
        "organisation:resolution",
        "select count(*) as n, resolved_at::date as date from facts.tickets where exclusion is null group by 2",
    ),
    "issue_flows_are_in_a_month": (
        FLOWS,
        "organisation",
        "select count(*) as n, date from facts.issue_flows "
        "where flow in ('opened', 'reopened', 'completed', 'not_planned', 'duplicate') group by date",
    ),
    "contributions_are_in_a_month": (
        UPSTREAM,
        "organisation",
        "select contributions as n, date from facts.upstream_contributions",
    ),
    "answers_are_in_a_month": (
        SATISFACTION,
        "organisation",
        "select count(*) as n, date from facts.survey_answers "
        "where kind = 'satisfaction' and subject is null group by date",
    ),
    "works_are_in_a_month": (WORKS, "organisation", "select count(*) as n, date from facts.works group by date"),
    "integrations_are_in_a_month": (INTEGRATIONS, "organisation", "select 1 as n, date from facts.integrations"),
    "partnerships_are_in_a_month": (
        PARTNERSHIPS,
        "organisation",
        "select 1 as n, min(established_on) as date from facts.partnerships group by partner "
        "having arg_min(kind, established_on) <> 'other'",
    ),
    "collaborations_are_in_a_month": (COLLABORATIONS, "organisation", "select 1 as n, date from facts.collaborations"),
    "channels_are_in_a_month": (CHANNELS, "organisation", "select 1 as n, date from facts.community_channels"),
    "events_are_in_a_month": (EVENTS, "organisation", "select 1 as n, date from facts.developer_events"),
    "documents_are_in_a_month": (
        DOCUMENTS,
        "organisation",
        "select 1 as n, min(date) as date from facts.document_changes group by resource, date_trunc('month', date)",
    ),
}


def _texts(words: Iterable[str]) -> str:
    return ", ".join(f"'{word}'" for word in words)


def _counted(name: str, kpi_id: str, grain: str, facts: str) -> Check:
    return Check(
        name,
        "kpi.kpi_values",
        "ERROR",
        f"The months of {kpi_id} ({grain}) hold every observation from {OLDEST.year} up to the as-of day, each once.",
        f"""select months.n as months, facts.n as facts
        from (
            select sum(n) as n from kpi.kpi_values
            where kpi_id = '{kpi_id}' and grain = '{grain}' and {IN_A_MONTH}
        ) as months
        cross join (
            select coalesce(sum(n), 0) as n from ({facts})
            where date <= $as_of and date >= (
                select least(min(period_end), date '{OLDEST}') from facts.periods where kind = 'rolling_30_days')
        ) as facts
        where coalesce(months.n, 0) <> facts.n and not exists (
            from kpi.kpi_values where kpi_id = '{kpi_id}' and status = 'no data: not connected')""",
    )


CHECKS: tuple[Check, ...] = (
    *(check(table) for table in (PERIODS, BUSINESS_HOURS) for check in (key_check, null_check)),
    Check(
        "data_is_not_before_the_calendar",
        "facts.periods",
        "WARN",
        "No record is so old that no period holds it: its year is probably mistyped.",
        "select source, records, oldest from ("
        + " union all ".join(
            f"select '{source}' as source, count(*) as records, min({day}) as oldest from {quote('raw.' + source)} "
            f"where {day} < (select min(period_end) from facts.periods where kind = 'rolling_30_days')"
            for source, day in BEGINS.items()
        )
        + ") where records > 0",
    ),
    Check(
        "months_sum_to_the_quarter",
        "kpi.kpi_values",
        "ERROR",
        "The months of a quarter (to date) sum to it: values of counts and amounts, observations of means and times.",
        f"""with summed as (
            select unnest([{_texts(SUMMED)}]) as kpi_id,
                unnest([{_texts(SUMMED.values())}]) as what
        ),
        figure as (
            select v.kpi_id, replace(v.grain, ':quarter', '') as grain, v.member, v.period_start, v.period_end,
                case s.what when 'n' then v.n else v.value end as amount,
                contains(v.grain, ':quarter') or not {IN_A_MONTH} as is_quarter
            from kpi.kpi_values v join summed s on v.kpi_id = s.kpi_id
            where v.grain not like '%:%' or v.grain like '%:quarter' or v.grain like '%:resolution'
        )
        select q.kpi_id, q.grain, q.member, q.period_start, q.amount, sum(m.amount) as months
        from figure q
        left join figure m
            on not m.is_quarter and q.kpi_id = m.kpi_id and q.grain = m.grain and q.member = m.member
            and m.period_start >= q.period_start and m.period_end <= q.period_end
        where q.is_quarter
        group by all
        having coalesce(q.amount, 0) <> coalesce(sum(m.amount), 0)""",
    ),
    Check(
        "windows_are_within_their_months",
        "kpi.kpi_values",
        "ERROR",
        "30 days hold at most the observations of the months that they touch; where they are a month, the same. Not of "
        "what is as at the end of a period.",
        # Joined by equal months: every window against all months takes twice as long. February may lie between two.
        f"""with rolling as (
            select kpi_id, member, period_start, period_end, value, n,
                rtrim(replace(replace(grain, ':rolling_30_days_', ':'), ':rolling_30_days', ''), ':') as grain,
                date_trunc('month', period_start)::date as first_month,
                (first_month + interval 1 month)::date as second_month,
                date_trunc('month', period_end)::date as last_month
            from kpi.kpi_values
            where contains(grain, ':rolling_30_days') and not list_contains($as_of_period_end::varchar[], kpi_id)
        ),
        month as (
            select kpi_id, grain, member, date_trunc('month', period_start)::date as month, sum(n) as n,
                min(period_start) as period_start, max(period_end) as period_end, any_value(value) as value
            from kpi.kpi_values
            where {IN_A_MONTH} and kpi_id in (select kpi_id from rolling)
            group by all
        )
        select r.kpi_id, r.grain, r.member, r.period_end, r.n,
            coalesce(a.n, 0) + coalesce(b.n, 0) + coalesce(c.n, 0) as months
        from rolling r
        left join month a
            on r.kpi_id = a.kpi_id and r.grain = a.grain and r.member = a.member and r.first_month = a.month
        left join month b
            on r.kpi_id = b.kpi_id and r.grain = b.grain and r.member = b.member and r.second_month = b.month
            and b.month < r.last_month
        left join month c
            on r.kpi_id = c.kpi_id and r.grain = c.grain and r.member = c.member and r.last_month = c.month
            and c.month > r.first_month
        where r.n > coalesce(a.n, 0) + coalesce(b.n, 0) + coalesce(c.n, 0)
            or (a.period_start = r.period_start and a.period_end = r.period_end
                and (a.n <> r.n or a.value is distinct from r.value))""",
    ),
    Check(
        "members_sum_to_the_organisation",
        "kpi.kpi_values",
        "ERROR",
        "Where each observation has one member of a dimension, the members' observations are the organisation's.",
        f"""with dimension as (
            select unnest([{_texts(kpi_id for kpi_id, _ in WHOLE)}]) as kpi_id,
                unnest([{_texts(grain for _, grain in WHOLE)}]) as dimension
        ),
        figure as (
            select kpi_id, split_part(grain, ':', 1) as grain, split_part(grain, ':', 2) as figure, period_start,
                period_end, sum(n) as n
            from kpi.kpi_values where kpi_id in (select kpi_id from dimension) group by all
        )
        select o.kpi_id, d.dimension, o.figure, o.period_start, o.period_end, o.n, m.n as members
        from figure o
        join dimension d on o.kpi_id = d.kpi_id
        left join figure m
            on o.kpi_id = m.kpi_id and m.grain = d.dimension and o.figure = m.figure
            and o.period_start = m.period_start and o.period_end = m.period_end
        where o.grain = 'organisation' and o.figure not in ('spam', 'deleted', 'merged') and o.n <> coalesce(m.n, 0)""",
    ),
    Check(
        "issue_months_stock_and_flow",
        "kpi.kpi_values",
        "ERROR",
        "Open at the end of a month = open at the end of the one before + opened + reopened + transferred in "
        "- closed - transferred out - deleted, at every grain.",
        f"""with month as (
            select split_part(grain, ':', 1) as grain, member, period_start,
                max(value) filter (where grain like '%:open_at_end') as stock,
                sum(case split_part(grain, ':', 2)
                    when 'opened' then value when 'reopened' then value when 'transferred_in' then value
                    when 'closed' then -value when 'transferred_out' then -value when 'deleted' then -value
                    else 0 end) as flow
            from kpi.kpi_values
            where kpi_id = '{FLOWS}' and grain not like '%:week' and grain not like '%:quarter'
            group by all
        )
        select grain, member, period_start, stock, flow, stock_before from (
            select *, lag(stock, 1, 0) over (partition by grain, member order by period_start) as stock_before
            from month
        ) where stock <> stock_before + flow""",
    ),
    *(_counted(name, *of_what) for name, of_what in COUNTED.items()),
)
