"""Checks of the hub domain, and of the tables that all domains share."""

from kpi_pipeline.contracts import TABLES
from kpi_pipeline.stages.checks.model import Check, key_check, null_check

CONTRACT_CHECKED = (
    "staged.hubs",
    "staged.user_days",
    "staged.activity_accounting",
    "facts.user_days",
    "facts.active_users",
    "kpi.kpi_values",
)

CHECKS: tuple[Check, ...] = (
    *(check(TABLES[name]) for name in CONTRACT_CHECKED for check in (key_check, null_check)),
    Check(
        "files_are_readable",
        "raw.quarantine",
        "ERROR",
        "Every landed file can be read as a whole; one that can't be would shrink every number in silence.",
        "select source, file, reason from raw.quarantine where row is null",
        of_shared=True,
    ),
    Check(
        "files_hold_records",
        "raw.quarantine",
        "WARN",
        "Every landed file has at least one record, unless its source may well have none; an empty export looks like a "
        "quiet day.",
        """select source, file from raw.loads l
        where rows = 0 and source not in (select unnest($may_be_empty::varchar[]))
            and file not in (select file from raw.quarantine q where q.source = l.source)""",
    ),
    Check(
        "few_records_are_rejected",
        "raw.quarantine",
        "WARN",
        "At most 1 % of the records of a source are in quarantine.",
        """select source, count(*) as rejected from raw.quarantine group by source
        having count(*) > 0.01 * (select coalesce(sum(rows), 0) from raw.loads l where l.source = quarantine.source)""",
    ),
    Check(
        "every_record_is_accounted_for",
        "staged.activity_accounting",
        "ERROR",
        "Raw records = quarantined + duplicates + excluded + staging + binder + qualifying, on every day.",
        """select * from staged.activity_accounting
        where raw_rows <> quarantined + duplicates + excluded + staging + binder + qualifying
        union all
        select date, count(*), 0, 0, 0, 0, 0, 0 from raw.hub_activity r group by date
        having count(*) <> coalesce((select raw_rows from staged.activity_accounting a where a.date = r.date), 0)""",
    ),
    Check(
        "exclusions_match_something",
        "staged.exclusion_effects",
        "WARN",
        "Every rule of the register matches at least one user-day; one that matches none is probably misspelt.",
        "select rule_id from (select unnest($rules::varchar[]) as rule_id) "
        "where rule_id not in (select rule_id from staged.exclusion_effects where date <= $as_of)",
    ),
    Check(
        "staged_days_are_counted",
        "facts.user_days",
        "ERROR",
        "Every qualifying user-day is in facts, and nothing else.",
        """select coalesce(s.date, f.date) as date, s.n as staged, f.n as counted
        from (select date, count(*) as n from staged.user_days group by date) s
        full join (select date, count(*) as n from facts.user_days group by date) f on s.date = f.date
        where s.n is distinct from f.n""",
        of_shared=True,
    ),
    Check(
        "mau_flow_identity",
        "facts.active_users",
        "ERROR",
        "MAU(D) = MAU(D-1) + new(D) + returning(D) - lapsed(D), at every grain on every day.",
        """select d.date, d.grain, d.member, d.mau, b.mau as before, d.new, d."returning", d.lapsed
        from facts.active_users d
        left join facts.active_users b on d.grain = b.grain and d.member = b.member and d.date = b.date + 1
        where d.mau <> coalesce(b.mau, 0) + d.new + d."returning" - d.lapsed""",
    ),
    Check(
        "windows_are_nested",
        "facts.active_users",
        "ERROR",
        "0 <= DAU <= WAU <= MAU, and no negative flow.",
        """select date, grain, member, dau, wau, mau from facts.active_users
        where not (0 <= dau and dau <= wau and wau <= mau) or least(new, "returning", lapsed) < 0""",
    ),
    Check(
        "grains_are_consistent",
        "facts.active_users",
        "ERROR",
        "The organisation has at least the people of its largest member, and at most the sum over its hubs.",
        """with whole as (select date, mau from facts.active_users where grain = 'organisation'),
        part as (
            select date, grain, max(mau) as largest, sum(mau) as total
            from facts.active_users where grain <> 'organisation' group by date, grain
        )
        select w.date, p.grain, w.mau, p.largest, p.total from whole w join part p on w.date = p.date
        where w.mau < p.largest or w.mau > p.total""",
    ),
    Check(
        "mau_is_what_counting_gives",
        "facts.active_users",
        "ERROR",
        "On the as-of day, MAU, WAU and DAU at every grain equal a plain count(distinct person_key).",
        """with counted as (
            select m.grain, m.member, count(distinct u.person_key) as mau,
                count(distinct u.person_key) filter (where u.date > $as_of::date - 7) as wau,
                count(distinct u.person_key) filter (where u.date = $as_of) as dau
            from facts.user_days u
            join facts.cell_members c on c.cell = u.cell join facts.members m on m.member_id = c.member_id
            where u.date between $as_of::date - 29 and $as_of group by all
        )
        select coalesce(a.grain, c.grain) as grain, coalesce(a.member, c.member) as member, a.mau, c.mau as counted
        from (select * from facts.active_users where date = $as_of) a
        full join counted c on c.grain = a.grain and c.member = a.member
        where coalesce(a.mau, 0) <> coalesce(c.mau, 0) or coalesce(a.wau, 0) <> coalesce(c.wau, 0)
            or coalesce(a.dau, 0) <> coalesce(c.dau, 0)""",
        of_shared=True,
    ),
    Check(
        "percentiles_are_ordered",
        "kpi.kpi_values",
        "ERROR",
        "p10 <= p50 <= p90 on every day.",
        """select a.period_end, a.value as p10, b.value as p50, c.value as p90
        from kpi.kpi_values a
        join kpi.kpi_values b on b.grain = a.grain and b.period_end = a.period_end and b.kpi_id = 'impact.mau_p50'
        join kpi.kpi_values c on c.grain = a.grain and c.period_end = a.period_end and c.kpi_id = 'impact.mau_p90'
        where a.kpi_id = 'impact.mau_p10' and a.grain = 'organisation'
            and not (a.value <= b.value and b.value <= c.value)""",
    ),
    Check(
        "no_value_is_no_zero",
        "kpi.kpi_values",
        "ERROR",
        "A value without data is NULL, never 0.",
        "select kpi_id, grain, member, period_end from kpi.kpi_values "
        "where status like 'no data%' and value is not null",
    ),
)
