"""Facts to kpi.kpi_values: runs the catalogue's formulas, and changes only the rows whose value has changed."""

from collections.abc import Sequence, Set
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from kpi_pipeline.catalog import Kpi
from kpi_pipeline.contracts.tables import KPI_VALUES
from kpi_pipeline.warehouse import Connection, quote, run, sql, transaction

NOT_CONNECTED = "no data: not connected"
NO_DATA = "no data"
# What tells rows of one KPI from each other.
KEY = tuple(name for name in KPI_VALUES.key if name != "kpi_id")
PLOTTED_DAYS = 400
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

    Of the organisation, or where a KPI has another place: the newest value with its status and the day that it is of,
    and the newest values for a plot, (period_end, value).
    """

    rows: int
    changed: int
    value: Decimal | None
    status: str
    period_end: date
    points: Sequence[tuple[date, float]]


def compute(con: Connection, kpi: Kpi, this: Run) -> Computed:
    """Brings the values of one KPI up to date, in one transaction.

    Rows that stay as they were keep their run_id and computed_at.
    """
    columns = ", ".join(f"{quote(c.name)} {c.type}" for c in KPI_VALUES.columns if c.name in COMPARED)
    with transaction(con):
        run(con, f"create or replace temp table fresh ({columns}, definition_hash varchar)")
        if set(kpi.measure.sources) <= this.connected:
            run(
                con,
                f"insert into temp.fresh by name select *, $kpi_id as kpi_id, $hash as definition_hash "
                f"from ({kpi.measure.formula})",
                {
                    "kpi_id": kpi.id,
                    "hash": kpi.definition_hash,
                    **parameters(kpi, this.as_of, this.connected, this.min_people),
                },
            )
        _mark_incomplete(con, kpi, this)
        if not run(con, "select 1 from temp.fresh where (grain, member) = ($grain, $member) limit 1", _place(kpi)):
            _say_that_there_is_none(con, kpi, this)
        run(con, f"create or replace temp table difference as {_difference()}", {"kpi_id": kpi.id})
        same = " and ".join(f"v.{quote(name)} = d.{quote(name)}" for name in KEY)
        run(
            con,
            f"delete from kpi.kpi_values v using temp.difference d where v.kpi_id = $kpi_id and {same}",
            {"kpi_id": kpi.id},
        )
        ((changed,),) = run(
            con,
            "insert into kpi.kpi_values by name select *, $run_id as run_id, $at as computed_at from temp.fresh "
            f"semi join temp.difference using ({', '.join(map(quote, KEY))}) "
            "order by grain, member, period_end, period_start",
            {"run_id": this.run_id, "at": this.computed_at.replace(tzinfo=None)},
        )
        run(con, "delete from ops.fingerprints where name = $name", {"name": f"kpi:{kpi.id}"})
        run(
            con,
            "insert into ops.fingerprints values ($name, $value)",
            dict(zip(("name", "value"), stamp(kpi, this.as_of), strict=True)),
        )
    computed = _computed(con, kpi, changed)
    for name in ("fresh", "difference"):
        run(con, f"drop table temp.{name}")
    return computed


def _difference() -> str:
    """Periods whose rows are no longer right, or are to come or to go."""
    keys = [quote(name) for name in KEY]
    others = [quote(name) for name in (*COMPARED, "definition_hash") if name not in (*KEY, "kpi_id")]
    chosen = ", ".join(f"coalesce(f.{name}, v.{name}) as {name}" for name in keys)
    same = " and ".join(f"f.{name} = v.{name}" for name in keys)
    differs = " or ".join(f"f.{name} is distinct from v.{name}" for name in others)
    return (
        f"select distinct {chosen} from temp.fresh as f full join (from kpi.kpi_values where kpi_id = $kpi_id) as v "
        f"on {same} where f.kpi_id is null or v.kpi_id is null or {differs}"
    )


def _computed(con: Connection, kpi: Kpi, changed: int) -> Computed:
    """Looks at what was just computed, in temp.fresh."""
    # Of periods that end on one day, such as a month and its quarter, the shortest.
    value, status, day, rows = run(
        con,
        "select value, status, period_end, (select count(*) from temp.fresh) from temp.fresh "
        "where grain = $grain and member = $member order by period_end desc, period_start desc limit 1",
        _place(kpi),
    )[0]
    points = run(
        con,
        "select * from (select period_end, value::double from temp.fresh "
        "where grain = $grain and member = $member and value is not null "
        "qualify row_number() over (partition by period_end order by period_start desc) = 1 "
        "order by period_end desc limit $days) order by 1",
        {"days": PLOTTED_DAYS, **_place(kpi)},
    )
    return Computed(rows, changed, value, status, day, points)


def _mark_incomplete(con: Connection, kpi: Kpi, this: Run) -> None:
    """A value that rests on days of which a live source isn't landed as a whole says so.

    What is `insufficient` or `stale` stays so: that already says more.
    """
    # Who reads facts.coverage has looked at the days of hub activity itself, member by member, or by the whole.
    own = {"hub_activity"} if "facts.coverage" in kpi.measure.reads else set()
    sources = sorted(set(kpi.measure.sources) - own)
    if not run(con, "select 1 from raw.parts where list_contains($sources, source) limit 1", {"sources": sources}):
        return
    run(
        con,
        "update temp.fresh set status = 'incomplete' where status in ('ok', 'to date', 'provisioned') "
        f"and exists (select 1 from ({sql('stages', 'missing_days')}) as m where list_contains($sources, m.source) "
        "and m.first_day <= period_end and m.last_day >= period_start and not (status = 'to date' and m.is_lag))",
        {"as_of": this.as_of, "sources": sources},
    )


def stamp(kpi: Kpi, as_of: date) -> tuple[str, str]:
    """What says, in ops.fingerprints, that a KPI has been computed for a day by its present definition."""
    return f"kpi:{kpi.id}", f"{as_of} {kpi.definition_hash}"


def parameters(kpi: Kpi, as_of: date, connected: Set[str], min_people: int) -> dict[str, object]:
    """What a formula may refer to: $as_of, $min_people, $has_<source>, and what measure and KPI bind."""
    sources = (*kpi.measure.sources, *kpi.measure.better_with)
    has = {f"has_{source}": source in connected for source in sources}
    return {"as_of": as_of, "min_people": min_people, **has, **kpi.bound}


def _place(kpi: Kpi) -> dict[str, object]:
    return dict(zip(("grain", "member"), kpi.place, strict=True))


def _say_that_there_is_none(con: Connection, kpi: Kpi, this: Run) -> None:
    """No data is a state of its own: one row, without a value, that says why."""
    missing = sorted(set(kpi.measure.sources) - this.connected)
    run(
        con,
        "insert into temp.fresh by name select $kpi_id as kpi_id, $grain as grain, $member as member, "
        "$as_of::date as period_start, $as_of::date as period_end, $status as status, $hash as definition_hash",
        {
            "kpi_id": kpi.id,
            "as_of": this.as_of,
            "status": NOT_CONNECTED if missing else NO_DATA,
            "hash": kpi.definition_hash,
            **_place(kpi),
        },
    )
