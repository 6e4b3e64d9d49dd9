"""Raw to staged: hubs by day, qualifying user-days, exclusions applied once and counted, every record accounted for.

A day is staged as a whole and replaced as a whole, so that any order of runs ends in the same tables.
"""

from collections.abc import Iterable
from datetime import date
from itertools import product

import duckdb
from pydantic import SecretStr

from kpi_pipeline.contracts import table
from kpi_pipeline.errors import ConfigError
from kpi_pipeline.fingerprint import fingerprint
from kpi_pipeline.identity import person_key
from kpi_pipeline.settings import Exclusion
from kpi_pipeline.settings.sources import HubRegistry
from kpi_pipeline.stages import dirty
from kpi_pipeline.warehouse import Connection, fill, run, scalar, sql, transaction

ACTIVITY = "hub_activity"
DAILY_TABLES = ("staged.user_days", "staged.binder_sessions", "staged.activity_accounting", "staged.exclusion_effects")


def stage_hubs(con: Connection, rules: HubRegistry) -> int:
    """Rebuilds staged.hubs from raw.hub_registry and the rules of kpi.toml, and marks the days that it changes.

    Entries that overlap an earlier version of their hub go to quarantine. Returns how many hubs there are.

    Raises:
        ConfigError: a pattern of kpi.toml isn't one for DuckDB.
    """
    _check_patterns(con, rules)
    types = [(glob, name) for name, globs in rules.hub_types.items() for glob in globs]
    parameters = {
        "staging": list(rules.staging),
        "binder": list(rules.binder),
        "type_globs": [glob for glob, _ in types],
        "type_names": [name for _, name in types],
        "community_patterns": [rule.pattern for rule in rules.community],
        "community_columns": [rule.column for rule in rules.community],
    }
    with transaction(con):
        run(con, f"create or replace temp table hub_versions as {sql('stages', 'hub_versions')}", parameters)
        run(con, "delete from raw.quarantine where source = 'hub_registry' and stage = 'staged'")
        fill(
            con,
            table("raw.quarantine"),
            "select 'hub_registry' as source, _file as file, _row as row, 'overlaps_another_version' as reason, "
            "'staged' as stage, valid_from::date as date from temp.hub_versions where is_overlapping",
        )
        run(con, f"create or replace temp table new_hubs as {sql('stages', 'hubs')}")
        dirty.mark(con, dirty.STAGED, sql("stages", "days_with_other_hubs"))
        run(con, "truncate staged.hubs")
        fill(con, table("staged.hubs"), "select * from temp.new_hubs order by hub_id, from_day")
    for name in ("hub_versions", "new_hubs"):
        run(con, f"drop table temp.{name}")
    return int(scalar(con, "select count(distinct hub_id) from staged.hubs"))


def _check_patterns(con: Connection, rules: HubRegistry) -> None:
    for rule in rules.community:
        try:
            run(con, "select regexp_extract('', $pattern, 1)", {"pattern": rule.pattern})
        except duckdb.Error as error:
            raise ConfigError(
                "kpi.toml: sources.hub_registry.community",
                got=repr(rule.pattern),
                expected="a regular expression in RE2's syntax, which has no look-around and no back references",
                fix="Write the pattern without them.",
            ) from error


def stage_user_days(
    con: Connection, rules: Iterable[Exclusion], secret: SecretStr | None, days: Iterable[date]
) -> list[date]:
    """Stages the days that changed, and those asked for; returns them all.

    Args:
        rules: the exclusion register.
        days: days to stage whether they changed or not.
    """
    with transaction(con):
        _exclusion_targets(con, list(rules), secret)
        wanted = sorted({*dirty.days(con, dirty.STAGED), *_days_with_data(con, days)})
        run(con, "create or replace temp table days as select unnest($days::date[]) as date", {"days": wanted})
        if wanted:
            _stage_days(con)
        dirty.clear(con, dirty.STAGED)
        dirty.mark(con, dirty.FACTS, "select date from temp.days")
    for name in ("days", "exclusion_targets"):
        run(con, f"drop table temp.{name}")
    return wanted


def _days_with_data(con: Connection, days: Iterable[date]) -> list[date]:
    chosen = {"days": list(days)}
    statement = "select distinct date from raw.hub_activity where list_contains($days::date[], date)"
    return [row[0] for row in run(con, statement, chosen)] if chosen["days"] else []


def _exclusion_targets(con: Connection, rules: list[Exclusion], secret: SecretStr | None) -> None:
    """Makes temp.exclusion_targets; where it differs from last time, every day has to be staged anew."""
    run(
        con,
        "create or replace temp table exclusion_rules (rule_id varchar, cluster varchar, hub varchar, first_day date, "
        "last_day date, names_people boolean)",
    )
    run(con, "create or replace temp table exclusion_people (rule_id varchar, issuer varchar, person_key uuid)")
    issuers = [row[0] for row in run(con, "select distinct identity_issuer from staged.hubs")]
    if rules:
        con.executemany(
            "insert into temp.exclusion_rules values (?, ?, ?, ?, ?, ?)",
            [(r.id, r.match.cluster, r.match.hub, r.first, r.last_day, bool(r.match.username)) for r in rules],
        )
    people = [
        (rule.id, issuer, person_key(secret, issuer, name))
        for rule in rules
        for name, issuer in product(rule.match.username, issuers)
        if secret is not None
    ]
    if people:
        con.executemany("insert into temp.exclusion_people values (?, ?, ?)", people)
    run(con, f"create or replace temp table exclusion_targets as {sql('stages', 'exclusion_targets')}")
    for name in ("exclusion_rules", "exclusion_people"):
        run(con, f"drop table temp.{name}")
    targets = run(con, "select * from temp.exclusion_targets order by all")
    now = fingerprint(targets)
    before = run(con, "select value from ops.fingerprints where name = 'exclusions'")
    if before != [(now,)]:
        dirty.mark(con, dirty.STAGED, "select date from raw.hub_activity")
        run(con, "delete from ops.fingerprints where name = 'exclusions'")
        run(con, "insert into ops.fingerprints values ('exclusions', $now)", {"now": now})


def _stage_days(con: Connection) -> None:
    for name, query in (
        ("activity", "activity"),
        ("excluded", "excluded"),
        ("sorted_out", "user_days_sorted_out"),
    ):
        run(con, f"create or replace temp table {name} as {sql('stages', query)}")
    for target in DAILY_TABLES:
        run(con, f"delete from {target} where date in (select date from temp.days)")
    run(
        con,
        "delete from raw.quarantine where source = $source and stage = 'staged' "
        "and date in (select date from temp.days)",
        {"source": ACTIVITY},
    )
    fill(
        con,
        table("raw.quarantine"),
        "select $source as source, _file as file, _row as row, reason, 'staged' as stage, date from temp.activity "
        "where reason is not null",
        {"source": ACTIVITY},
    )
    fill(
        con,
        table("staged.user_days"),
        "select date, hub_id, person_key from temp.sorted_out where outcome = 'qualifying' "
        "order by date, hub_id, person_key",
    )
    fill(
        con,
        table("staged.binder_sessions"),
        "select date, hub_id, sum(sessions)::bigint as sessions from temp.sorted_out where outcome = 'binder' "
        "group by all order by all",
    )
    fill(con, table("staged.activity_accounting"), sql("stages", "activity_accounting") + " order by r.date")
    fill(
        con,
        table("staged.exclusion_effects"),
        "select date, rule_id, count(*) as user_days from temp.excluded group by all order by all",
    )
    for name in ("activity", "excluded", "sorted_out"):
        run(con, f"drop table temp.{name}")
