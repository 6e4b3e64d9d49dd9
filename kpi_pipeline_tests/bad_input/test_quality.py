"""Wrong and awkward reports of test runs and of assessments: quarantined, or counted as documented."""

import gzip
import json
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pytest

from kpi_pipeline.errors import SourceError
from kpi_pipeline.landing import Landing
from kpi_pipeline.sources.files import list_files, list_junit, list_sarif
from kpi_pipeline.stages import quality, teams
from kpi_pipeline.stages.checks import CHECKS, evaluate
from kpi_pipeline.warehouse import Connection

from .organisation import AS_OF, FETCHED, empty_warehouse

PLACE = "web/unit/2025-06-02/report.xml"
GOOD = "<testsuite name='s'><testcase name='a'/></testsuite>"
HEADER = "date,team,unit,lines,meets,errors,warnings,notes"


class Drop:
    """Reports are dropped, landed, loaded and made facts of, through the library."""

    def __init__(self, root: Path) -> None:
        self.root = root
        path = root / "warehouse.duckdb"
        path.write_bytes(empty_warehouse())
        self.con: Connection = duckdb.connect(str(path))
        self.landing = Landing(root / "landing")

    def put(self, source: str, name: str, content: str | bytes) -> None:
        path = self.root / source / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())

    def test(self, content: str | bytes, name: str = PLACE) -> None:
        self.put("test_results", name, content)

    def code(self, content: str | bytes, name: str = "web/2025-06-02.sarif") -> None:
        self.put("code_quality", name, content)

    def run(self, kind: str = "sarif", level: str = "warning") -> None:
        listed = {"test_results": list_junit, "code_quality": list_sarif if kind == "sarif" else list_files}
        for source, list_them in listed.items():
            if (self.root / source).exists():
                files = list_them(source, self.root / source)
                self.landing.land(source, kind, files, FETCHED)
        teams.fill_teams(self.con, {"frontend": ["web"]})
        quality.load_tests(self.con, self.landing, (self.root / "test_results").exists())
        quality.load_code(self.con, self.landing, kind if (self.root / "code_quality").exists() else None)
        quality.make_facts(self.con, level)
        for check in CHECKS:
            if check.table in ("facts.test_results", "facts.code_quality") and check.severity == "ERROR":
                assert evaluate(self.con, check, {"as_of": AS_OF}).passed, check.name

    def query(self, statement: str) -> list[tuple[Any, ...]]:
        return self.con.execute(statement).fetchall()

    def quarantine(self) -> list[tuple[str, int | None, str]]:
        return self.query("select file, row, reason from raw.quarantine order by all")

    def counts(self) -> list[tuple[Any, ...]]:
        """run, passed, flaky, failed, errors, skipped, retried."""
        return self.query("select run, passed, flaky, failed, errors, skipped, retried from facts.test_results")

    def assessed(self) -> list[tuple[Any, ...]]:
        """units, of these that meet, lines, of these that meet."""
        return self.query("select units, units_that_meet, lines, lines_that_meet from facts.code_quality order by all")


@pytest.fixture
def drop(tmp_path: Path) -> Iterator[Drop]:
    made = Drop(tmp_path)
    yield made
    made.con.close()


# -- test results ----------------------------------------------------------------------------------

BOMB = (
    '<?xml version="1.0"?><!DOCTYPE b [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]>'
    "<testsuite name='s'><testcase name='&b;'/></testsuite>"
)
OUTSIDE = "<!DOCTYPE t SYSTEM 'file:///etc/passwd' [<!ENTITY x SYSTEM 'file:///etc/passwd'>]><testsuite>&x;</testsuite>"
BAD_REPORTS: dict[str, tuple[str, str | bytes, str]] = {
    "cut off": (PLACE, GOOD[:-6], "not_xml"),
    "no XML": (PLACE, "Tests: 4 passed", "not_xml"),
    "two roots": (PLACE, GOOD + GOOD, "not_xml"),
    "other bytes": (PLACE, b"<testsuite name='\xff\xfe'><testcase/></testsuite>", "not_xml"),
    "unknown encoding": (PLACE, f"<?xml version='1.0' encoding='klingon'?>{GOOD}", "not_xml"),
    "entities": (PLACE, BOMB, "entities_in_xml"),
    "a file from outside": (PLACE, OUTSIDE, "entities_in_xml"),
    "coverage": (PLACE, "<coverage><testsuite><testcase/></testsuite></coverage>", "not_junit"),
    "a case alone": (PLACE, "<testcase name='a'/>", "not_junit"),
    "no day": ("web/unit/report.xml", GOOD, "no_day"),
    "no day that there is": ("web/unit/2025-02-30.xml", GOOD.replace("name", "timestamp"), "no_day"),
    "no suite": ("web/2025-06-02.xml", GOOD, "no_team_folder"),
    "a day for a suite": ("web/2025-06-02/report.xml", GOOD, "no_team_folder"),
    "empty": (PLACE, "", "empty_file"),
    "torn": (PLACE + ".gz", gzip.compress(GOOD.encode() * 99)[:-12], "truncated"),
}


@pytest.mark.parametrize("fault", BAD_REPORTS)
def test_a_bad_report_is_rejected_as_a_whole(drop: Drop, fault: str) -> None:
    name, content, reason = BAD_REPORTS[fault]
    drop.test(content, name)
    drop.test(GOOD, "web/unit/2025-06-03/good.xml")
    drop.run()
    assert drop.quarantine() == [(name, None, reason)]
    assert drop.query("select date from raw.test_results") == [(date(2025, 6, 3),)]


def test_what_was_read_before_a_report_breaks_off_does_not_count(drop: Drop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quality, "BATCH", 2)
    drop.test("<testsuite>" + "<testcase name='a'/>" * 5)
    drop.test(GOOD, "web/unit/2025-06-03/good.xml")
    drop.run()
    assert drop.query("select _file, _row from raw.test_results") == [("web/unit/2025-06-03/good.xml", 1)]


def test_a_mended_report_takes_the_place_of_the_broken_one(drop: Drop) -> None:
    drop.test(GOOD[:-6])
    drop.run()
    drop.test(GOOD)
    drop.run()
    assert drop.quarantine() == []
    assert drop.counts() == [(1, 1, 0, 0, 0, 0, 0)]


def test_a_run_on_a_day_to_come_is_rejected_case_by_case(drop: Drop) -> None:
    later = "<testsuite timestamp='2025-07-11T00:00:00'><testcase name='b'/></testsuite>"
    drop.test(f"<testsuites>{GOOD}{later}</testsuites>")
    drop.run()
    assert drop.quarantine() == [(PLACE, 2, "future:date")]
    assert drop.counts() == [(1, 1, 0, 0, 0, 0, 0)]


COUNTED = {
    # run, passed, flaky, failed, errors, skipped, retried
    "totals of suites lie": ("<testsuite tests='9' failures='7'><testcase/></testsuite>", (1, 1, 0, 0, 0, 0, 0)),
    "each outcome": (
        "<testsuite><testcase name='a'/><testcase name='b'><failure/></testcase><testcase name='c'><error/></testcase>"
        "<testcase name='d'><skipped/></testcase><testcase name='e' status='notrun'/></testsuite>",
        (3, 1, 0, 1, 1, 2, 0),
    ),
    "nested suites": (
        "<testsuites><testsuite name='a'><testsuite name='b'><testcase name='x'><failure/></testcase></testsuite>"
        "<testsuite name='c'><testcase name='x'/></testsuite><testcase name='x'/></testsuite></testsuites>",
        (3, 2, 0, 1, 0, 0, 0),
    ),
    "a namespace": (
        "<t:testsuite xmlns:t='urn:junit'><t:testcase><t:failure/></t:testcase><t:testcase/></t:testsuite>",
        (2, 1, 0, 1, 0, 0, 0),
    ),
    "cases without a name are all different": (
        "<testsuite><testcase><failure/></testcase><testcase/></testsuite>",
        (2, 1, 0, 1, 0, 0, 0),
    ),
    "surefire: passed in the end": (
        "<testsuite><testcase name='a'><flakyFailure/><flakyError/></testcase>"
        "<testcase name='b'><rerunFailure/></testcase></testsuite>",
        (2, 2, 2, 0, 0, 0, 0),
    ),
    "surefire: failed each time": (
        "<testsuite><testcase name='a'><failure/><rerunFailure/><rerunError/></testcase></testsuite>",
        (1, 0, 0, 1, 0, 0, 0),
    ),
    "listed per attempt: passed in the end": (
        "<testsuite><testcase name='a'><failure/></testcase><testcase name='b'/><testcase name='a'><error/></testcase>"
        "<testcase name='a'/></testsuite>",
        (2, 2, 1, 0, 0, 0, 2),
    ),
    "listed per attempt: failed each time": (
        "<testsuite><testcase name='a'><failure/></testcase><testcase name='a'><failure/></testcase></testsuite>",
        (1, 0, 0, 1, 0, 0, 1),
    ),
    "a failure after a pass is another case of that name": (
        "<testsuite><testcase name='a'/><testcase name='a'><failure/></testcase></testsuite>",
        (2, 1, 0, 1, 0, 0, 0),
    ),
    "two passes of a name are two cases": (
        "<testsuite><testcase name='a'/><testcase name='a'/></testsuite>",
        (2, 2, 0, 0, 0, 0, 0),
    ),
    "a skip is no attempt": (
        "<testsuite><testcase name='a'><failure/></testcase><testcase name='a'><skipped/></testcase></testsuite>",
        (1, 0, 0, 1, 0, 1, 0),
    ),
    "another class is another case": (
        "<testsuite><testcase classname='x' name='a'><failure/></testcase>"
        "<testcase classname='y' name='a'/></testsuite>",
        (2, 1, 0, 1, 0, 0, 0),
    ),
    "another encoding": (
        "<?xml version='1.0' encoding='utf-16'?><testsuite><testcase name='\N{SNOWMAN}'/></testsuite>",
        (1, 1, 0, 0, 0, 0, 0),
    ),
}  # fmt: skip


@pytest.mark.parametrize("story", COUNTED)
def test_what_counts(drop: Drop, story: str) -> None:
    content, expected = COUNTED[story]
    drop.test(content.encode("utf-16" if "utf-16" in content else "utf-8"))
    drop.run()
    assert drop.quarantine() == []
    assert drop.counts() == [expected]


def test_the_day_is_that_of_the_nearest_suite_in_utc(drop: Drop) -> None:
    drop.test(
        "<testsuites timestamp='2025-06-05T10:00:00'>"
        "<testsuite timestamp='2025-06-06T23:30:00-04:00'><testcase name='next day'/></testsuite>"
        "<testsuite timestamp='yesterday'><testcase name='outer'/></testsuite></testsuites>",
        "Web  Team/Unit/2025-06-02/r.XML",
    )
    drop.run()
    found = drop.query("select date::varchar, team, suite from facts.test_results order by date")
    assert found == [("2025-06-05", "web team", "unit"), ("2025-06-07", "web team", "unit")]


def test_a_retry_is_within_one_file_day_and_suite(drop: Drop) -> None:
    failed = "<testcase name='a'><failure/></testcase>"
    first = f"<testsuite name='s' timestamp='2025-06-02T01:00:00'>{failed}</testsuite>"
    passed = first.replace(failed, "<testcase name='a'/>")
    drop.test(f"<testsuites>{first}{passed}{passed.replace('06-02', '06-03')}</testsuites>")
    drop.test(passed, "web/unit/2025-06-02/other.xml")
    drop.run()
    assert drop.query("select date::varchar, run, passed, flaky, retried from facts.test_results order by date") == [
        ("2025-06-02", 2, 2, 1, 1),
        ("2025-06-03", 1, 1, 0, 0),
    ]


def test_the_work_of_a_part_is_that_of_the_whole(drop: Drop) -> None:
    drop.test(GOOD)
    drop.code(sarif())
    drop.run()
    assert drop.query("select teams from facts.test_results") == [(["web", "frontend"],)]
    assert drop.query("select teams from facts.code_quality") == [(["web", "frontend"],)]


def test_a_folder_without_a_report_is_refused(tmp_path: Path) -> None:
    (tmp_path / "coverage.html").write_text("x")
    with pytest.raises(SourceError, match=r"no file that ends with \.xml"):
        list_junit("test_results", tmp_path)


# -- code quality ----------------------------------------------------------------------------------


def result(uri: str = "a.py", **more: Any) -> dict[str, Any]:
    where = {"physicalLocation": {"artifactLocation": {"uri": uri}}}
    return {"message": {"text": "found"}, "locations": [where], **more}


def a_run(*results: dict[str, Any], **more: Any) -> dict[str, Any]:
    artifacts = [
        {"location": {"uri": "a.py"}, "properties": {"lines": 70}},
        {"location": {"uri": "b.py"}, "properties": {"lines": 30}},
    ]
    return {"tool": {"driver": {"name": "lint"}}, "artifacts": artifacts, "results": list(results), **more}


def sarif(*results: dict[str, Any], **more: Any) -> str:
    return json.dumps({"version": "2.1.0", "runs": [a_run(*results, **more)]})


BAD_LOGS: dict[str, tuple[str | bytes, str]] = {
    "no JSON": ("{", "not_json"),
    "other bytes": (b'{"version": "\xff"}', "not_json"),
    "another version": (sarif().replace("2.1.0", "2.0.0"), "not_sarif"),
    "a list": (f"[{sarif()}]", "not_sarif"),
    "no tool": ('{"version": "2.1.0", "runs": [{"results": []}]}', "not_sarif"),
    "an unknown level": (sarif(result(level="fatal")), "not_sarif"),
    "a result without a message": (sarif({"ruleId": "x"}), "not_sarif"),
    "no artifacts": (sarif(artifacts=[]), "no_artifacts"),
    "no runs": ('{"version": "2.1.0", "runs": []}', "no_artifacts"),
    "no list of results": (sarif(results=None), "scan_failed"),
    "a tool that failed": (sarif(invocations=[{"executionSuccessful": False}]), "scan_failed"),
    "empty": ("", "empty_file"),
}


@pytest.mark.parametrize("fault", BAD_LOGS)
def test_a_bad_log_is_rejected_as_a_whole(drop: Drop, fault: str) -> None:
    content, reason = BAD_LOGS[fault]
    drop.code(content)
    drop.code(sarif(), "web/2025-06-03.sarif")
    drop.run()
    assert drop.quarantine() == [("web/2025-06-02.sarif", None, reason)]
    assert drop.assessed() == [(2, 2, 100, 100)]


@pytest.mark.parametrize(("name", "reason"), [("2025-06-02.sarif", "no_team_folder"), ("web/latest.sarif", "no_day")])
def test_a_log_must_say_whose_it_is_and_of_when(drop: Drop, name: str, reason: str) -> None:
    drop.code(sarif(), name)
    drop.run()
    assert drop.quarantine() == [(name, None, reason)]


def test_a_torn_log_is_rejected(drop: Drop) -> None:
    drop.code(gzip.compress(sarif().encode())[:-12], "web/2025-06-02.sarif.gz")
    drop.run()
    assert drop.quarantine() == [("web/2025-06-02.sarif.gz", None, "truncated")]


RULES = {"tool": {"driver": {"name": "lint", "rules": [
    {"id": "x"}, {"id": "y", "defaultConfiguration": {"level": "note"}},
]}, "extensions": [{"name": "more", "rules": [{"id": "z", "defaultConfiguration": {"level": "note"}}]}]}}  # fmt: skip
TWO_FILES = [{"physicalLocation": {"artifactLocation": {"uri": uri}}} for uri in ("a.py", "b.py")]
# What was found; of the 100 lines those that meet the standard, by level: error, warning, note.
FOUND: dict[str, tuple[str, tuple[int, int, int]]] = {
    "nothing": (sarif(), (100, 100, 100)),
    "an error": (sarif(result(level="error")), (30, 30, 30)),
    "a warning": (sarif(result(level="warning")), (100, 30, 30)),
    "a note": (sarif(result(level="note")), (100, 100, 30)),
    "none": (sarif(result(level="none")), (100, 100, 100)),
    "no level is a warning": (sarif(result()), (100, 30, 30)),
    "the rule's own level is a warning": (sarif(result(ruleId="x"), **RULES), (100, 30, 30)),
    "the level of its rule, by id": (sarif(result(ruleId="y"), **RULES), (100, 100, 30)),
    "the level of its rule, by an id that goes on": (sarif(result(ruleId="y/2"), **RULES), (100, 100, 30)),
    "the level of its rule, by number": (sarif(result(ruleIndex=1), **RULES), (100, 100, 30)),
    "the level of its rule, in an extension": (
        sarif(result(rule={"index": 0, "toolComponent": {"index": 0}}), **RULES),
        (100, 100, 30),
    ),
    "its own level before that of its rule": (sarif(result(ruleId="y", level="error"), **RULES), (30, 30, 30)),
    "suppressed": (sarif(result(level="error", suppressions=[{"kind": "inSource"}])), (100, 100, 100)),
    "a suppression that was rejected": (
        sarif(result(level="error", suppressions=[{"kind": "external"}, {"kind": "external", "status": "rejected"}])),
        (30, 30, 30),
    ),
    "an empty list of suppressions": (sarif(result(level="error", suppressions=[])), (30, 30, 30)),
    "mended since": (sarif(result(level="error", baselineState="absent")), (100, 100, 100)),
    "still there": (sarif(result(level="error", baselineState="unchanged")), (30, 30, 30)),
    "a pass": (sarif(result(kind="pass", level="none")), (100, 100, 100)),
    "in two files": (sarif(result(level="error", locations=TWO_FILES)), (0, 0, 0)),
    "nowhere in particular": (sarif(result(level="error", locations=[])), (100, 100, 100)),
    "by the number of the artifact": (
        sarif(result(level="error", locations=[{"physicalLocation": {"artifactLocation": {"index": 1}}}])),
        (70, 70, 70),
    ),
    "another spelling": (sarif(result("./%61.py", level="error")), (30, 30, 30)),
}


@pytest.mark.parametrize("story", FOUND)
def test_what_meets_the_standard(drop: Drop, story: str) -> None:
    content, expected = FOUND[story]
    drop.code(content)
    drop.run()
    assert drop.quarantine() == []
    for level, lines in zip(("error", "warning", "note"), expected, strict=True):
        quality.make_facts(drop.con, level)
        assert drop.query("select lines, lines_that_meet from facts.code_quality") == [(100, lines)]


def test_what_was_assessed_and_how_large_it_is(drop: Drop) -> None:
    artifacts = [
        {"location": {"uri": "lines.py"}, "length": 4000, "properties": {"lines": 7}, "roles": ["analysisTarget"]},
        {"location": {"uri": "bytes.py"}, "length": 81},
        {"location": {"uri": "sizeless.py"}},
        {"location": {"uri": "odd.py"}, "properties": {"lines": "7"}},
        {"location": {"uri": "negative.py"}, "properties": {"lines": -1}},
        {"location": {"uri": "lint.toml"}, "length": 4000, "roles": ["toolSpecifiedConfiguration"]},
    ]
    drop.code(sarif(result("elsewhere.py"), result("lint.toml"), artifacts=artifacts))
    drop.run()
    name = "web/2025-06-02.sarif"
    assert drop.quarantine() == [
        (name, 3, "missing:lines"),
        (name, 4, "missing:lines"),
        (name, 5, "negative:lines"),
        (name, 6, "missing:lines"),
    ]
    # 81 bytes are three lines of 40.
    assert drop.assessed() == [(2, 2, 10, 10)]


def test_the_day_is_the_end_of_the_run_in_utc(drop: Drop) -> None:
    ends = [{"executionSuccessful": True, "endTimeUtc": f"2025-06-0{day}T23:30:00-04:00"} for day in (3, 4)]
    drop.code(sarif(invocations=ends))
    drop.run()
    assert drop.query("select date::varchar from facts.code_quality") == [("2025-06-05",)]


def test_a_unit_meets_the_standard_if_all_tools_say_so_in_the_end(drop: Drop) -> None:
    other = a_run(result("b.py", level="error"), tool={"driver": {"name": "types"}})
    drop.code(sarif(result("a.py", level="error")), "web/2025-06-02-1.sarif")
    drop.code(json.dumps({"version": "2.1.0", "runs": [a_run(), other]}), "web/2025-06-02-2.sarif")
    drop.run()
    # The first tool found nothing any more, the second one found something in b.py.
    assert drop.assessed() == [(2, 1, 100, 70)]


BAD_ROWS = {
    "2025-06-02,web,b.py,-1,yes,,,": "negative:lines",
    "2025-06-02,web,b.py,1,,-1,,": "negative:errors",
    "2025-06-02,web,b.py,1,,,-1,": "negative:warnings",
    "2025-06-02,web,b.py,1,,,,-1": "negative:notes",
    "2025-06-02,web,b.py,1,,,,": "no_verdict",
    "2025-06-02,web,b.py,1,perhaps,,,": "invalid:meets",
    "2025-06-02,web,b.py,1.5,yes,,,": "invalid:lines",
    "2025-06-02,web,b.py,,yes,,,": "missing:lines",
    "2025-06-02,web,,1,yes,,,": "missing:unit",
    "2025-06-02,,b.py,1,yes,,,": "missing:team",
    "2025-07-11,web,b.py,1,yes,,,": "future:date",
}


@pytest.mark.parametrize("row", BAD_ROWS)
def test_bad_row(drop: Drop, row: str) -> None:
    drop.code(f"{HEADER}\n2025-06-02,web,a.py,10,Yes,,,\n{row}\n", "rows.csv")
    drop.run()
    assert drop.quarantine() == [("rows.csv", 2, BAD_ROWS[row])]
    assert drop.assessed() == [(1, 1, 10, 10)]


def test_a_verdict_stands_above_findings_and_the_last_row_counts(drop: Drop) -> None:
    rows = (
        "2025-06-02,web,a.py,10,yes,3,,",
        "2025-06-02,web,b.py,20,,0,0,5",
        "2025-06-02,web,c.py,40,,0,1,",
        "2025-06-02, WEB ,d.py,80,no,,,",
        "2025-06-02,web,d.py,80,yes,,,",
    )
    drop.code("\n".join([HEADER, *rows]) + "\n", "rows.csv")
    drop.run("table")
    assert drop.assessed() == [(4, 3, 150, 110)]


def test_json_is_what_the_kind_says_and_sarif_is_always_sarif(drop: Drop) -> None:
    row = {"date": "2025-06-02", "team": "ops", "unit": "x", "lines": 5, "meets": "no"}
    drop.code(json.dumps([row]), "rows.json")
    drop.code(sarif(), "web/2025-06-02.sarif.json")
    drop.run("table")
    assert drop.quarantine() == []
    assert drop.assessed() == [(1, 0, 5, 0), (2, 2, 100, 100)]
    drop.code(sarif(), "api/2025-06-02.json")
    (drop.root / "code_quality" / "rows.json").unlink()
    drop.run("sarif")
    assert ("rows.json", None, "not_sarif") not in drop.quarantine()
    assert ("api", 100) in drop.query("select team, lines from facts.code_quality")
