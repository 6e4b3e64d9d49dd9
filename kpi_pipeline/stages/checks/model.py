"""What a check is, and how it is run. The checks themselves are in the modules beside this one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from kpi_pipeline.contracts import RECORDS, Table
from kpi_pipeline.errors import PublishRefusedError
from kpi_pipeline.warehouse import Connection, quote, run, sql

SAMPLE_ROWS = 5


@dataclass(frozen=True)
class Check:
    """A check of one table.

    Args:
        wrong_rows: selects what is wrong; it may refer to $as_of, $rules (the ids of the exclusion rules that hold),
            $may_be_empty (the sources that may have empty files), $min_people and $max_age_days.
        of_shared: it reads a table that is no asset, such as the quarantine, which steps write that come later: that
            it has passed in a run says nothing of the end of that run.
    """

    name: str
    table: str
    severity: Literal["ERROR", "WARN"]
    description: str
    wrong_rows: str
    of_shared: bool = False


@dataclass(frozen=True)
class Outcome:
    """How many rows are wrong, and the first few of them, as text."""

    check: Check
    wrong: int
    rows: tuple[str, ...] = field(default=())

    @property
    def passed(self) -> bool:
        return self.wrong == 0


def _is_state(table: Table) -> bool:
    """The rolling engine's own, which is no asset."""
    return table.name == "facts.user_days"


def _named(table: Table, name: str) -> str:
    """State tables show their checks beside those of another table, so theirs say whose they are."""
    return f"{table.short_name}_{name}" if _is_state(table) else name


def _shown(table: Table) -> list[str]:
    """Columns that tell which rows are wrong; never who a person is."""
    personal = {column.name for column in table.columns if column.personal}
    return [quote(name) for name in table.key or [c.name for c in table.columns[:3]] if name not in personal]


def key_check(table: Table) -> Check:
    key, shown = ", ".join(map(quote, table.key)), ", ".join(_shown(table))
    # Equal keys have equal hashes, which cost half as much to group; while no two are equal, no key is left to group.
    twice = f"select hash({key}) from {quote(table.name)} group by all having count(*) > 1"
    return Check(
        _named(table, "key_is_unique"),
        table.name,
        "ERROR",
        f"One row per {', '.join(table.key)}.",
        f"select {shown}, count(*) as rows from {quote(table.name)} where hash({key}) in ({twice}) "
        f"group by {key} having count(*) > 1",
        of_shared=_is_state(table),
    )


def null_check(table: Table) -> Check:
    needed = [column for column in table.columns if not column.nullable]
    condition = " or ".join(f"{quote(c.name)} is null" for c in needed)
    shown = ", ".join(_shown(table))
    return Check(
        _named(table, "no_nulls"),
        table.name,
        "ERROR",
        "No null where the contract allows none.",
        f"select {shown} from {quote(table.name)} where {condition}",
        of_shared=_is_state(table),
    )


def newest_data(source: str) -> str:
    """SQL for the newest day that a source's own data speaks of, up to $as_of; of a live source, with all its parts."""
    day = RECORDS[source].day
    return (
        f"select least((select max({day}) from {quote('raw.' + source)} where {day} <= $as_of), "
        f"(select min(last_day) from ({sql('stages', 'parts_covered')}) where source = '{source}'))"
    )


def freshness_check(source: str) -> Check:
    """Data newer than its deadline: a job that succeeds on old data isn't fresh. Late data is news, not a failure."""
    return Check(
        "data_is_newer_than_its_deadline",
        f"raw.{source}",
        "WARN",
        "The newest data is at most max_age_days old on the as-of day.",
        f"select newest, $as_of::date - newest as age_days, $max_age_days as max_age_days "
        f"from (select ({newest_data(source)}) as newest) "
        f"where $max_age_days::integer is not null and (newest is null or $as_of::date - newest > $max_age_days)",
    )


def parts_check(source: str) -> Check:
    """Every part of a live source got through; one that doesn't is news: the others count, and values say so."""
    return Check(
        "every_part_is_fetched",
        f"raw.{source}",
        "WARN",
        "The last fetch got through for every part of a live source (cluster, hub, repository, ...).",
        f"select part, problem, problem_since from raw.parts where source = '{source}' and is_wanted "
        "and problem is not null",
    )


def evaluate(con: Connection, check: Check, parameters: Mapping[str, object]) -> Outcome:
    """Runs a check."""
    wrong = run(con, f"select count(*) from ({check.wrong_rows})", parameters)[0][0]
    if not wrong:
        return Outcome(check, 0)
    rows = run(
        con, f"select to_json(w)::varchar from ({check.wrong_rows}) w order by all limit {SAMPLE_ROWS}", parameters
    )
    return Outcome(check, wrong, tuple(row[0] for row in rows))


def refuse_if_wrong(con: Connection, checks: Sequence[Check], parameters: Mapping[str, object]) -> None:
    """Runs those of the checks that have severity ERROR.

    Raises:
        PublishRefusedError: some fail; it names them, and rows.
    """
    outcomes = [evaluate(con, check, parameters) for check in checks if check.severity == "ERROR"]
    if failed := [outcome for outcome in outcomes if not outcome.passed]:
        raise PublishRefusedError(
            "publish",
            got="; ".join(describe(outcome) for outcome in failed),
            expected="every check of severity ERROR to pass",
            fix="The old snapshot stays. Mend the cause and run again.",
        )


def describe(outcome: Outcome) -> str:
    """A failed check in a line: which, how many rows, and the first few."""
    return (
        f"{outcome.check.table}: {outcome.check.name} fails on {outcome.wrong} row(s), "
        f"for example {' '.join(outcome.rows)}"
    )
