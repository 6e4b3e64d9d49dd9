"""GitHub's own description of its REST API: what may be asked, what is answered, and what every object must have.

From `@octokit/openapi` (npm). No test is here, and nothing of our own code.
"""

import json
import re
from collections.abc import Iterator, Mapping
from copy import deepcopy
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

NPM = Path(__file__).parent.parent / "npm"
DESCRIPTION = NPM / "node_modules/@octokit/openapi/generated/api.github.com.json"
BASE = "urn:github"
# As GitHub's search writes a range of time; the description calls it a moment.
RANGE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ\.\.\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
MOST_PER_PAGE = 100


class Description:
    """Loaded once: it is large."""

    def __init__(self) -> None:
        assert DESCRIPTION.is_file(), "not installed: npm ci --prefix kpi_pipeline_tests/npm"
        self._document = json.loads(DESCRIPTION.read_bytes())
        resource = Resource.from_contents(self._document, DRAFT202012)
        self._registry: Registry[Any] = Registry().with_resource(BASE, resource)
        self._paths = [(_pattern(path), path) for path in self._document["paths"]]
        self._validators: dict[str, Any] = {}

    def operation(self, method: str, path: str) -> tuple[str, Mapping[str, Any]]:
        """What the description says of a request, and under which path.

        Raises:
            AssertionError: there is no such request.
        """
        matches = [described for pattern, described in self._paths if pattern.fullmatch(path)]
        assert matches, f"GitHub's description knows no path {path}"
        # The most literal one: /repos/x/y/issues/1 isn't /repos/x/y/{something}/1.
        described = min(matches, key=lambda template: template.count("{"))
        operations = self._document["paths"][described]
        assert method.lower() in operations, f"no {method} {described}"
        return described, operations[method.lower()]

    def check_request(self, method: str, path: str, query: Mapping[str, str]) -> None:
        """That a request is one that the description allows.

        Raises:
            AssertionError: it isn't.
        """
        described, operation = self.operation(method, path)
        known = {found["name"]: found for found in map(self._resolved, operation.get("parameters", ()))}
        for name, text in query.items():
            assert name in known, f"{described} has no parameter {name!r}"
            assert known[name]["in"] == "query"
            _check_value(described, name, text, known[name]["schema"])

    def faults(self, method: str, path: str, status: int, body: Any) -> list[str]:
        """What is wrong with an answer; nothing, if it is as described."""
        described, operation = self.operation(method, path)
        if str(status) not in operation["responses"]:
            return [f"{described}: status {status} is not described"]
        response = self._resolved(operation["responses"][str(status)])
        schema = response.get("content", {}).get("application/json", {}).get("schema")
        return [f"{described}: {fault}" for fault in self._faults_of(schema, body)] if schema else []

    def template(self, name: str) -> dict[str, Any]:
        """An object of a schema with all that it must have, and nothing else; what it says is made up."""
        return deepcopy(_cached_template(self, name))

    def made_up(self, schema: Mapping[str, Any]) -> Any:
        """The least that a schema allows."""
        if "$ref" in schema:
            return self.made_up(self._resolved(schema))
        if schema.get("nullable"):
            return None
        if "enum" in schema:
            return schema["enum"][0]
        if "allOf" in schema:
            return {key: value for part in schema["allOf"] for key, value in self.made_up(part).items()}
        for kind in ("oneOf", "anyOf"):
            if kind in schema:
                return self.made_up(schema[kind][0])
        match schema.get("type"):
            case "array":
                return []
            case "string":
                return {"date-time": "2020-01-01T00:00:00Z"}.get(schema.get("format", ""), "x")
            case "integer":
                return 1
            case "number":
                return 1.0
            case "boolean":
                return False
        fields = schema.get("properties", {})
        return {name: self.made_up(fields[name]) for name in schema.get("required", ()) if name in fields}

    def schema(self, name: str) -> Mapping[str, Any]:
        """One of the schemas by its name."""
        found: Mapping[str, Any] = self._document["components"]["schemas"][name]
        return found

    def _resolved(self, part: Mapping[str, Any]) -> Mapping[str, Any]:
        while "$ref" in part:
            found = self._document
            for step in part["$ref"].removeprefix("#/").split("/"):
                found = found[step]
            part = found
        return part

    def _faults_of(self, schema: Mapping[str, Any], body: Any) -> Iterator[str]:
        key = json.dumps(schema, sort_keys=True)
        if key not in self._validators:
            self._validators[key] = VALIDATOR(_absolute(schema), registry=self._registry)
        for error in self._validators[key].iter_errors(body):
            place = "/".join(map(str, error.absolute_path))
            yield f"{place}: {error.message[:200]}"


@cache
def description() -> Description:
    """The description, for all tests of a process."""
    return Description()


@cache
def _cached_template(described: Description, name: str) -> dict[str, Any]:
    made: dict[str, Any] = described.made_up(described.schema(name))
    return made


def _pattern(path: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"\\\{[^}]*\\\}", "[^/]+", re.escape(path)))


def _check_value(path: str, name: str, text: str, schema: Mapping[str, Any]) -> None:
    where = f"{path}: {name}={text!r}"
    if "enum" in schema:
        assert text in schema["enum"], f"{where} is none of {schema['enum']}"
    if schema.get("type") == "integer":
        assert text.isdigit(), f"{where} is no whole number"
    if name == "per_page":
        assert 1 <= int(text) <= MOST_PER_PAGE, where
    if name == "created":
        assert RANGE.fullmatch(text), f"{where} is no range of time"
    elif schema.get("format") == "date-time":
        assert datetime.fromisoformat(text).tzinfo is not None, f"{where} is no moment"


def _absolute(schema: Any) -> Any:
    """References into the description, from outside of it."""
    if isinstance(schema, dict):
        return {
            key: BASE + value if key == "$ref" and value.startswith("#") else _absolute(value)
            for key, value in schema.items()
        }
    return [_absolute(item) for item in schema] if isinstance(schema, list) else schema


def _or_null(keyword: Any) -> Any:
    """A keyword of JSON Schema that knows `nullable`, as OpenAPI 3.0 has it."""

    def validate(validator: Any, value: Any, instance: Any, schema: Mapping[str, Any]) -> Iterator[Any]:
        if instance is None and schema.get("nullable"):
            return
        yield from keyword(validator, value, instance, schema) or ()

    return validate


DRAFT = jsonschema.Draft202012Validator
VALIDATOR = jsonschema.validators.extend(
    DRAFT, {name: _or_null(DRAFT.VALIDATORS[name]) for name in ("type", "enum", "anyOf", "oneOf", "allOf")}
)
