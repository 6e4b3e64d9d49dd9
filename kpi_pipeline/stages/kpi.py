"""Facts to kpi.kpi_values: runs the catalogue's formulas, and changes only the rows whose value has changed."""

from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from itertools import groupby
from operator import itemgetter

import duckdb

from kpi_pipeline.catalog import Kpi
from kpi_pipeline.contracts.tables import KPI_VALUES
from kpi_pipeline.warehouse import Connection, one_thread_each, quote, run, side_by_side, sql, transaction

NOT_CONNECTED = "no data: not connected"
NO_DATA = "no data"
PLOTTED_DAYS = 400
# By KPI its newest values, where its own value stands: (period_end, value), oldest first.
Points = Mapping[str, Sequence[tuple[date, float]]]
COMPARED = (
    "kpi_id",
    "grain",
    "member",
    "period_start",
    "period_end",
    "value",
    "numerator",
    "denominator",
    "n",
    "people",
    "status",
)
# The rows where the KPIs' own values stand.
OWN = "computing.fresh semi join temp.asked using (kpi_id, grain, member)"


@dataclass(frozen=True)
class Run:
    """Who computes, and for when."""

    as_of: date
    connected: frozenset[str]
    min_people: int
    run_id: str
    computed_at: datetime


@dataclass(frozen=True)
class Computed:
    """What computing one KPI did: rows there are now, and how many of them are new or changed.

    Of the organisation, or where a KPI has another place: the newest value with its status and the day that it is of.
    """

    rows: int
    changed: int
    value: Decimal | None
    status: str
    period_end: date


@dataclass(frozen=True)
class Batch:
    """What computing several KPIs did, by id: how those ended that were computed, and what went wrong with others."""

    computed: dict[str, Computed]
    failed: dict[str, duckdb.Error]


def compute(
    con: Connection, kpis: Sequence[Kpi], this: Run, show: Callable[[Points], None] = lambda _points: None
) -> Batch:
    """Brings the values of KPIs up to date, in one transaction, but for those whose formula fails.

    Rows that stay as they were keep their run_id and computed_at.

    Args:
        show: is given what a plot needs, before values are written: it can be drawn meanwhile.
    """
    con.execute("attach ':memory:' as computing")
    try:
        columns = ", ".join(f"{quote(c.name)} {c.type}" for c in KPI_VALUES.columns if c.name in COMPARED)
        run(con, f"create table computing.fresh ({columns})")
        failed = _run_formulas(con, kpis, this)
        computed = [kpi for kpi in kpis if kpi.id not in failed]
        _put_asked(con, computed, this)
        _mark_incomplete(con, computed, this)
        run(con, _where_there_is_none(), {"as_of": this.as_of})
        show(_points(con))
        _change_what_differs(con, this)
        return Batch(_computed(con), failed)
    finally:
        for name in ("asked", "difference", "incomplete"):
            run(con, f"drop table if exists temp.{name}")
        con.execute("detach computing")


def _run_formulas(con: Connection, kpis: Sequence[Kpi], this: Run) -> dict[str, duckdb.Error]:
    """Fills computing.fresh, several KPIs at a time. Returns what went wrong, by KPI; of that KPI there are no rows."""
    possible = [kpi for kpi in kpis if set(kpi.measure.sources) <= this.connected]

    def on_one(own: Connection, kpi: Kpi) -> duckdb.Error | None:
        try:
            run(
                own,
                f"insert into computing.fresh by name select *, $kpi_id as kpi_id from ({kpi.measure.formula})",
                {"kpi_id": kpi.id, **parameters(kpi, this.as_of, this.connected, this.min_people)},
            )
        except duckdb.Error as error:
            return error
        return None

    with one_thread_each(con) as at_once:
        errors = side_by_side(con, on_one, possible, min(at_once, max(len(possible), 1)))
        return {kpi.id: error for kpi, error in zip(possible, errors, strict=True) if error}


def _put_asked(con: Connection, kpis: Sequence[Kpi], this: Run) -> None:
    """Makes temp.asked: the KPIs, where the value of each stands, and what to say where there is none."""
    run(
        con,
        "create or replace temp table asked as select unnest($kpi_id::varchar[]) as kpi_id, "
        "unnest($hash::varchar[]) as definition_hash, unnest($stamp::varchar[]) as stamp, "
        "unnest($grain::varchar[]) as grain, unnest($member::varchar[]) as member, "
        "unnest($status::varchar[]) as status",
        {
            "kpi_id": [kpi.id for kpi in kpis],
            "hash": [kpi.definition_hash for kpi in kpis],
            "stamp": [stamp(kpi, this.as_of)[1] for kpi in kpis],
            "grain": [kpi.place[0] for kpi in kpis],
            "member": [kpi.place[1] for kpi in kpis],
            "status": [NO_DATA if set(kpi.measure.sources) <= this.connected else NOT_CONNECTED for kpi in kpis],
        },
    )


def _mark_incomplete(con: Connection, kpis: Sequence[Kpi], this: Run) -> None:
    """A value that rests on days of which a live source isn't landed as a whole says so.

    What is `insufficient` or `stale` stays so: that already says more.
    """
    pairs = [(kpi.id, source) for kpi in kpis for source in sorted(_looked_at_here(kpi))]
    run(
        con,
        "create or replace temp table incomplete as select p.kpi_id, m.first_day, m.last_day, m.is_lag "
        "from (select unnest($kpi_ids::varchar[]) as kpi_id, unnest($sources::varchar[]) as source) as p "
        f"join ({sql('stages', 'missing_days')}) as m using (source)",
        {
            "kpi_ids": [kpi_id for kpi_id, _ in pairs],
            "sources": [source for _, source in pairs],
            "as_of": this.as_of,
        },
    )
    if run(con, "select 1 from temp.incomplete limit 1"):
        run(
            con,
            "update computing.fresh f set status = 'incomplete' where status in ('ok', 'to date', 'provisioned') "
            "and exists (select 1 from temp.incomplete m where m.kpi_id = f.kpi_id and m.first_day <= f.period_end "
            "and m.last_day >= f.period_start and not (f.status = 'to date' and m.is_lag))",
        )


def _looked_at_here(kpi: Kpi) -> Set[str]:
    """Who reads facts.coverage has looked at the days of hub activity itself, member by member, or by the whole."""
    own = {"hub_activity"} if "facts.coverage" in kpi.measure.reads else set()
    return set(kpi.measure.sources) - own


def _where_there_is_none() -> str:
    """No data is a state of its own: one row, without a value, that says why."""
    return (
        "insert into computing.fresh by name select kpi_id, grain, member, $as_of::date as period_start, "
        "$as_of::date as period_end, status from temp.asked "
        "anti join computing.fresh using (kpi_id, grain, member)"
    )


def _change_what_differs(con: Connection, this: Run) -> None:
    """Brings kpi.kpi_values to what is in computing.fresh; rows that are right stay as they are."""
    same = " and ".join(f"v.{quote(name)} = d.{quote(name)}" for name in KPI_VALUES.key)
    keys = ", ".join(map(quote, KPI_VALUES.key))
    with transaction(con):
        run(con, f"create or replace temp table difference as {_difference()}")
        run(con, f"delete from kpi.kpi_values v using temp.difference d where {same}")
        run(
            con,
            "insert into kpi.kpi_values by name select f.*, a.definition_hash, $run_id as run_id, $at as computed_at "
            f"from computing.fresh as f semi join temp.difference using ({keys}) "
            "join temp.asked as a on f.kpi_id = a.kpi_id order by kpi_id, grain, member, period_end, period_start",
            {"run_id": this.run_id, "at": this.computed_at.replace(tzinfo=None)},
        )
        run(con, "delete from ops.fingerprints where name in (select 'kpi:' || kpi_id from temp.asked)")
        run(con, "insert into ops.fingerprints select 'kpi:' || kpi_id, stamp from temp.asked")


def _difference() -> str:
    """Periods whose rows are no longer right, or are to come or to go."""
    keys = [quote(name) for name in KPI_VALUES.key]
    others = [quote(name) for name in COMPARED if name not in KPI_VALUES.key]
    chosen = ", ".join(f"coalesce(f.{name}, v.{name}) as {name}" for name in keys)
    same = " and ".join(f"f.{name} = v.{name}" for name in keys)
    differs = " or ".join(f"f.{name} is distinct from v.{name}" for name in others)
    return (
        f"select distinct {chosen} from computing.fresh as f "
        "full join (select k.*, k.definition_hash <> a.definition_hash as is_of_another_definition "
        "from kpi.kpi_values as k join temp.asked as a on k.kpi_id = a.kpi_id) as v "
        f"on {same} where f.kpi_id is null or v.kpi_id is null or v.is_of_another_definition or {differs}"
    )


def _points(con: Connection) -> Points:
    # Of periods that end on one day, such as a month and its quarter, the shortest.
    points = run(
        con,
        f"select kpi_id, period_end, value::double from (select * from {OWN} where value is not null "
        "qualify row_number() over (partition by kpi_id, period_end order by period_start desc) = 1) "
        "qualify row_number() over (partition by kpi_id order by period_end desc) <= $days order by all",
        {"days": PLOTTED_DAYS},
    )
    return {kpi_id: [(day, value) for _, day, value in of_one] for kpi_id, of_one in groupby(points, itemgetter(0))}


def _computed(con: Connection) -> dict[str, Computed]:
    """Looks at what was just computed, in computing.fresh."""
    newest_first = "row_number() over (partition by kpi_id order by period_end desc, period_start desc)"
    newest = run(
        con,
        f"select kpi_id, value, status, period_end from {OWN} qualify {newest_first} = 1 order by kpi_id",
    )
    counted = run(
        con,
        "select kpi_id, count(*), count(d.kpi_id) from computing.fresh "
        f"left join temp.difference as d using ({', '.join(map(quote, KPI_VALUES.key))}) group by kpi_id",
    )
    sizes = {kpi_id: (rows, changed) for kpi_id, rows, changed in counted}
    return {kpi_id: Computed(*sizes[kpi_id], value, status, day) for kpi_id, value, status, day in newest}


def stamp(kpi: Kpi, as_of: date) -> tuple[str, str]:
    """What says, in ops.fingerprints, that a KPI has been computed for a day by its present definition."""
    return f"kpi:{kpi.id}", f"{as_of} {kpi.definition_hash}"


def parameters(kpi: Kpi, as_of: date, connected: Set[str], min_people: int) -> dict[str, object]:
    """What a formula may refer to: $as_of, $min_people, $has_<source>, and what measure and KPI bind."""
    sources = (*kpi.measure.sources, *kpi.measure.better_with)
    has = {f"has_{source}": source in connected for source in sources}
    return {"as_of": as_of, "min_people": min_people, **has, **kpi.bound}
