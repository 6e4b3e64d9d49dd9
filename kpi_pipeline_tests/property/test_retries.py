"""Attempts at test cases: whatever a report lists, the counts equal a plain walk through it."""

from collections import Counter
from io import BytesIO

import duckdb
import polars as pl
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kpi_pipeline.contracts import TABLES
from kpi_pipeline.sources import junit
from kpi_pipeline.stages import quality
from kpi_pipeline.warehouse import create_tables, fill

INSIDE = {
    "passed": "",
    "flaky": "<flakyFailure/>",
    "failed": "<failure/>",
    "failed again": "<failure/><rerunFailure/>",
    "error": "<error/>",
    "skipped": "<skipped/>",
}
# (suite, name, outcome); a case may have no name.
ATTEMPTS = st.lists(
    st.tuples(st.sampled_from("st"), st.sampled_from(("a", "b", "")), st.sampled_from(sorted(INSIDE))), max_size=14
)


def walk(attempts: list[tuple[str, str, str]]) -> Counter[str]:
    """Counts, attempt by attempt: one that failed waits for a later one of its name, which takes its place."""
    counts, waiting = Counter[str](), dict[tuple[str, str], str]()
    for suite, name, said in attempts:
        outcome = {"failed again": "failed", "flaky": "passed", "error": "errors"}.get(said, said)
        if outcome == "skipped":
            counts["skipped"] += 1
            continue
        before = waiting.pop((suite, name), None) if name else None
        if before:
            counts["retried"] += 1
            counts[before] -= 1
        counts[outcome] += 1
        counts["flaky"] += outcome == "passed" and (said == "flaky" or before is not None)
        if outcome != "passed" and name:
            waiting[suite, name] = outcome
    return counts


@given(ATTEMPTS)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_counts_are_what_a_walk_gives(attempts: list[tuple[str, str, str]]) -> None:
    # Each in a <testsuite> of its own: what a suite is called says where a case belongs.
    cases = "".join(
        f"<testsuite name='{suite}'><testcase {f'name={name!r}' if name else ''}>{INSIDE[said]}</testcase></testsuite>"
        for suite, name, said in attempts
    )
    report = f"<testsuites timestamp='2026-01-01T00:00:00'>{cases}</testsuites>"
    found = list(junit.parse("web/unit/report.xml", BytesIO(report.encode())))
    assert len(found) == len(attempts)
    rows = [(*case, "report.xml", row, case.date) for row, case in enumerate(found, 1)]
    with duckdb.connect() as con:
        names = ("raw.test_results", "raw.code_quality", "staged.teams", "facts.test_results", "facts.code_quality")
        create_tables(con, [TABLES[name] for name in names])
        con.register("cases", pl.DataFrame(rows, schema=quality.CASES, orient="row").to_arrow())
        fill(con, TABLES["raw.test_results"], "select * exclude (fetched) from cases")
        quality.make_facts(con, "warning")
        counted = con.execute("select passed, flaky, failed, errors, skipped, retried, run from facts.test_results")
        counts = walk(attempts)
        parts = [counts[name] for name in ("passed", "flaky", "failed", "errors", "skipped", "retried")]
        run = counts["passed"] + counts["failed"] + counts["errors"]
        assert counted.fetchall() == ([(*parts, run)] if attempts else [])
