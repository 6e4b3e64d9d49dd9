"""Values that rest on days of which a live source isn't landed as a whole say so, and are never scored as fresh."""

from collections.abc import Iterator
from datetime import UTC, date, datetime

import duckdb
import pytest

from kpi_pipeline import catalog
from kpi_pipeline.contracts import WAREHOUSE
from kpi_pipeline.stages.checks import evaluate, freshness_check, parts_check
from kpi_pipeline.stages.kpi import Run, compute
from kpi_pipeline.stages.scorecard import Rules, score
from kpi_pipeline.warehouse import create_tables, quote

AS_OF = date(2026, 3, 31)
THIS = Run(AS_OF, frozenset({"github", "hub_activity", "hub_registry"}), 3, "run", datetime(2026, 4, 1, tzinfo=UTC))
FLOWS = catalog.load().kpi("engineering.issues_closed_minus_opened")
TECHNICAL = catalog.load().kpi("software_architect.issue_resolution_time")


@pytest.fixture
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as con:
        create_tables(con, WAREHOUSE)
        for start, end, closed in (
            ("2026-01-01", "2026-01-31", True), ("2026-02-01", "2026-02-28", True), ("2026-03-01", "2026-03-31", True),
        ):  # fmt: skip
            con.execute("insert into facts.periods values ('month', ?, ?, ?)", [start, end, closed])
        con.execute("insert into facts.periods values ('quarter', '2026-01-01', '2026-03-31', true)")
        for month in (1, 2, 3):
            con.execute(
                "insert into facts.issue_flows values ('own/app', ?, null, ?, ?, 'opened', false)",
                [month, f"2026-0{month}-10", f"2026-0{month}-10 12:00:00"],
            )
        # raw.github: its newest day.
        con.execute(
            "insert into raw.github by name select 'own/app' as repository, 'issues' as stream, 1 as id, "
            "timestamp '2026-03-31 10:00:00' as happened_at, 'f' as _file, 1 as _row"
        )
        con.execute(
            "insert into raw.parts values ('github', 'own/app', '2026-04-01 02:30:00', true, null, 0, null, null)"
        )
        con.execute("insert into raw.covered_days values ('github', 'own/app', '2025-12-01', '2026-03-31')")
        yield con


def failing_since(con: duckdb.DuckDBPyConnection, last: str, *, part: str = "own/lib") -> None:
    con.execute(
        "insert into raw.parts values ('github', ?, null, true, null, 0, 'status 502', ?)", [part, f"{last} 02:30:00"]
    )
    con.execute("insert into raw.covered_days values ('github', ?, '2025-12-01', ?)", [part, last])


def statuses(con: duckdb.DuckDBPyConnection) -> dict[tuple[str, str], str]:
    compute(con, [FLOWS], THIS)
    rows = con.execute(
        "select period_start::varchar, period_end::varchar, status from kpi.kpi_values "
        "where grain in ('organisation', 'organisation:quarter')"
    ).fetchall()
    return {(start, end): status for start, end, status in rows}


def test_all_parts_are_there(con: duckdb.DuckDBPyConnection) -> None:
    assert set(statuses(con).values()) == {"ok"}


def test_a_part_that_fails_marks_what_rests_on_its_days(con: duckdb.DuckDBPyConnection) -> None:
    failing_since(con, "2026-03-15")
    found = statuses(con)
    assert found["2026-01-01", "2026-01-31"] == "ok"
    assert found["2026-02-01", "2026-02-28"] == "ok"
    assert found["2026-03-01", "2026-03-31"] == "incomplete"
    assert found["2026-01-01", "2026-03-31"] == "incomplete"


@pytest.mark.parametrize(
    ("lag_days", "is_closed", "status"),
    [(3, False, "to date"), (2, False, "incomplete"), (3, True, "incomplete"), (0, False, "incomplete")],
)
def test_days_that_are_not_there_yet_mark_no_period_that_still_runs(
    con: duckdb.DuckDBPyConnection, lag_days: int, is_closed: bool, status: str
) -> None:
    """The last three days lack, as they normally do, or as they don't."""
    con.execute("update facts.periods set is_closed = ? where period_start = '2026-03-01'", [is_closed])
    con.execute("update raw.covered_days set last_day = '2026-03-28'")
    con.execute("update raw.parts set lag_days = ?", [lag_days])
    found = statuses(con)
    assert found["2026-03-01", "2026-03-31"] == status
    assert found["2026-02-01", "2026-02-28"] == "ok"
    # A lag is of the last days only.
    con.execute("update raw.covered_days set last_day = '2026-02-27'")
    con.execute("insert into raw.covered_days values ('github', 'own/app', '2026-03-01', '2026-03-28')")
    assert statuses(con)["2026-02-01", "2026-02-28"] == "incomplete"


def test_a_part_that_is_no_longer_wanted_marks_nothing(con: duckdb.DuckDBPyConnection) -> None:
    failing_since(con, "2026-03-15")
    con.execute("update raw.parts set is_wanted = false where part = 'own/lib'")
    assert set(statuses(con).values()) == {"ok"}


def test_the_next_run_mends_it(con: duckdb.DuckDBPyConnection) -> None:
    failing_since(con, "2026-03-15")
    statuses(con)
    con.execute("update raw.covered_days set last_day = '2026-03-31'")
    con.execute("update raw.parts set problem = null, problem_since = null")
    assert set(statuses(con).values()) == {"ok"}


def test_freshness_turns_late(con: duckdb.DuckDBPyConnection) -> None:
    """The data of the part that works is new; with the one that fails, the source is as old as that."""
    check, bound = freshness_check("github"), {"as_of": AS_OF, "max_age_days": 7}
    assert evaluate(con, check, bound).passed
    failing_since(con, "2026-03-15")
    late = evaluate(con, check, bound)
    assert "2026-03-15" in late.rows[0]
    told = evaluate(con, parts_check("github"), bound)
    assert "own/lib" in told.rows[0]
    assert "status 502" in told.rows[0]


def test_a_quarter_whose_end_is_missing_is_stale(con: duckdb.DuckDBPyConnection) -> None:
    failing_since(con, "2026-03-15")
    con.execute(
        "insert into kpi.kpi_values by name select ? as kpi_id, ? as grain, ? as member, date '2026-01-01' as "
        "period_start, date '2026-03-31' as period_end, 5 as value, 20 as n, 'incomplete' as status, 'h' as "
        "definition_hash, 'r' as run_id, timestamp '2026-04-01 03:00:00' as computed_at",
        [TECHNICAL.id, *TECHNICAL.place],
    )
    assert score(con, [TECHNICAL], THIS, Rules((), {"github": 7}))[TECHNICAL.id].status == "stale"


def test_days_before_a_hub_was_first_asked_are_not_whole(con: duckdb.DuckDBPyConnection) -> None:
    """It said who was last active in January: of the users of that month a part. Files say all that they say."""
    kpi, as_of = catalog.load().kpi("engineering.cloud_cost_per_hub_user"), date(2026, 2, 10)
    con.execute("delete from facts.periods")
    for name, rows in kpi.measure.examples[0].input.items():
        for row in rows:
            con.execute(
                f"insert into {quote(name)} ({', '.join(row)}) values ({', '.join(f'${key}' for key in row)})", row
            )
    con.execute("insert into raw.covered_days values ('hub_activity', 'a/one', '2026-02-01', '2026-02-10')")
    con.execute("insert into raw.parts values ('hub_activity', 'a/one', '2026-02-11', true, null, 0, null, null)")
    this = Run(as_of, frozenset(kpi.measure.sources), 3, "run", datetime(2026, 2, 11, tzinfo=UTC))
    for first_day, january in ((None, "ok"), (date(2026, 1, 20), "incomplete")):
        con.execute("update raw.parts set first_day = ? where part = 'a/one'", [first_day])
        compute(con, [kpi], this)
        found = con.execute(
            "select period_start::varchar, status from kpi.kpi_values where grain = 'organisation' and kpi_id = ?",
            [kpi.id],
        ).fetchall()
        assert dict(found) == {"2026-01-01": january, "2026-02-01": "to date"}
