"""Keeps the engine's state (facts.user_days, first_seen, flows, active_users) true to what a day should hold.

What belongs here: the order of the steps. What never does: what a user-day is. The caller holds the transaction.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from kpi_pipeline.contracts import table
from kpi_pipeline.warehouse import Connection, fill, quote, run, scalar, sql

WAU_DAYS, MAU_DAYS = 7, 30
WORD_DAYS = 64  # the days of a word, one bit each
WINDOWS: dict[str, object] = {"wau_days": WAU_DAYS, "mau_days": MAU_DAYS, "word_days": WORD_DAYS}
# The month around a day in a word: what the day holds and will hold, and between days before and after it.
MONTH_BITS: dict[str, object] = {
    "before": (1 << (MAU_DAYS - 1)) - 1,
    "held": 1 << (MAU_DAYS - 1),
    "will_hold": 1 << MAU_DAYS,
    "after": ((1 << (MAU_DAYS - 1)) - 1) << (MAU_DAYS + 1),
    "removed": 1 << (2 * MAU_DAYS),
}
# Above this share of changed rows, or of so many changed days, counting everything anew is cheaper than the difference.
REBUILD_SHARE = 0.2
REBUILD_DAYS = 31
COUNTS = ("dau", "new", "returning", "wau_in", "wau_out", "mau_out")
PARTS = ("dau", "new", "mau_in", "wau_in", "wau_out", "mau_out")


@dataclass(frozen=True)
class Change:
    """What an update did: user-days added and removed, and whether all was counted anew."""

    added: int = 0
    removed: int = 0
    rebuilt: bool = False


def update(con: Connection, days: Sequence[date], wanted: str, through: date) -> Change:
    """Makes the given days hold exactly what the SELECT `wanted` (date, cell, person_key) gives.

    Args:
        days: the days that may have changed; `wanted` must give all rows of these days, and no others.
        through: active_users reaches at least to this day.
    """
    span = {"days": list(days), "first": min(days, default=None), "last": max(days, default=None)}
    run(
        con,
        f"create or replace temp table changes as with wanted as ({wanted}) from ({sql('rolling', 'changes')})",
        span,
    )
    counts = run(con, "select date, sign, count(*) from temp.changes group by date, sign")
    changed = sorted({day for day, _, _ in counts})
    added, removed = (sum(rows for _, sign, rows in counts if sign == kind) for kind in (1, -1))
    rebuilt = False
    if changed:
        most = int((added + removed) / REBUILD_SHARE - added)
        # The history isn't counted: it takes long to read it only to learn that it is long.
        longer = "select exists (select 1 from facts.user_days offset $most::bigint)"
        is_most = most >= 0 and not scalar(con, longer, {"most": most})
        rebuilt = len(changed) > REBUILD_DAYS or is_most
        if rebuilt:
            _change_user_days(con, changed[0], changed[-1], has_gone=removed > 0)
            rebuild(con)
        else:
            gone = {day for day, sign, _ in counts if sign == -1}
            _add_difference(con, {day: day in gone for day in changed})
    restate(con, through, everything=rebuilt, changed=changed)
    run(con, "drop table temp.changes")
    return Change(added, removed, rebuilt)


def rebuild(con: Connection) -> None:
    """Counts first_seen and flows anew from facts.user_days."""
    for name in ("first_seen", "flows"):
        run(con, f"truncate facts.{name}")
    _collect_words(con)
    _see(con, "from temp.words")
    run(con, f"create or replace temp table cell_gaps as {sql('rolling', 'gaps')}", WINDOWS)
    fill(
        con,
        table("facts.first_seen"),
        "select member_id as cell, person_key, to_date as first_date from temp.cell_gaps where from_date is null",
    )
    run(
        con,
        "create or replace temp table pairs as select cell, member_id, person_key from ("
        "    select person_key, cell from facts.first_seen "
        "    semi join (select person_key from facts.first_seen group by person_key having count(*) > 1) "
        "    using (person_key)"
        ") join ("
        # Nobody is in several cells of a member that has one alone, as every hub does.
        "    from facts.cell_members qualify count(*) over (partition by member_id) > 1"
        ") using (cell) "
        "qualify count(*) over (partition by member_id, person_key) > 1",
    )
    _create_parts(con, "parts")
    _create_parts(con, "cell_flows")
    _see_gaps(con, "select member_id, 1 as sign, from_date, to_date from temp.cell_gaps")
    run(con, f"insert into temp.cell_flows by name {sql('rolling', 'flows')}", WINDOWS)
    run(
        con,
        "insert into temp.cell_flows by name "
        "select member_id, to_date as date, count(*) as new from temp.cell_gaps where from_date is null group by all "
        "union all by name select cell as member_id, date, count(*) as dau from facts.user_days group by all",
    )
    run(
        con,
        "insert into temp.parts by name select m.member_id, f.* exclude (member_id) "
        "from temp.cell_flows f join facts.cell_members m on m.cell = f.member_id",
    )
    _correct_for_people_in_many_cells(con)
    fill(con, table("facts.flows"), f"{_sum_of_parts()} order by date, member_id")
    run(con, "drop view temp.gaps")
    run(con, "drop view temp.seen")
    for name in ("parts", "cell_flows", "pairs", "cell_gaps", "words"):
        run(con, f"drop table temp.{name}")


def restate(con: Connection, through: date, *, everything: bool = False, changed: Sequence[date] = ()) -> None:
    """Brings active_users up to date: what has changed (temp.difference), then all members by the days to come.

    Args:
        through: how far active_users reaches; never less far than it does.
        everything: write all days anew.
        changed: otherwise, the days whose people have changed flows, in order. No day before them counts differently.
    """
    last = scalar(con, "select max(date) from facts.active_users")
    if everything:
        run(con, "truncate facts.active_users")
        through, last = max(through, last) if last else through, None
    if changed and last and changed[0] <= last:
        span = {**WINDOWS, "first": changed[0]}
        run(con, f"create or replace temp table restate as {sql('rolling', 'restated')}", span)
        _rewrite_active_users(con, last)
    missing = last + timedelta(days=1) if last else scalar(con, "select min(date) from facts.flows")
    if missing and missing <= through:
        run(
            con,
            "create or replace temp table restate as "
            "select member_id, $missing::date as from_date, $through::date as to_date from facts.members",
            {"missing": missing, "through": through},
        )
        _write_active_users(con, missing, through)
    for name in ("restate", "difference"):
        run(con, f"drop table if exists temp.{name}")


def _collect_words(con: Connection) -> None:
    """All user-days as words of 64 days, block by block, so that what is grouped at once doesn't grow with history."""
    run(
        con,
        "create or replace temp table words (member_id integer, person_key uuid, start_date date, bits ubigint)",
    )
    start, last = run(con, "select min(date), max(date) from facts.user_days")[0]
    while start and start <= last:
        run(con, f"insert into temp.words {sql('rolling', 'words')}", {**WINDOWS, "start": start})
        start += timedelta(days=WORD_DAYS)


def _correct_for_people_in_many_cells(con: Connection) -> None:
    """Whoever was in several cells of a member was counted in each: taken away, and counted by the union instead."""
    run(con, f"create or replace temp table words_in_many as {sql('rolling', 'words_in_many_cells')}")
    _see(con, "from temp.words_in_many")
    run(
        con,
        f"create or replace temp table gaps_in_many as select 1 as sign, * from ({sql('rolling', 'gaps')})",
        WINDOWS,
    )
    run(
        con,
        "insert into temp.gaps_in_many by name select -1 as sign, p.member_id, g.from_date, g.to_date "
        "from temp.cell_gaps g join temp.pairs p on p.cell = g.member_id and p.person_key = g.person_key",
    )
    _see_gaps(con, "from temp.gaps_in_many")
    run(con, f"insert into temp.parts by name {sql('rolling', 'flows')}", WINDOWS)
    run(
        con,
        "insert into temp.parts by name "
        "select member_id, to_date as date, sum(sign) as new from temp.gaps where from_date is null group by all",
    )
    run(con, f"insert into temp.parts by name {sql('rolling', 'overlaps')}")
    for name in ("words_in_many", "gaps_in_many"):
        run(con, f"drop table temp.{name}")


def _see(con: Connection, select: str) -> None:
    run(con, f"create or replace temp view seen as {select}")


def _see_gaps(con: Connection, select: str) -> None:
    run(con, f"create or replace temp view gaps as {select}")


def _create_parts(con: Connection, name: str) -> None:
    """A table of flows that are still to be summed up, each statement filling in what it knows."""
    counts = ", ".join(f"{quote(part)} bigint" for part in PARTS)
    run(con, f"create or replace temp table {name} (member_id integer, date date, {counts})")


def _sum_of_parts() -> str:
    sums = {name: f"coalesce(sum({quote(name)}), 0)" for name in PARTS}
    sums["returning"] = f"{sums['mau_in']} - {sums['new']}"
    chosen = ", ".join(f"({sums[name]})::bigint as {quote(name)}" for name in COUNTS)
    return f"select member_id, date, {chosen} from temp.parts group by member_id, date"


def _change_user_days(con: Connection, first: date, last: date, *, has_gone: bool) -> None:
    """Adds and takes away the changed rows of the days from `first` to `last`."""
    span = {"first": first, "last": last}
    if has_gone:
        run(
            con,
            "delete from facts.user_days u using temp.changes c where c.sign = -1 and u.date = c.date "
            "and u.cell = c.cell and u.person_key = c.person_key and u.date between $first::date and $last::date",
            span,
        )
    fill(
        con,
        table("facts.user_days"),
        "select date, cell, person_key from temp.changes "
        # By day, so that whoever looks for days can skip the others.
        "where sign = 1 and date between $first::date and $last::date" + (" order by date" if first < last else ""),
        span,
    )


def _add_difference(con: Connection, days: Mapping[date, bool]) -> None:
    """Takes up the changed days one after another; only changed people are looked at, and only a month around.

    What flows differ by stays in temp.difference.
    """
    _create_parts(con, "parts")
    for day, has_gone in days.items():
        _add_day(con, day, has_gone=has_gone)
    differs = " or ".join(f"{quote(name)} <> 0" for name in COUNTS)
    run(con, f"create or replace temp table difference as from ({_sum_of_parts()}) where {differs}")
    sums = ", ".join(f"{quote(name)} = f.{quote(name)} + d.{quote(name)}" for name in COUNTS)
    run(
        con,
        "merge into facts.flows f using temp.difference d on f.member_id = d.member_id and f.date = d.date "
        f"when matched then update set {sums} when not matched then insert by name",
    )
    if any(days.values()):
        span = {"first": min(days), "last": max(days)}
        run(con, "delete from facts.flows where dau = 0 and date between $first::date and $last::date", span)
    run(con, "drop table temp.parts")


def _add_day(con: Connection, day: date, *, has_gone: bool) -> None:
    that = {**WINDOWS, **MONTH_BITS, "day": day}
    is_newest, that["near_days"] = run(con, sql("rolling", "near_days"), that)[0]
    for name in ("around", "first_days"):
        run(con, f"create or replace temp table {name} as {sql('rolling', name)}", that)
    if has_gone:
        _find_next_first_days(con, day)
    run(
        con,
        "insert into temp.parts by name "
        f"with toggled as materialized ({sql('rolling', 'toggled')}), gaps as ({sql('rolling', 'gaps_of_day')}) "
        f"({sql('rolling', 'flows')}) union all by name "
        "select member_id, date, sum(sign) as dau from toggled group by member_id, date union all by name "
        f"({sql('rolling', 'new_people')})",
        that,
    )
    _change_user_days(con, day, day, has_gone=has_gone)
    if has_gone or not is_newest:
        run(
            con,
            "delete from facts.first_seen s using temp.first_days f "
            "where f.before is not null and f.before is distinct from f.after "
            "and s.cell = f.cell and s.person_key = f.person_key",
        )
    fill(
        con,
        table("facts.first_seen"),
        "select cell, person_key, after as first_date from temp.first_days "
        "where after is not null and before is distinct from after",
    )
    for name in ("around", "first_days"):
        run(con, f"drop table temp.{name}")


def _find_next_first_days(con: Connection, day: date) -> None:
    """After a first day in a cell that goes, the next one may be any later day."""
    if not scalar(con, "select exists (from temp.first_days where is_lost)"):
        return
    run(
        con,
        "update temp.first_days f set after = u.first_date from ("
        "    select u.cell, u.person_key, min(u.date) as first_date from facts.user_days u "
        "    semi join temp.first_days l on l.is_lost and u.cell = l.cell and u.person_key = l.person_key "
        "    where u.date > $day::date group by all"
        ") u where f.cell = u.cell and f.person_key = u.person_key",
        {"day": day},
    )


def _rewrite_active_users(con: Connection, through: date) -> None:
    """Writes the members and days of temp.restate anew, as far as `through`."""
    first, last = run(
        con,
        "select min(from_date), least(max(to_date), $through::date) from temp.restate "
        "where from_date <= $through::date",
        {"through": through},
    )[0]
    if not first:
        return
    run(
        con,
        "delete from facts.active_users a using temp.restate r, facts.members m "
        "where m.member_id = r.member_id and a.grain = m.grain and a.member = m.member "
        "and a.date between r.from_date and r.to_date and a.date between $first::date and $last::date",
        {"first": first, "last": last},
    )
    _write_active_users(con, first, last)


def _write_active_users(con: Connection, first: date, last: date) -> None:
    """Writes the members and days of temp.restate, as far as they lie between `first` and `last`."""
    span = {**WINDOWS, "first": first, "last": last}
    fill(con, table("facts.active_users"), sql("rolling", "active_users"), span)
