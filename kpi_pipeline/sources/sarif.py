"""SARIF 2.1.0: the part of its schema that says what was assessed and found, and what it says of each file.

Never here: which findings are too many, which is the organisation's affair.
"""

from collections import Counter
from collections.abc import Iterator
from datetime import date, datetime
from typing import Any, Literal, NamedTuple
from urllib.parse import unquote

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from kpi_pipeline.sources.reports import ReportError, day_in, folders, utc_day

SUFFIXES = (".sarif", ".sarif.gz", ".json", ".json.gz")
# An artifact that gives its length in bytes only: so many are taken for a line.
BYTES_PER_LINE = 40
# What else a run lists among its artifacts (its own output, configuration, ...) was not assessed.
ASSESSED = {"analysisTarget", "resultFile"}
Level = Literal["none", "note", "warning", "error"]


class _Part(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True, alias_generator=to_camel)


class ArtifactLocation(_Part):
    uri: str | None = None
    index: int = Field(default=-1, ge=-1)


class PhysicalLocation(_Part):
    artifact_location: ArtifactLocation = ArtifactLocation()


class Location(_Part):
    physical_location: PhysicalLocation = PhysicalLocation()


class Artifact(_Part):
    location: ArtifactLocation = ArtifactLocation()
    length: int = Field(default=-1, ge=-1)
    roles: tuple[str, ...] = ()
    properties: dict[str, Any] = {}

    @property
    def lines(self) -> int | None:
        lines = self.properties.get("lines")
        if isinstance(lines, int) and not isinstance(lines, bool):
            return lines
        return None if self.length < 0 else -(-self.length // BYTES_PER_LINE)

    @property
    def is_assessed(self) -> bool:
        return not self.roles or not ASSESSED.isdisjoint(self.roles)


class Configuration(_Part):
    level: Level = "warning"


class Rule(_Part):
    id: str
    default_configuration: Configuration = Configuration()


class Component(_Part):
    name: str
    rules: tuple[Rule, ...] = ()


class Tool(_Part):
    driver: Component
    extensions: tuple[Component, ...] = ()


class ComponentReference(_Part):
    index: int = Field(default=-1, ge=-1)


class RuleReference(_Part):
    id: str | None = None
    index: int = Field(default=-1, ge=-1)
    tool_component: ComponentReference = ComponentReference()


class Suppression(_Part):
    kind: Literal["inSource", "external"]
    status: Literal["accepted", "underReview", "rejected"] = "accepted"


class Result(_Part):
    message: dict[str, Any]
    rule_id: str | None = None
    rule_index: int = Field(default=-1, ge=-1)
    rule: RuleReference = RuleReference()
    kind: Literal["pass", "open", "informational", "notApplicable", "review", "fail"] = "fail"
    level: Level | None = None
    locations: tuple[Location, ...] = ()
    suppressions: tuple[Suppression, ...] | None = None
    baseline_state: Literal["new", "unchanged", "updated", "absent"] | None = None

    @property
    def counts(self) -> bool:
        """A failure that is there now, and that nobody has agreed to leave."""
        suppressed = bool(self.suppressions) and all(s.status == "accepted" for s in self.suppressions or ())
        return self.kind == "fail" and self.baseline_state != "absent" and not suppressed


class Invocation(_Part):
    execution_successful: bool
    end_time_utc: datetime | None = None


class Run(_Part):
    tool: Tool
    invocations: tuple[Invocation, ...] = ()
    artifacts: tuple[Artifact, ...] = ()
    results: tuple[Result, ...] | None = None

    @property
    def is_complete(self) -> bool:
        """Without a list of results, there was no scan: an empty one says that nothing was found."""
        return self.results is not None and all(i.execution_successful for i in self.invocations)


class Log(_Part):
    version: Literal["2.1.0"]
    runs: tuple[Run, ...]


class Unit(NamedTuple):
    """A file that a tool assessed, or found something in (then without lines, where it isn't among the artifacts)."""

    date: date
    team: str
    tool: str
    unit: str
    lines: int | None
    errors: int
    warnings: int
    notes: int


def parse(name: str, content: bytes) -> Iterator[Unit]:
    """What each tool of a log assessed, with what it found there.

    Args:
        name: the file's name below the source's folder, `<team>/...`. A day in it is that of runs that don't say when.

    Raises:
        ReportError: it is in no team's folder, isn't SARIF 2.1.0, its scan failed, or it doesn't say what was
            assessed, or when.
    """
    place = folders(name)
    if not place:
        raise ReportError("place")
    log = _validated(content)
    if not all(run.is_complete for run in log.runs):
        raise ReportError("incomplete")
    if not log.runs or not all(run.artifacts for run in log.runs):
        raise ReportError("artifacts")
    for run in log.runs:
        day = _day(run) or day_in(name)
        if day is None:
            raise ReportError("day")
        for uri, lines, found in _units(run):
            counts = (found["error"], found["warning"], found["note"])
            yield Unit(day, place[0], run.tool.driver.name, uri, lines, *counts)


def _validated(content: bytes) -> Log:
    try:
        return Log.model_validate_json(content.removeprefix(b"\xef\xbb\xbf"))
    except ValidationError as error:
        # Not `from error`: pydantic's message repeats what the file holds.
        syntax = error.errors(include_input=False, include_context=False)[0]["type"] == "json_invalid"
        raise ReportError("json" if syntax else "schema") from None


def _day(run: Run) -> date | None:
    ends = [i.end_time_utc for i in run.invocations if i.end_time_utc is not None]
    return max(map(utc_day, ends), default=None)


def _units(run: Run) -> Iterator[tuple[str, int | None, Counter[str]]]:
    """The run's units, in the order of its artifacts; what was found elsewhere comes last."""
    names = [_plain(artifact.location.uri) for artifact in run.artifacts]
    found: dict[str, Counter[str]] = {}
    levels = _Levels(run.tool)
    for result in run.results or ():
        if result.counts:
            level = levels.of(result)
            for unit in {_unit(location, names) for location in result.locations} - {None}:
                found.setdefault(str(unit), Counter())[level] += 1
    listed: dict[str, Artifact] = {}
    for unit, artifact in zip(names, run.artifacts, strict=True):
        if unit is not None:
            listed.setdefault(unit, artifact)
    for unit, artifact in listed.items():
        if artifact.is_assessed:
            yield unit, artifact.lines, found.get(unit, Counter())
    for unit in sorted(found.keys() - listed.keys()):
        yield unit, None, found[unit]


def _unit(location: Location, names: list[str | None]) -> str | None:
    where = location.physical_location.artifact_location
    return names[where.index] if 0 <= where.index < len(names) else _plain(where.uri)


def _plain(uri: str | None) -> str | None:
    """A path as people write it; absolute ones stay as they are."""
    return unquote(uri).removeprefix("./") or None if uri else None


class _Levels:
    """How grave results are: what they say themselves, else their rule, else a warning."""

    def __init__(self, tool: Tool) -> None:
        self._components = (tool.driver, *tool.extensions)
        self._by_id = {rule.id: rule for component in reversed(self._components) for rule in component.rules}

    def of(self, result: Result) -> Level:
        if result.level is not None:
            return result.level
        rule = self._rule(result)
        return rule.default_configuration.level if rule else "warning"

    def _rule(self, result: Result) -> Rule | None:
        index = result.rule.index if result.rule.index >= 0 else result.rule_index
        component = result.rule.tool_component.index + 1  # -1: the driver
        if index >= 0 and component < len(self._components) and index < len(self._components[component].rules):
            return self._components[component].rules[index]
        rule_id = result.rule.id or result.rule_id or ""
        # An id may go on after that of its rule: CA1000/1.
        return self._by_id.get(rule_id) or self._by_id.get(rule_id.rpartition("/")[0])
