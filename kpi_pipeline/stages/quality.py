"""Landing to facts of the quality domain: reports of test runs and of assessments of code.

Never here: the formats of reports (sources/), and what a KPI is (catalog/measures).
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import polars as pl

from kpi_pipeline.contracts import RECORDS, Record, table
from kpi_pipeline.errors import UnreadableFileError
from kpi_pipeline.landing import TORN_GZIP, LandedFile, Landing, unpacked
from kpi_pipeline.sources import junit, sarif
from kpi_pipeline.sources.reports import ReportError
from kpi_pipeline.stages import raw, reading
from kpi_pipeline.warehouse import Connection, fill, quote, run, sql, transaction

TESTS, CODE = "test_results", "code_quality"
# Test cases are handed to DuckDB so many at once.
BATCH = 50_000
REJECT_REASONS = {
    "entities": "entities_in_xml",
    "syntax": "not_xml",
    "root": "not_junit",
    "json": "not_json",
    "schema": "not_sarif",
    "incomplete": "scan_failed",
    "artifacts": "no_artifacts",
    "day": "no_day",
    "place": "no_team_folder",
}
CASES = {
    "date": pl.Date,
    **dict.fromkeys(("team", "suite", "test_suite", "class_name", "name", "outcome"), pl.String),
    "is_flaky": pl.Boolean,
    "_file": pl.String,
    "_row": pl.Int64,
    "fetched": pl.Date,
}
UNITS = {
    "date": pl.Date,
    **dict.fromkeys(("team", "tool", "unit"), pl.String),
    **dict.fromkeys(("lines", "errors", "warnings", "notes"), pl.Int64),
}
# The level from which findings count, and the columns that hold them.
LEVELS = {"error": ("errors",), "warning": ("errors", "warnings"), "note": ("errors", "warnings", "notes")}


def load_tests(con: Connection, landing: Landing, connected: bool) -> raw.Loaded:
    """Brings raw.test_results up to date with the landing zone."""

    def read_all(con: Connection, files: Sequence[LandedFile]) -> list[raw.Reject]:
        return _read_reports(con, landing, files)

    return raw.load(con, landing, RECORDS[TESTS], None, connected, read_all=read_all)


def load_code(con: Connection, landing: Landing, kind: str | None) -> raw.Loaded:
    """Brings raw.code_quality up to date with the landing zone.

    Args:
        kind: what a `.json` file is: `sarif`, or `table`; None: the source isn't connected.
    """

    def read(con: Connection, record: Record, file: LandedFile, path: Path) -> reading.Reader:
        name = file.name.lower()
        if name.endswith((".sarif", ".sarif.gz", ".sarif.json", ".sarif.json.gz")):
            return _sarif_reader(con, file, path)
        if kind == "sarif" and name.endswith((".json", ".json.gz")):
            return _sarif_reader(con, file, path)
        return reading.reader(con, record, file, path)

    loaded = raw.load(con, landing, RECORDS[CODE], None, kind is not None, read)
    con.unregister("assessed_units")
    return loaded


def make_facts(con: Connection, level: str) -> None:
    """Makes the fact tables of the domain, in one transaction.

    Args:
        level: from which level of findings on a unit of code doesn't meet the standard.
    """
    with transaction(con):
        for name, select in (("facts.test_results", TESTS), ("facts.code_quality", CODE)):
            run(con, f"truncate {quote(name)}")
            fill(con, table(name), sql("stages", select), {"counted": list(LEVELS[level])})


def _read_reports(con: Connection, landing: Landing, files: Sequence[LandedFile]) -> list[raw.Reject]:
    """Test cases into temp.incoming, many files at once: runners write thousands of small ones."""
    rejects: list[raw.Reject] = []
    batch: list[tuple[object, ...]] = []
    for file in files:
        try:
            for case in _cases(landing, file):
                batch.append(case)
                if len(batch) == BATCH:
                    _insert(con, batch)
                    batch = []
        except UnreadableFileError as error:
            rejects.append((file.name, raw.WHOLE_FILE, error.reason))
    _insert(con, batch)
    torn = [name for name, *_ in rejects]
    run(con, f"delete from {raw.INCOMING} where list_contains($files, _file)", {"files": torn})
    return rejects


def _cases(landing: Landing, file: LandedFile) -> Iterator[tuple[object, ...]]:
    if file.bytes == 0:
        raise _unreadable(file, "empty_file", "0 bytes")
    packed = file.encoding == "gzip" or file.name.lower().endswith(".gz")
    try:
        with unpacked(landing.path(TESTS, file), packed) as content:
            for row, case in enumerate(junit.parse(file.name, content), 1):
                yield (*case, file.name, row, file.fetched_date)
    except TORN_GZIP as error:
        raise _unreadable(file, "truncated", "a torn gzip") from error
    except ReportError as error:
        raise _unreadable(file, REJECT_REASONS[error.fault], "another file") from error


def _insert(con: Connection, batch: Sequence[tuple[object, ...]]) -> None:
    if not batch:
        return
    con.register("test_cases", pl.DataFrame(batch, schema=CASES, orient="row").to_arrow())
    run(
        con,
        f"insert into {raw.INCOMING} by name select * exclude (fetched), "
        "case when date > fetched then 'future:date' end as _reason from test_cases",
    )
    con.unregister("test_cases")


def _sarif_reader(con: Connection, file: LandedFile, path: Path) -> reading.Reader:
    if file.bytes == 0:
        raise _unreadable(file, "empty_file", "0 bytes")
    packed = file.encoding == "gzip" or file.name.lower().endswith(".gz")
    try:
        with reading.whole_file(file), unpacked(path, packed) as content:
            units = list(sarif.parse(file.name, content.read()))
    except ReportError as error:
        raise _unreadable(file, REJECT_REASONS[error.fault], "another file") from error
    frame = pl.DataFrame(units, schema=UNITS, orient="row").with_row_index("place", 1)
    con.register("assessed_units", frame.to_arrow())
    return reading.Reader("assessed_units", {}, {name: name for name in UNITS}, "place", typed=True)


def _unreadable(file: LandedFile, reason: str, got: str) -> UnreadableFileError:
    return UnreadableFileError(
        file.name,
        reason=reason,
        got=got,
        expected="a report as docs/sources.md describes it",
        fix="Write it again, and deliver it under the same name.",
    )
