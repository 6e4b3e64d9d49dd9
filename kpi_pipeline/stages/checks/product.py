"""Checks of the product domain."""

from kpi_pipeline.contracts import TABLES
from kpi_pipeline.stages.checks.model import Check, key_check, null_check

CONTRACT_CHECKED = ("facts.transactions", "staged.registration_spells", "facts.product_users")

CHECKS: tuple[Check, ...] = (
    *(check(TABLES[name]) for name in CONTRACT_CHECKED for check in (key_check, null_check)),
    Check(
        "every_transaction_counts_once",
        "facts.transactions",
        "ERROR",
        "Attempted = ids that aren't all in quarantine + counts of rows without an id.",
        """with accepted as (
            select r.transaction_id, coalesce(r."count", 1) as n
            from raw.transactions r
            anti join (select file, row from raw.quarantine where source = 'transactions' and stage = 'staged') q
                on r._file = q.file and r._row = q.row
        ),
        expected as (
            select count(distinct transaction_id) + coalesce(sum(n) filter (where transaction_id is null), 0) as n
            from accepted
        )
        select n as expected, attempted
        from expected cross join (select coalesce(sum(attempted), 0) as attempted from facts.transactions)
        where n <> attempted""",
        of_shared=True,
    ),
    Check(
        "outcomes_are_of_attempts",
        "facts.transactions",
        "ERROR",
        "Refunded transactions had succeeded, and those that succeeded or failed had been attempted.",
        "select date, product, kind, attempted, succeeded, failed, refunded from facts.transactions "
        "where refunded > succeeded or succeeded + failed > attempted or least(refunded, failed) < 0",
    ),
    Check(
        "transaction_counts_are_in_one_file",
        "facts.transactions",
        "WARN",
        "Transactions without an id of a day, product and kind are in one file; in several they are added up, which is "
        "wrong if one repeats the other.",
        """select attempted_at::date as date, lower(trim(product)) as product, kind, count(distinct _file) as files
        from raw.transactions where transaction_id is null
        group by all having count(distinct _file) > 1""",
    ),
    Check(
        "active_users_are_what_counting_gives",
        "facts.product_users",
        "ERROR",
        "On its newest day, the running sums give what counting the people of the 30 days gives.",
        """with newest as (select max(date) as date from facts.product_users),
        active as (
            select distinct a.person_key
            from raw.product_activity a
            join newest n on a.date between n.date - 29 and n.date
            join staged.registration_spells s
                on a.person_key = s.person_key and a.date >= s.from_day and a.date < s.to_day
        ),
        counted as (
            select s.audiences, count(*) as registered, count(a.person_key) as active
            from staged.registration_spells s
            join newest n on s.from_day <= n.date and n.date < s.to_day
            left join active a on s.person_key = a.person_key
            group by s.audiences
        ),
        summed as (select * from facts.product_users where date = (select date from newest))
        select audiences, c.registered, s.registered as summed_registered, c.active, s.active as summed_active
        from counted c full join summed s using (audiences)
        where coalesce(c.registered, 0) is distinct from s.registered
            or coalesce(c.active, 0) is distinct from s.active""",
    ),
    Check(
        "active_users_are_registered",
        "facts.product_users",
        "ERROR",
        "No more users are active than are registered.",
        "select date, audiences, active, registered from facts.product_users where active not between 0 and registered",
    ),
    Check(
        "activity_is_of_registered_users",
        "facts.product_users",
        "WARN",
        "Who is active is registered on that day; the activity of others isn't counted.",
        """select a.date, count(distinct a.person_key) as not_registered
        from raw.product_activity a
        anti join staged.registration_spells s
            on a.person_key = s.person_key and a.date >= s.from_day and a.date < s.to_day
        group by a.date""",
    ),
)
