"""Published schemas that the fakes are held to."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from jsonschema import Draft7Validator, FormatChecker


def faults(schema: str, name: str, answer: Any, beside: Iterable[str] = ()) -> list[str]:
    """What of an answer isn't as a definition of a schema has it.

    Args:
        beside: keys that the schema doesn't know.
    """
    document = json.loads((Path(__file__).parent / f"{schema}.json").read_text())
    wanted = {**document, "$ref": f"#/definitions/{name}"}
    found = [
        f"{error.json_path}: {error.message}"
        for error in Draft7Validator(wanted, format_checker=FormatChecker()).iter_errors(answer)
    ]
    known = {*document["definitions"][name]["properties"], *beside}
    return found + [f"unknown: {key}" for key in answer if key not in known]
