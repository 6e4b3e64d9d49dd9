"""JUnit XML, as most test runners write it: test cases, each as often as it was tried. Totals of suites aren't read.

Never here: which attempts count, which is the warehouse's affair.
"""

from collections.abc import Iterator
from datetime import date, datetime
from typing import IO, NamedTuple
from xml.etree.ElementTree import Element, ParseError

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import iterparse

from kpi_pipeline.sources.reports import ReportError, day_in, folders, utc_day

SUFFIXES = (".xml", ".xml.gz")
SUITES = ("testsuite", "testsuites")
TEAM_AND_SUITE = 2
# What Maven's surefire puts into a case that was tried again. Beside a failure, they are the attempts that failed too.
TRIED_AGAIN = {"flakyFailure", "flakyError", "rerunFailure", "rerunError"}
# GoogleTest says in an attribute what others say with an element.
NOT_RUN = ("skipped", "notrun", "disabled")


class Case(NamedTuple):
    """One attempt at a test case."""

    date: date
    team: str
    suite: str
    test_suite: str | None
    class_name: str | None
    name: str | None
    outcome: str
    is_flaky: bool


class _Suite(NamedTuple):
    element: Element
    name: str | None
    day: date | None


def parse(name: str, content: IO[bytes]) -> Iterator[Case]:
    """The test cases of a report, one by one: memory holds one of them, however long the report.

    Args:
        name: the file's name below the source's folder, `<team>/<suite>/...`. A day in it is that of suites without a
            timestamp.

    Raises:
        ReportError: it is in no folder of a suite, isn't whole, isn't JUnit XML, is dangerous to read, or has no day.
    """
    place = folders(name)
    if len(place) < TEAM_AND_SUITE or day_in(place[1]):
        raise ReportError("place")
    suites: list[_Suite] = []
    for event, element in _events(content):
        tag = element.tag.rpartition("}")[2]
        if event == "start":
            if tag in SUITES:
                suites.append(_suite(element, suites[-1] if suites else _Suite(element, None, day_in(name))))
            elif not suites:
                raise ReportError("root")
        elif tag == "testcase":
            yield _case(place, suites[-1], element)
            suites[-1].element.clear()
        elif tag in SUITES:
            suites.pop()
            if suites:
                suites[-1].element.clear()


def _events(content: IO[bytes]) -> Iterator[tuple[str, Element]]:
    try:
        yield from iterparse(content, events=("start", "end"))
    except DefusedXmlException as error:
        raise ReportError("entities") from error
    except (ParseError, LookupError, ValueError) as error:
        # ValueError, LookupError: an encoding that nobody knows.
        raise ReportError("syntax") from error


def _suite(element: Element, outer: _Suite) -> _Suite:
    return _Suite(element, _text(element, "name") or outer.name, _day(element.get("timestamp")) or outer.day)


def _day(timestamp: str | None) -> date | None:
    try:
        return utc_day(datetime.fromisoformat(timestamp.strip())) if timestamp else None
    except (ValueError, OverflowError):
        return None


def _case(place: list[str], suite: _Suite, element: Element) -> Case:
    if suite.day is None:
        raise ReportError("day")
    said = {child.tag.rpartition("}")[2] for child in element}
    if "error" in said:
        outcome = "error"
    elif "failure" in said:
        outcome = "failed"
    elif "skipped" in said or element.get("status", "").lower() in NOT_RUN:
        outcome = "skipped"
    else:
        outcome = "passed"
    is_flaky = outcome == "passed" and not said.isdisjoint(TRIED_AGAIN)
    names = (suite.name, _text(element, "classname"), _text(element, "name"))
    return Case(suite.day, place[0], place[1], *names, outcome, is_flaky)


def _text(element: Element, attribute: str) -> str | None:
    return element.get(attribute, "").strip() or None
