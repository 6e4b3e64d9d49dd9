"""Values against targets: every status, both directions, targets with a history, exemptions, and who may see what."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import duckdb
import pytest

from kpi_pipeline import catalog
from kpi_pipeline.catalog import Kpi
from kpi_pipeline.contracts import WAREHOUSE
from kpi_pipeline.settings import Exemption
from kpi_pipeline.stages.kpi import Run
from kpi_pipeline.stages.scorecard import Rules, score
from kpi_pipeline.stages.teams import fill_teams
from kpi_pipeline.warehouse import Connection, create_tables, run, sql

AS_OF = date(2026, 5, 20)
QUARTERS = [
    (date(2025, 10, 1), date(2025, 12, 31), True),
    (date(2026, 1, 1), date(2026, 3, 31), True),
    (date(2026, 4, 1), AS_OF, False),
]
LAST, RUNNING = QUARTERS[1][0], QUARTERS[2][0]
THIS = Run(AS_OF, frozenset({"ceremonies"}), 3, "run", datetime(2026, 5, 21, tzinfo=UTC))
NO_RULES = Rules((), {"ceremonies": 14})


@pytest.fixture
def con() -> Iterator[Connection]:
    with duckdb.connect() as con:
        create_tables(con, WAREHOUSE)
        for start, end, is_closed in QUARTERS:
            con.execute("insert into facts.periods values ('quarter', ?, ?, ?)", [start, end, is_closed])
        con.execute("insert into raw.ceremonies values (?, 'frontend', 'stand-up', 5, 5, 'a.csv', 1)", [AS_OF])
        yield con


def a_kpi(*targets: dict[str, Any], direction: str = "higher", **changes: Any) -> Kpi:
    kpi = catalog.load().kpi("frontend_team.ceremony_attendance_rate")
    measure = kpi.measure.model_copy(update={"direction": direction})
    made = [catalog.Target(unit="percent", **{"valid_from": date(2025, 1, 1), **target}) for target in targets]
    why = None if targets else "none agreed"
    return kpi.model_copy(update={"measure": measure, "targets": tuple(made), "no_target": why, **changes})


def put(con: Connection, start: date, value: str | None, n: int = 20, status: str = "ok") -> None:
    end = next(end for first, end, _ in QUARTERS if first == start)
    con.execute(
        "insert into kpi.kpi_values by name select 'frontend_team.ceremony_attendance_rate' as kpi_id, "
        "'team' as grain, 'frontend' as member, ?::date as period_start, ?::date as period_end, "
        "?::decimal(38, 9) as value, ?::bigint as n, ? as status, '' as definition_hash, '' as run_id, "
        "now()::timestamp as computed_at",
        [start, end, value, n, status],
    )


def card(con: Connection, kpi: Kpi, this: Run = THIS, rules: Rules = NO_RULES) -> dict[date, dict[str, Any]]:
    score(con, [kpi], this, rules)
    cursor = con.execute("select * from kpi.scorecard where kpi_id = ?", [kpi.id])
    names = [column[0] for column in cursor.description or []]
    rows = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
    return {row["period_start"]: row for row in rows}


@pytest.mark.parametrize(
    ("comparator", "target", "value", "status", "score_"),
    [
        (">=", 80, "80", "met", "1"),
        (">=", 80, "100", "met", "1"),
        (">=", 80, "79.999999999", "near", "1.000000000"),  # 0.9999999999875, rounded
        (">=", 80, "72", "near", "0.9"),
        (">=", 80, "71.999999999", "missed", "0.9"),
        (">=", 80, "0", "missed", "0"),
        (">", 80, "80", "near", "1"),
        ("<=", 24, "24", "met", "1"),
        ("<=", 24, "0", "met", "1"),
        ("<=", 24, "26.4", "near", "0.909090909"),
        ("<=", 24, "26.400000001", "missed", "0.909090909"),
        ("<=", 24, "48", "missed", "0.5"),
        ("<", 24, "24", "near", "1"),
        ("=", 10, "10", "met", "1"),
        ("=", 10, "11", "near", "0.909090909"),
        ("=", 10, "5", "missed", "0.5"),
    ],
)
def test_verdicts(con: Connection, comparator: str, target: int, value: str, status: str, score_: str) -> None:
    put(con, LAST, value)
    row = card(con, a_kpi({"comparator": comparator, "value": target}))[LAST]
    assert (row["status"], row["score"]) == (status, Decimal(score_))
    assert (row["comparator"], row["target"], row["is_closed"]) == (comparator, target, True)


def test_each_period_is_scored_by_the_target_that_held_on_its_last_day(con: Connection) -> None:
    for start, _, _ in QUARTERS:
        put(con, start, "75")
    kpi = a_kpi(
        {"comparator": ">=", "value": 70, "valid_from": date(2026, 1, 1)},
        {"comparator": ">=", "value": 80, "valid_from": date(2026, 4, 1)},
    )
    rows = card(con, kpi)
    assert [(row["target"], row["status"]) for row in rows.values()] == [(None, "no target"), (70, "met"), (80, "near")]
    assert [row["previous_value"] for row in rows.values()] == [None, 75, 75]
    assert [row["is_closed"] for row in rows.values()] == [True, True, False]


def test_without_a_value_it_says_why_and_is_never_healthy(con: Connection) -> None:
    kpi = a_kpi({"comparator": "<=", "value": 24})
    row = card(con, kpi)[LAST]
    assert (row["status"], row["value"], row["score"]) == ("no data", None, None)
    assert row["note"] == "nothing to compute it from"
    apart = replace(THIS, connected=frozenset())
    assert card(con, kpi, apart)[LAST]["note"] == "not connected: ceremonies"


def test_few_observations_are_no_verdict(con: Connection) -> None:
    put(con, LAST, "90", n=9)
    put(con, RUNNING, "90", n=50, status="insufficient")
    rows = card(con, a_kpi({"comparator": ">=", "value": 80, "min_n": 10}))
    assert {(row["status"], row["score"]) for row in rows.values() if row["value"]} == {("insufficient", None)}
    assert rows[LAST]["note"] == "9 observations"


def test_a_count_of_none_is_missed_and_not_too_few_to_judge(con: Connection) -> None:
    put(con, LAST, "0", n=0)
    kpi = a_kpi({"comparator": ">=", "value": 1})
    counting = kpi.model_copy(update={"measure": kpi.measure.model_copy(update={"kind": "count"})})
    assert (card(con, kpi)[LAST]["status"], card(con, counting)[LAST]["status"]) == ("insufficient", "missed")
    untargeted = counting.model_copy(update={"targets": (), "no_target": "none agreed"})
    assert card(con, untargeted)[LAST]["status"] == "no target"


def test_old_data_is_stale_for_the_periods_that_it_does_not_reach(con: Connection) -> None:
    con.execute("update raw.ceremonies set date = date '2026-03-20'")
    put(con, LAST, "90")
    put(con, RUNNING, "90")
    rows = card(con, a_kpi({"comparator": ">=", "value": 80}))
    assert rows[LAST]["status"] == "met"
    assert (rows[RUNNING]["status"], rows[RUNNING]["note"]) == ("stale", "data until 2026-03-20")
    lenient = Rules((), {"ceremonies": None})
    assert card(con, a_kpi({"comparator": ">=", "value": 80}), rules=lenient)[RUNNING]["status"] == "met"


def test_an_exemption_holds_for_periods_that_end_in_it(con: Connection) -> None:
    put(con, LAST, "10")
    put(con, RUNNING, "10")
    kpi = a_kpi({"comparator": ">=", "value": 80})
    why = {"reason": "a new team", "approved_by": "operations"}
    first, last = date(2026, 3, 1), date(2026, 3, 31)
    rules = Rules([Exemption.model_validate({"kpi": kpi.id, "from": first, "to": last, **why})], {})
    rows = card(con, kpi, rules=rules)
    assert (rows[LAST]["status"], rows[LAST]["value"], rows[LAST]["score"]) == ("exempt", 10, None)
    assert rows[LAST]["note"] == "a new team (until 2026-03-31, approved by operations)"
    assert rows[RUNNING]["status"] == "missed"


def test_a_kpi_of_no_role_has_no_row(con: Connection) -> None:
    assert score(con, [a_kpi(role=None)], THIS, NO_RULES) == {}
    assert con.execute("select count(*) from kpi.scorecard").fetchall() == [(0,)]


def test_the_verdict_is_on_the_last_closed_period(con: Connection) -> None:
    put(con, LAST, "90")
    put(con, RUNNING, "1")
    (verdict,) = score(con, [a_kpi({"comparator": ">=", "value": 80})], THIS, NO_RULES).values()
    assert (verdict.status, verdict.period_start) == ("met", LAST)


# -- who may see what ------------------------------------------------------------------------------

WITHHELD = "published_withheld_values"
TEAMS = {"frontend": ("engineers", "design"), "mobile": ()}


def audiences(con: Connection, people: dict[tuple[str, str], int | None], audience: str = "external") -> dict[str, str]:
    """What published_withheld_values.sql says of values with so many people, by member."""
    fill_teams(con, TEAMS)
    con.execute("create or replace temp table kpi_definitions (kpi_id varchar, measure varchar, audience varchar)")
    con.execute("insert into temp.kpi_definitions values ('r.k', 'm', ?)", [audience])
    for (grain, member), known in people.items():
        con.execute(
            "insert into kpi.kpi_values by name select 'r.k' as kpi_id, ? as grain, ? as member, "
            "date '2026-01-01' as period_start, date '2026-03-31' as period_end, 1 as value, ?::bigint as people, "
            "'ok' as status, '' as definition_hash, '' as run_id, now()::timestamp as computed_at",
            [grain, member, known],
        )
    withheld = {m for (m,) in run(con, f"select member from ({sql('stages', WITHHELD)})", {"min_people": 3})}
    shown = audience == "external"
    everybody = {member for _, member in people} | withheld
    rows = [(member, "external" if shown and member not in withheld else "internal") for member in everybody]
    return dict(rows)


EVERYBODY = ("organisation", "organisation")


def test_enough_people_everywhere(con: Connection) -> None:
    found = audiences(con, {EVERYBODY: 9, ("team", "frontend"): 5, ("team", "mobile"): 4})
    assert set(found.values()) == {"external"}


def test_what_is_not_people_is_external(con: Connection) -> None:
    assert set(audiences(con, {EVERYBODY: None, ("team", "frontend"): None}).values()) == {"external"}


def test_an_internal_kpi_is_internal(con: Connection) -> None:
    assert set(audiences(con, {EVERYBODY: 9}, audience="internal").values()) == {"internal"}


def test_one_small_member_hides_the_others_beside_the_total(con: Connection) -> None:
    """9 in all, 7 of them in one team: the other two are what is left."""
    found = audiences(con, {EVERYBODY: 9, ("team", "frontend"): 7, ("team", "mobile"): 2})
    assert found == {"organisation": "external", "frontend": "internal", "mobile": "internal"}


def test_a_small_remainder_hides_the_parts(con: Connection) -> None:
    """9 in all and 8 in the only team: one person is in none."""
    assert audiences(con, {EVERYBODY: 9, ("team", "mobile"): 8})["mobile"] == "internal"


def test_a_small_remainder_of_a_team_hides_the_parts(con: Connection) -> None:
    """6 in the team, 5 of them in one part: the sixth would be known."""
    found = audiences(con, {EVERYBODY: 20, ("team", "frontend"): 6, ("team", "engineers"): 5})
    assert found == {"organisation": "external", "frontend": "internal", "engineers": "internal"}


def test_what_is_insufficient_is_internal_by_itself(con: Connection) -> None:
    """Nine answers of nine people: too few to say something outside, but nobody's answer can be worked out."""
    con.execute(
        "insert into kpi.kpi_values by name select 'r.k' as kpi_id, 'team' as grain, 'backend' as member, "
        "date '2026-01-01' as period_start, date '2026-03-31' as period_end, 4 as value, 9 as n, 9 as people, "
        "'insufficient' as status, '' as definition_hash, '' as run_id, now()::timestamp as computed_at"
    )
    found = audiences(con, {EVERYBODY: 20, ("team", "mobile"): 11})
    assert found == {"organisation": "external", "backend": "internal", "mobile": "external"}


def test_a_small_total_is_internal(con: Connection) -> None:
    assert audiences(con, {EVERYBODY: 2})["organisation"] == "internal"
