"""The shape of the catalogue, and its checks: a wrong definition is refused at load, with file and field.

A measure is declared once, in measures/<name>.toml with its formula in measures/<name>.sql. A KPI names a measure and
adds what is particular: title, question, owner, audience, target. Everything else iterates the catalogue.
"""

import tomllib
from datetime import date
from decimal import Decimal
from functools import cached_property
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from kpi_pipeline.contracts import RECORDS, TABLES
from kpi_pipeline.errors import CatalogError
from kpi_pipeline.fingerprint import fingerprint

MAX_HEADLINES = 4
Text = Annotated[str, Field(min_length=1)]
Identifier = Annotated[str, Field(pattern="^[a-z][a-z0-9_]*$")]
Validated = TypeVar("Validated", bound=BaseModel)


class Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Example(Strict):
    """A worked example, run as a test: with these rows in these tables, the measure gives exactly these values."""

    why: Text
    as_of: date
    input: dict[str, tuple[dict[str, Any], ...]]
    expected: tuple[dict[str, Any], ...] = Field(min_length=1)
    parameters: dict[str, Any] = {}

    @model_validator(mode="after")
    def _inputs_are_declared(self) -> Self:
        if unknown := sorted(set(self.input) - set(TABLES)):
            raise ValueError(f"table {unknown[0]!r} has no contract")
        return self


class Measure(Strict):
    """How a number comes about.

    Args:
        sources: without all of these there is no value; `better_with` makes it better.
        parameters: bound to the formula, beside as_of and has_<source>.
    """

    name: Identifier
    sql: Identifier
    definition: Text
    caveats: Text
    unit: Text
    direction: Literal["higher", "lower", "neither"]
    dimensions: tuple[Identifier, ...] = Field(min_length=1)
    beside: tuple[Identifier, ...] = ()
    sources: tuple[str, ...] = Field(min_length=1)
    better_with: tuple[str, ...] = ()
    reads: tuple[str, ...] = Field(min_length=1)
    parameters: dict[Identifier, Decimal | str] = {}
    examples: tuple[Example, ...] = Field(min_length=1)
    formula: Text

    @model_validator(mode="after")
    def _names_are_known(self) -> Self:
        if unknown := sorted({*self.sources, *self.better_with} - set(RECORDS)):
            raise ValueError(f"source {unknown[0]!r} is unknown; known: {', '.join(RECORDS)}")
        if unknown := sorted(set(self.reads) - set(TABLES)):
            raise ValueError(f"table {unknown[0]!r} has no contract")
        return self


class Target(Strict):
    comparator: Literal[">=", "<=", ">", "<", "="]
    value: Decimal
    unit: Text
    valid_from: date


class Kpi(Strict):
    """One row of the register. A target, or the reason for none, is required."""

    id: Annotated[str, Field(pattern="^[a-z][a-z0-9_]*\\.[a-z][a-z0-9_]*$")]
    title: Text
    question: Text
    as_written: Text
    owner: Text
    audience: Literal["internal", "external"]
    status: Literal["active", "aspirational", "not available"]
    headline: bool = False
    target: Target | None = None
    no_target: Text | None = None
    measure: Measure
    document: Text
    theme: Identifier | None = None
    role: Text | None = None

    @model_validator(mode="after")
    def _target_or_reason(self) -> Self:
        if (self.target is None) == (self.no_target is None):
            raise ValueError("needs either a target or no_target, the reason for none")
        if self.target and self.target.unit != self.measure.unit:
            raise ValueError(f"target is in {self.target.unit!r}, but {self.measure.name} is in {self.measure.unit!r}")
        return self

    @property
    def group(self) -> str:
        """The group in the Dagster UI, and the middle of the asset key."""
        return self.id.split(".")[0]

    @property
    def name(self) -> str:
        return self.id.split(".")[1]

    @cached_property
    def definition_hash(self) -> str:
        """Changes whenever the same data could give another value."""
        m = self.measure
        return fingerprint(m.name, m.definition, m.unit, m.formula, {k: str(v) for k, v in m.parameters.items()})


class Catalog(Strict):
    kpis: tuple[Kpi, ...]

    @property
    def measures(self) -> tuple[Measure, ...]:
        return tuple({kpi.measure.name: kpi.measure for kpi in self.kpis}.values())

    @property
    def groups(self) -> dict[str, tuple[Kpi, ...]]:
        names = dict.fromkeys(kpi.group for kpi in self.kpis)
        return {name: tuple(kpi for kpi in self.kpis if kpi.group == name) for name in names}

    @property
    def headlines(self) -> tuple[Kpi, ...]:
        return tuple(kpi for kpi in self.kpis if kpi.headline)

    def kpi(self, kpi_id: str) -> Kpi:
        """The KPI of that id.

        Raises:
            KeyError: there is none.
        """
        return {kpi.id: kpi for kpi in self.kpis}[kpi_id]


def load(folder: Path | None = None) -> Catalog:
    """Reads the catalogue.

    Args:
        folder: holds `*.toml` (themes and roles) and `measures/`; default: the package's own.

    Raises:
        CatalogError: a file or field is wrong; it says which.
    """
    root = folder or Path(str(resources.files("kpi_pipeline").joinpath("catalog")))
    measures = {path.stem: _measure(path) for path in sorted((root / "measures").glob("*.toml"))}
    kpis = tuple(kpi for path in sorted(root.glob("*.toml")) for kpi in _kpis(path, measures))
    _check_ids(kpis, root)
    return Catalog(kpis=kpis)


def _measure(path: Path) -> Measure:
    content = _toml(path)
    formula = path.parent / f"{content.get('sql', path.stem)}.sql"
    if not formula.is_file():
        raise CatalogError(path, got=f"no file {formula.name}", expected="the formula beside it", fix="Write it.")
    named = {"name": path.stem, "sql": path.stem, **content}
    return _validated(path, Measure, {**named, "formula": formula.read_text(encoding="utf-8").strip().rstrip(";")})


def _kpis(path: Path, measures: dict[str, Measure]) -> list[Kpi]:
    content = _toml(path)
    shared = {key: value for key, value in content.items() if key in ("document", "theme", "role")}
    if unknown := sorted(set(content) - {"document", "theme", "role", "kpi"}):
        raise CatalogError(
            f"{path}: {unknown[0]}",
            got="a key that nothing reads",
            expected="document, theme, role, kpi",
            fix="Remove it.",
        )
    kpis = []
    for number, entry in enumerate(content.get("kpi", []), 1):
        place = f"{path}: kpi {entry.get('id', number)}"
        if entry.get("measure") not in measures:
            raise CatalogError(
                f"{place}: measure",
                got=repr(entry.get("measure")),
                expected=f"one of {', '.join(measures)}",
                fix="Name a measure that is declared, or declare it in measures/.",
            )
        kpis.append(_validated(place, Kpi, {**shared, **entry, "measure": measures[entry["measure"]]}))
    return kpis


def _check_ids(kpis: tuple[Kpi, ...], root: Path) -> None:
    ids = [kpi.id for kpi in kpis]
    if doubled := sorted({i for i in ids if ids.count(i) > 1}):
        raise CatalogError(f"{root}: id", got=f"{doubled[0]} twice", expected="each id once", fix="Rename one of them.")
    headlines = [kpi.id for kpi in kpis if kpi.headline]
    if len(headlines) > MAX_HEADLINES:
        raise CatalogError(
            f"{root}: headline",
            got=f"{len(headlines)}: {', '.join(headlines)}",
            expected=f"at most {MAX_HEADLINES}",
            fix="Decide which of them the first screen can do without.",
        )


def _toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"), parse_float=Decimal)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise CatalogError(path, got=error, expected="TOML in UTF-8", fix="Mend that line.") from error


def _validated(place: object, model: type[Validated], content: dict[str, Any]) -> Validated:
    try:
        return model.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        got = "nothing" if first["type"] == "missing" else repr(first["input"])[:120]
        raise CatalogError(f"{place}: {field or 'entry'}", got=got, expected=first["msg"], fix="Mend it.") from error
