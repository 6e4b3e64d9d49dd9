"""Keeps the engine's state (facts.user_days, first_seen, flows, active_users) true to what a day should hold.

What belongs here: the order of the steps. What never does: what a user-day is. The caller holds the transaction.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from kpi_pipeline.contracts import table
from kpi_pipeline.warehouse import Connection, fill, quote, run, scalar, sql

WAU_DAYS, MAU_DAYS = 7, 30
WINDOWS: dict[str, object] = {"wau_days": WAU_DAYS, "mau_days": MAU_DAYS}
# Above this share of changed rows, counting everything anew is cheaper than the difference.
REBUILD_SHARE = 0.2
COUNTS = ("dau", "new", "returning", "wau_in", "wau_out", "mau_out")


@dataclass(frozen=True)
class Change:
    """What an update did: user-days added and removed, people looked at, and whether all was counted anew."""

    added: int = 0
    removed: int = 0
    people: int = 0
    rebuilt: bool = False


def update(con: Connection, days: Sequence[date], wanted: str, through: date) -> Change:
    """Makes the given days hold exactly what the SELECT `wanted` (date, cell, person_key) gives.

    Args:
        days: the days that may have changed; `wanted` must give all rows of these days, and no others.
        through: active_users reaches at least to this day.
    """
    run(con, "create or replace temp table days as select unnest($days::date[]) as date", {"days": list(days)})
    run(con, f"create or replace temp table wanted as select distinct date, cell, person_key from ({wanted})")
    run(con, f"create or replace temp table changes as {sql('rolling', 'changes')}")
    added, removed = run(
        con, "select count(*) filter (where sign = 1), count(*) filter (where sign = -1) from temp.changes"
    )[0]
    people = scalar(con, "select count(distinct person_key) from temp.changes")
    rebuilt = False
    if added or removed:
        rows = scalar(con, "select count(*) from facts.user_days")
        rebuilt = added + removed > REBUILD_SHARE * (rows + added)
        if rebuilt:
            _change_user_days(con)
            rebuild(con)
        else:
            _add_difference(con, min(days) - timedelta(days=MAU_DAYS))
    restate(con, through, everything=rebuilt)
    for name in ("days", "wanted", "changes"):
        run(con, f"drop table temp.{name}")
    return Change(added, removed, people, rebuilt)


def rebuild(con: Connection) -> None:
    """Counts first_seen and flows anew from facts.user_days."""
    for name in ("first_seen", "flows"):
        run(con, f"truncate facts.{name}")
    fill(
        con,
        table("facts.first_seen"),
        "select cell, person_key, min(date) as first_date from facts.user_days group by cell, person_key",
    )
    run(
        con,
        "create or replace temp table people_in_many as "
        "select person_key from facts.first_seen group by person_key having count(*) > 1",
    )
    flows = sql("rolling", "flows")
    _see(con, sql("rolling", "seen_in_one_cell"))
    run(con, f"create or replace temp table cell_flows as {flows}", WINDOWS)
    members = (
        "select m.member_id, f.* exclude (member_id) from temp.cell_flows f "
        "join facts.cell_members m on m.cell = f.member_id"
    )
    run(con, f"create or replace temp table parts as select 1 as sign, * from ({members})")
    _see(con, sql("rolling", "seen_in_many_cells"))
    run(con, f"insert into temp.parts by name select 1 as sign, * from ({flows})", WINDOWS)
    fill(con, table("facts.flows"), _sum_of_parts())
    run(con, "drop view temp.seen")
    for name in ("parts", "cell_flows", "people_in_many"):
        run(con, f"drop table temp.{name}")


def restate(con: Connection, through: date, *, everything: bool = False) -> None:
    """Brings active_users up to date: changed members from their first changed day, all others by the days to come.

    Changed members are those in temp.restate; without it nothing has changed.
    """
    last = scalar(con, "select max(date) from facts.active_users")
    through = max(through, last) if last else through
    if everything:
        run(con, "truncate facts.active_users")
        last = None
    run(con, "create temp table if not exists restate (member_id integer, from_date date)")
    # Every member needs the days that aren't there yet, those too that changed only after them.
    missing = last + timedelta(days=1) if last else scalar(con, "select min(date) from facts.flows")
    run(con, "update temp.restate set from_date = least(from_date, $missing::date)", {"missing": missing})
    run(
        con,
        "insert into temp.restate select member_id, $missing::date from facts.members "
        "where member_id not in (select member_id from temp.restate)",
        {"missing": missing},
    )
    run(
        con,
        "delete from facts.active_users a using temp.restate r, facts.members m "
        "where m.member_id = r.member_id and a.grain = m.grain and a.member = m.member and a.date >= r.from_date",
    )
    fill(con, table("facts.active_users"), sql("rolling", "active_users"), {**WINDOWS, "through": through})
    run(con, "drop table temp.restate")


def _see(con: Connection, select: str) -> None:
    run(con, f"create or replace temp view seen as {select}")


def _sum_of_parts() -> str:
    sums = ", ".join(f"sum(sign * {quote(name)})::bigint as {quote(name)}" for name in COUNTS)
    return f"select member_id, date, {sums} from temp.parts group by member_id, date"


def _change_user_days(con: Connection) -> None:
    run(
        con,
        "delete from facts.user_days u using temp.changes c where c.sign = -1 and u.date = c.date "
        "and u.cell = c.cell and u.person_key = c.person_key",
    )
    fill(
        con,
        table("facts.user_days"),
        "select date, cell, person_key from temp.changes where sign = 1 order by date, cell, person_key",
    )


def _add_difference(con: Connection, horizon: date) -> None:
    """Takes the changed people's old flows away and adds their new ones; flows before `horizon` can't have changed."""
    run(con, "create or replace temp table changed_people as select distinct person_key from temp.changes")
    run(con, "create or replace temp table parts as select 1 as sign, * from facts.flows limit 0")
    _add_changed_flows(con, -1, horizon)
    _change_user_days(con)
    _change_first_seen(con)
    _add_changed_flows(con, 1, horizon)
    differs = " or ".join(f"sum(sign * {quote(name)}) <> 0" for name in COUNTS)
    run(con, f"create or replace temp table difference as {_sum_of_parts()} having {differs}")
    sums = ", ".join(f"{quote(name)} = f.{quote(name)} + d.{quote(name)}" for name in COUNTS)
    run(
        con,
        "merge into facts.flows f using temp.difference d on f.member_id = d.member_id and f.date = d.date "
        f"when matched then update set {sums} when not matched then insert by name",
    )
    run(con, "delete from facts.flows where dau = 0")
    run(
        con,
        "create or replace temp table restate as "
        "select member_id, min(date) as from_date from temp.difference group by member_id",
    )
    for name in ("parts", "difference", "changed_people"):
        run(con, f"drop table temp.{name}")


def _add_changed_flows(con: Connection, sign: int, horizon: date) -> None:
    run(con, f"create or replace temp table seen as {sql('rolling', 'seen_changed')}", {"horizon": horizon})
    run(con, f"insert into temp.parts by name select {sign} as sign, * from ({sql('rolling', 'flows')})", WINDOWS)
    run(con, "drop table temp.seen")


def _change_first_seen(con: Connection) -> None:
    """The first day of each changed person and cell; where it was taken away, the next one is looked for."""
    run(
        con,
        "create or replace temp table lost as select s.cell, s.person_key from facts.first_seen s "
        "join temp.changes c on c.sign = -1 and c.cell = s.cell and c.person_key = s.person_key "
        "and c.date = s.first_date",
    )
    if scalar(con, "select count(*) from temp.lost"):
        run(
            con,
            "delete from facts.first_seen s using temp.lost l where s.cell = l.cell and s.person_key = l.person_key",
        )
        fill(
            con,
            table("facts.first_seen"),
            "select u.cell, u.person_key, min(u.date) as first_date from facts.user_days u "
            "semi join temp.lost l on u.cell = l.cell and u.person_key = l.person_key group by all",
        )
    run(
        con,
        "merge into facts.first_seen s using (select cell, person_key, min(date) as first_date from temp.changes "
        "where sign = 1 group by all) c on s.cell = c.cell and s.person_key = c.person_key "
        "when matched and c.first_date < s.first_date then update set first_date = c.first_date "
        "when not matched then insert by name",
    )
    run(con, "drop table temp.lost")
