"""Test runs and assessments of code, as CI keeps them; and the truth of their KPIs. Never here: who wrote what."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta
from fractions import Fraction
from pathlib import Path
from typing import Final

from kpi_pipeline.sample.delivery import places
from kpi_pipeline.sample.dice import dice, pick, weighted, whole
from kpi_pipeline.sample.period import Period
from kpi_pipeline.sample.scores import Scoped, Seen, ratio, rows, write_roles
from kpi_pipeline.sample.simulate import World
from kpi_pipeline.sample.write import csv_line, write_file


@dataclass(frozen=True)
class Suite:
    """A suite of a team: its cases, how often it runs, and how likely each outcome is (OUTCOMES)."""

    team: str
    name: str
    cases: int
    every_days: int
    odds: tuple[int, ...]


# Passed; passed when tried again; failed; failed again when tried again; ended in an error; skipped.
OUTCOMES: Final = ("passed", "flaky", "failed", "retried", "error", "skipped")
SUITES: Final = (
    Suite("frontend engineers", "unit", 24, 7, (88, 0, 7, 0, 1, 4)),
    Suite("frontend engineers", "browser", 12, 14, (70, 12, 6, 8, 2, 2)),
    Suite("frontend design", "visual", 8, 28, (80, 4, 10, 0, 0, 6)),
    Suite("mobile engineers", "device", 18, 14, (66, 10, 12, 6, 4, 2)),
    Suite("backend engineers", "unit", 30, 7, (92, 0, 4, 0, 1, 3)),
    Suite("backend engineers", "integration", 10, 14, (80, 8, 4, 2, 4, 2)),
)
# How each suite's runner says that a case was tried again: one <testcase> per attempt, or an element inside.
ATTEMPTS_ARE_LISTED: Final = ("browser", "integration")
# The runs of these are one file each, dated by their folder; the others share a file a month, with timestamps.
RUN_PER_FILE: Final = ("device",)
WORDS: Final = ("login", "search", "profile", "upload", "export", "invite", "report", "billing", "cache", "session")
VERBS: Final = ("opens", "saves", "is empty", "is refused", "expires")

# How many files each team's code has, and how likely it is that one meets the standard, in percent.
CODE: Final = {"frontend engineers": (14, 90), "mobile engineers": (10, 84), "backend engineers": (12, 93)}
TABLE_TEAMS: Final = ("backend engineers",)
ASSESSED_EVERY_DAYS: Final = 28
HEADER: Final = ("date", "team", "unit", "lines", "meets", "errors", "warnings")
RULES: Final = (("no-any", "error"), ("max-lines", "warning"), ("todo", "note"))

ROLES: Final = tuple(
    (f"{part}_{kind}", part if kind == "team" else f"{part} {kind}")
    for part in ("frontend", "mobile", "backend")
    for kind in ("team", "engineers")
)
README: Final = """\
- `test_results/`: JUnit XML, by team and suite: a file a month with a `<testsuite>` per run, or a file per run. Totals
  of suites are wrong, some cases were tried again, some have no name, and one ran on a day to come.
- `code_quality/`: assessments of code, SARIF of two teams and tables of a third. Some results are suppressed, absent
  or only notes; one unit has no size, and one row no verdict.
"""
_CONFIG: Final = """\
# JUnit XML of test runs, as CI exports it: <team>/<suite>/... .xml or .xml.gz.
[sources.test_results]
kind = "junit"
path = "test_results"
max_age_days = 28

# Assessments of code: SARIF 2.1.0 in <team>/..., or tables with the columns date, team, unit, lines, meets.
[sources.code_quality]
kind = "sarif"
path = "code_quality"
level = "warning"                 # a unit with a finding of this level or above doesn't meet the standard
max_age_days = 45
"""


@dataclass
class Run:
    """One run of a suite: its cases, by outcome."""

    suite: Suite
    day: date
    outcomes: list[str]

    def count(self, *outcomes: str) -> int:
        return sum(outcome in outcomes for outcome in self.outcomes)


@dataclass
class Assessment:
    """One assessment of a team's code: lines and findings by file."""

    team: str
    day: date
    files: list[tuple[str, int, str | None]] = field(default_factory=list)

    def lines(self, *, meeting: bool) -> int:
        return sum(lines for _, lines, rule in self.files if not meeting or rule in (None, "todo"))


def config() -> str:
    """The blocks of kpi.toml."""
    return _CONFIG


def write(folder: Path, world: World) -> None:
    """test_results/, code_quality/, and truth/roles/quality.csv."""
    runs = [run for suite in SUITES for run in _runs(world, suite)]
    assessments = [one for team in CODE for one in _assessments(world, team)]
    _write_reports(folder / "test_results", runs, world.period)
    _write_sarif(folder / "code_quality", [one for one in assessments if one.team not in TABLE_TEAMS])
    _write_tables(folder / "code_quality", [one for one in assessments if one.team in TABLE_TEAMS])
    write_roles(folder / "truth" / "roles" / "quality.csv", _truth(runs, assessments, world.period))


def _truth(runs: list[Run], assessments: list[Assessment], period: Period) -> list[tuple[str, ...]]:
    passed, flaky = ([_seen_run(run, *counted) for run in runs] for counted in (("passed", "flaky"), ("flaky",)))
    qa, code = ([Scoped(f"{role}.{name}", (f"team={team}",)) for role, team in ROLES] for name in
                ("qa_pass_rate", "code_quality_rate"))  # fmt: skip
    assessed = [
        Seen(
            one.day, places(one.team), Fraction(one.lines(meeting=True)), Fraction(one.lines(meeting=False)),
            len(one.files),
        )
        for one in assessments
    ]  # fmt: skip
    beside = rows(qa, flaky, ratio(100), period, rolling=True)
    return [
        *rows(qa, passed, ratio(100), period, rolling=True),
        # A period without runs has no figure beside its value.
        *((kpi, f"{span}_flaky".strip("_"), *rest) for kpi, span, *rest in beside if rest[-1] != "0"),
        *rows(code, assessed, ratio(100), period, rolling=True),
    ]


def _seen_run(run: Run, *counted: str) -> Seen:
    executed = len(run.outcomes) - run.count("skipped")
    return Seen(run.day, places(run.suite.team), Fraction(run.count(*counted)), Fraction(executed), executed)


# -- test runs -------------------------------------------------------------------------------------


def _runs(world: World, suite: Suite) -> Iterator[Run]:
    for number in range(whole(dice(world.seed, suite.name), 0, 6), world.period.days, suite.every_days):
        day = world.period.date_of(number)
        rng = dice(world.seed, "run", suite.team, suite.name, day)
        yield Run(suite, day, [OUTCOMES[weighted(rng, suite.odds)] for _ in range(suite.cases)])


def _write_reports(folder: Path, runs: list[Run], period: Period) -> None:
    files: dict[str, list[str]] = {}
    for run in runs:
        place = f"{run.suite.team}/{run.suite.name}"
        if run.suite.name in RUN_PER_FILE:
            files[f"{place}/{run.day}/report.xml.gz"] = [_suite_xml(run, "")]
        else:
            stamp = f' timestamp="{run.day}T0{run.day.day % 8}:12:00"'
            files.setdefault(f"{place}/{run.day:%Y-%m}.xml.gz", []).append(_suite_xml(run, stamp))
    # A clock that goes wrong: its cases haven't been run yet.
    late = f'<testsuite name="unit" timestamp="{period.last + timedelta(days=40_000)}"><testcase name="a"/></testsuite>'
    files[min(files)].append(late)
    for name, suites in files.items():
        text = f'<?xml version="1.0" encoding="UTF-8"?>\n<testsuites>{"".join(suites)}</testsuites>\n'
        write_file(folder / name, text.encode())


def _suite_xml(run: Run, stamp: str) -> str:
    cases = "".join(_case_xml(run, number, outcome) for number, outcome in enumerate(run.outcomes))
    return f'<testsuite name="{run.suite.name}" tests="999" failures="0"{stamp}>\n{cases}</testsuite>\n'


def _case_xml(run: Run, number: int, outcome: str) -> str:
    """A case; its name is missing now and then, and that of a case which is tried again never is."""
    name = f"{WORDS[number % len(WORDS)]} {VERBS[number // len(WORDS) % len(VERBS)]}"
    tried_again = outcome in ("flaky", "retried")
    label = "" if number == 0 and not tried_again else f' classname="{run.suite.name}.{number % 4}" name="{name}"'
    listed = run.suite.name in ATTEMPTS_ARE_LISTED
    inside = {
        "passed": "",
        "skipped": "<skipped/>",
        "failed": '<failure message="not equal"/>',
        "error": '<error message="timeout"/>',
        "flaky": "" if listed else '<flakyFailure message="late" type="E"/>',
        "retried": '<failure message="late"/>' + ("" if listed else '<rerunFailure message="late" type="E"/>'),
    }[outcome]
    first = f'<testcase{label}><failure message="late"/></testcase>\n' if tried_again and listed else ""
    return f"{first}<testcase{label}>{inside}</testcase>\n" if inside else f"{first}<testcase{label}/>\n"


# -- assessments -----------------------------------------------------------------------------------


def _assessments(world: World, team: str) -> Iterator[Assessment]:
    """Files grow, and what is found in one is found again until it is mended."""
    count, quality = CODE[team]
    rng = dice(world.seed, "code", team)
    sizes = [whole(rng, 40, 900) for _ in range(count)]
    found: list[str | None] = [None] * count
    for number in range(whole(rng, 2, 9), world.period.days, ASSESSED_EVERY_DAYS):
        one = Assessment(team, world.period.date_of(number))
        for place in range(count):
            sizes[place] += whole(rng, 0, 12)
            if rng.random() < 0.4:
                found[place] = pick(rng, RULES)[0] if whole(rng, 1, 100) > quality - 8 else None
            one.files.append(
                (f"src/{WORDS[place % len(WORDS)]}{place // len(WORDS) or ''}.ts", sizes[place], found[place])
            )
        yield one


def _write_sarif(folder: Path, assessments: list[Assessment]) -> None:
    for number, one in enumerate(assessments):
        artifacts: list[dict[str, object]] = [
            {"location": {"uri": uri}, "roles": ["analysisTarget"], "properties": {"lines": lines}}
            for uri, lines, _ in one.files
        ]
        artifacts.append({"location": {"uri": "lint.toml"}, "roles": ["toolSpecifiedConfiguration"]})
        if number == 0:
            artifacts.append({"location": {"uri": "src/sizeless.ts"}})
        results = [_result(uri, place, rule) for place, (uri, _, rule) in enumerate(one.files) if rule]
        accepted = {"suppressions": [{"kind": "inSource", "status": "accepted"}]}
        # None of these is a fault of the first file.
        results += [
            _result(one.files[0][0], 0, "no-any") | more
            for more in (accepted, {"baselineState": "absent"}, {"kind": "pass", "level": "none"})
        ]
        rules = [{"id": rule, "defaultConfiguration": {"level": level}} for rule, level in RULES]
        log = {
            "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
            "version": "2.1.0",
            "runs": [
                {
                    "tool": {"driver": {"name": "lint", "rules": rules}},
                    "invocations": [{"executionSuccessful": True, "endTimeUtc": f"{one.day}T06:30:00Z"}],
                    "artifacts": artifacts,
                    "results": results,
                }
            ],
        }
        content = json.dumps(log, separators=(",", ":")).encode()
        write_file(folder / one.team / f"{one.day}.sarif.gz", content)


def _result(uri: str, place: int, rule: str) -> dict[str, object]:
    """How grave it is stands with its rule, as in most tools' logs."""
    where = {"physicalLocation": {"artifactLocation": {"uri": uri, "index": place}}}
    return {"ruleId": rule, "message": {"text": rule}, "locations": [where]}


def _write_tables(folder: Path, assessments: list[Assessment]) -> None:
    """A file a year: in one half of the rows the verdict, in the other what was found."""
    by_year: dict[int, list[bytes]] = {}
    for one in assessments:
        lines = by_year.setdefault(one.day.year, [])
        for place, (unit, size, rule) in enumerate(one.files):
            counts = (str(int(rule == "no-any")), str(int(rule == "max-lines")))
            verdict = ("no" if rule in ("no-any", "max-lines") else "yes", "", "")
            lines.append(
                csv_line((str(one.day), one.team, unit, str(size), *(verdict if place % 2 else ("", *counts))))
            )
    first = assessments[0]
    by_year[first.day.year].append(csv_line((str(first.day), first.team, "src/unknown.ts", "100", "", "", "")))
    for year, lines in by_year.items():
        write_file(folder / f"backend-{year}.csv", csv_line(HEADER) + b"".join(lines))
