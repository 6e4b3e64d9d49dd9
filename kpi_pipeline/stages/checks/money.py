"""Checks of the money domain: keys, and that no cent and no line is lost on the way."""

from kpi_pipeline.contracts import TABLES
from kpi_pipeline.stages.checks.model import Check, key_check, null_check
from kpi_pipeline.stages.money import FACTS, STAGED

CHECKS: tuple[Check, ...] = (
    *(check(TABLES[name]) for name in (*STAGED, *FACTS) for check in (key_check, null_check)),
    Check(
        "months_sum_to_the_contract",
        "facts.recognised",
        "ERROR",
        "The months of every ledger line and deal, future ones included, sum to its amount to the cent.",
        """with item as (
            select 'ledger' as source, _file || ':' || _row as item, reported_amount as amount from staged.ledger
            union all
            select 'deals', deal_id, reported_amount from staged.deals where state = 'won' and not in_ledger
        ),
        recognised as (select source, item, sum(amount) as amount from facts.recognised group by all)
        select coalesce(i.source, r.source) as source, coalesce(i.item, r.item) as item, i.amount, r.amount as months
        from item i full join recognised r on i.source = r.source and i.item = r.item
        where i.amount is distinct from r.amount""",
    ),
    Check(
        "part_of_a_month_is_within_it",
        "facts.recognised",
        "ERROR",
        "What a month holds to date is between nothing and its whole share, and nothing without a day.",
        """select source, item, month, amount, amount_to_date from facts.recognised
        where abs(amount_to_date) > abs(amount) or sign(amount_to_date) * sign(amount) < 0
            or (days_to_date = 0 and amount_to_date <> 0)""",
    ),
    Check(
        "periods_hold_what_is_recognised",
        "facts.recognised_periods",
        "ERROR",
        "The categories of a month or quarter sum to what is recognised in it to date, and so does the whole; no month "
        "is missing.",
        """with said as (
            select kind, period, grain, period_start, coalesce(sum(amount), 0) as amount,
                coalesce((
                    select sum(r.amount_to_date) from facts.recognised r
                    where r.kind = p.kind and r.month between p.period_start and p.period_end
                ), 0) as recognised
            from facts.recognised_periods p group by kind, period, grain, period_start, period_end
        )
        select kind, period, grain, period_start, amount, recognised from said where amount <> recognised
        union all
        select distinct kind, 'month', null, month, null, null from facts.recognised
        where days_to_date > 0 and month in (select period_start from facts.periods where kind = 'month')
            and (kind, month) not in (
                select (kind, period_start) from facts.recognised_periods where period = 'month'
            )""",
    ),
    Check(
        "every_ledger_line_is_accounted_for",
        "staged.ledger",
        "ERROR",
        "A line of raw is either staged or in quarantine, and nothing else is staged.",
        """select _file, _row from raw.ledger
        where (_file, _row) not in (select (_file, _row) from staged.ledger)
            and (_file, _row) not in (
                select (file, row) from raw.quarantine where source = 'ledger' and row is not null
            )
        union all
        select _file, _row from staged.ledger where (_file, _row) not in (select (_file, _row) from raw.ledger)""",
        of_shared=True,
    ),
    Check(
        "every_deal_is_accounted_for",
        "staged.deals",
        "ERROR",
        "A deal of raw is either staged, once, or in quarantine.",
        """select hs_object_id, _file, _row from raw.deals
        where hs_object_id not in (select deal_id from staged.deals)
            and (_file, _row) not in (select (file, row) from raw.quarantine where source = 'deals' and row is not null)
        union all
        select deal_id, _file, _row from staged.deals where deal_id not in (select hs_object_id from raw.deals)""",
        of_shared=True,
    ),
    Check(
        "ledger_files_do_not_overlap",
        "staged.ledger",
        "WARN",
        "No line is in two files: exports that overlap would count twice.",
        """select date, kind, count(distinct _file) as files, count(*) as lines from raw.ledger
        group by date, kind, category, amount, currency, description, service_start, service_end, contract_id
        having count(distinct _file) > 1""",
    ),
)
