"""The shape of the catalogue, and its checks: a wrong definition is refused at load, with file and field.

A measure is declared once, in measures/<name>.toml with its formula in measures/<name>.sql: all of the formula, or,
for the kinds that many measures share (kinds/<kind>.sql), what is observed. A KPI names a measure and adds what is
particular: scope, title, question, owner, audience, targets. Everything else iterates the catalogue.
"""

import tomllib
from datetime import date
from decimal import Decimal
from functools import cached_property
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from kpi_pipeline.contracts import RECORDS, TABLES
from kpi_pipeline.errors import CatalogError
from kpi_pipeline.fingerprint import fingerprint

MAX_HEADLINES = 4
# What a file may say once for all its KPIs; an entry may say otherwise.
SHARED = ("document", "theme", "role", "owner", "audience", "status", "no_target", "one_person")
Text = Annotated[str, Field(min_length=1)]
Identifier = Annotated[str, Field(pattern="^[a-z][a-z0-9_]*$")]
Validated = TypeVar("Validated", bound=BaseModel)


class Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


def _listed(value: object) -> object:
    return (value,) if isinstance(value, str) else value


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


# A formula of its own; or one of kinds/: sums over a period are divided, counted, or taken the mean of; times; and the
# level on the last day of a period that has data, for what doesn't add up over days; and of what came in in a period
# the share that is settled at its end.
Kind = Literal["formula", "ratio", "count", "mean", "duration", "level", "cohort"]
# Kinds that end alike: parts are divided by parts.
QUOTIENTS = ("ratio", "level", "cohort")
ROLLING = "rolling_30_days"
UNIT_SCALE = {"percent": 100}
SECONDS = {"seconds": 1, "minutes": 60, "hours": 3600, "days": 86400}


class Measure(Strict):
    """How a number comes about.

    Args:
        kind: `formula`: <sql>.sql is all of it. Otherwise <sql>.sql gives observations, and kinds/<kind>.sql, which
            says what columns an observation has, makes periods and grains of them.
        sources: without all of these there is no value; `better_with` makes it better.
        parameters: bound to the formula, beside as_of, has_<source>, and what the kind needs.
        rolling: also a value per day, over the 30 days that end on it (rates and times).
        min_n: a value that rests on fewer observations is `insufficient`.
    """

    name: Identifier
    sql: Identifier
    kind: Kind = "formula"
    rolling: bool = False
    min_n: int = Field(default=1, ge=1)
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
        if self.kind == "duration" and self.unit not in SECONDS:
            raise ValueError(f"a duration is in {', '.join(SECONDS)}, not in {self.unit!r}")
        if self.kind == "ratio" and len(self.beside) > 1:
            raise ValueError(f"a ratio has one figure beside it, not {len(self.beside)}")
        return self

    @property
    def figures(self) -> tuple[str, ...]:
        """The figures beside the value, those over rolling windows included."""
        if not self.rolling:
            return self.beside
        return (*self.beside, ROLLING, *(f"{ROLLING}_{figure}" for figure in self.beside))

    @property
    def bound(self) -> dict[str, object]:
        """What the formula's own parameters are bound to, those of its kind included."""
        if self.kind == "formula":
            return dict(self.parameters)
        return {
            "scale": UNIT_SCALE.get(self.unit, 1),
            "seconds_per_unit": SECONDS.get(self.unit, 1),
            "min_n": self.min_n,
            "rolling": self.rolling,
            "apart": next(iter(self.beside), None) if self.kind == "ratio" else None,
            **self.parameters,
        }


class Target(Strict):
    """What a KPI is to reach, from `valid_from` on until a later target takes over.

    Args:
        statistic: `value`, or a figure beside it, such as `median`.
        window: the periods that are scored.
        min_n: a value that rests on fewer observations is not scored.
    """

    comparator: Literal[">=", "<=", ">", "<", "="]
    value: Decimal
    unit: Text
    valid_from: date
    statistic: Identifier = "value"
    window: Literal["quarter", "month"] = "quarter"
    min_n: int = Field(default=1, ge=1)


class Kpi(Strict):
    """One row of the register. Targets, or the reason for none, are required.

    Args:
        scope: which observations count, by dimension of the measure: a member, or several of them. With one member of
            one dimension, that is where the KPI's value stands (grain and member); otherwise it is the organisation's.
        one_person: the role may be one person's, so the KPI is never external.
    """

    id: Annotated[str, Field(pattern="^[a-z][a-z0-9_]*\\.[a-z][a-z0-9_]*$")]
    title: Text
    question: Text
    as_written: Text
    owner: Text
    audience: Literal["internal", "external"]
    status: Literal["active", "aspirational", "not available"]
    headline: bool = False
    targets: tuple[Target, ...] = ()
    no_target: Text | None = None
    measure: Measure
    scope: dict[Identifier, Annotated[tuple[Text, ...], Field(min_length=1), BeforeValidator(_listed)]] = {}
    document: Text
    theme: Identifier | None = None
    role: Text | None = None
    one_person: bool = False

    @model_validator(mode="after")
    def _targets_or_reason(self) -> Self:
        if bool(self.targets) == bool(self.no_target):
            raise ValueError("needs either targets or no_target, the reason for none")
        for target in self.targets:
            if target.unit != self.measure.unit:
                raise ValueError(f"target is in {target.unit!r}, but {self.measure.name} is in {self.measure.unit!r}")
            if target.statistic not in ("value", *self.measure.figures):
                raise ValueError(f"target is of {target.statistic!r}, which {self.measure.name} doesn't have")
        days = [target.valid_from for target in self.targets]
        if days != sorted(set(days)):
            raise ValueError("targets must be in the order of valid_from, one a day")
        if len({(target.window, target.statistic) for target in self.targets}) > 1:
            raise ValueError("all targets of a KPI have one window and one statistic: another one is another KPI")
        return self

    @model_validator(mode="after")
    def _scope_is_of_the_measure(self) -> Self:
        if unknown := sorted(set(self.scope) - set(self.measure.dimensions)):
            raise ValueError(f"{self.measure.name} has no dimension {unknown[0]!r}, which the scope names")
        if self.scope and self.measure.kind == "formula":
            raise ValueError(f"{self.measure.name} is a formula of its own, which takes no scope")
        return self

    @model_validator(mode="after")
    def _one_person_is_not_shown(self) -> Self:
        if self.one_person and self.audience == "external":
            raise ValueError("a role that one person may hold is internal")
        return self

    @property
    def place(self) -> tuple[str, str]:
        """Grain and member of the KPI's own value."""
        match list(self.scope.items()):
            case [(dimension, (member,))]:
                return dimension, member
            case _:
                return "organisation", "organisation"

    def target_on(self, day: date) -> Target | None:
        """The target that holds on a day, if any does yet."""
        begun = [target for target in self.targets if target.valid_from <= day]
        return begun[-1] if begun else None

    @property
    def bound(self) -> dict[str, object]:
        """What the formula is told of the KPI, and of its measure."""
        if self.measure.kind == "formula":
            return self.measure.bound
        grain, member = self.place
        return self.measure.bound | {
            "own_grain": grain,
            "own_member": member,
            "scope": [[f"{dimension}={m}" for m in members] for dimension, members in sorted(self.scope.items())],
        }

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
        return fingerprint(m.name, m.definition, m.unit, m.formula, {k: str(v) for k, v in self.bound.items()})


class Catalog(Strict):
    kpis: tuple[Kpi, ...]

    @property
    def measures(self) -> tuple[Measure, ...]:
        return tuple({kpi.measure.name: kpi.measure for kpi in self.kpis}.values())

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
    text = _statement(formula)
    kinds = path.parent.parent / "kinds"
    kind = kinds / f"{content.get('kind')}.sql"
    if kind.is_file():
        parts = [kinds / "common.sql", kind, *([kinds / "quotient.sql"] if kind.stem in QUOTIENTS else [])]
        text = "\n\n".join([f"with observation as (\n{text}\n),", *map(_statement, parts)])
    return _validated(path, Measure, {"name": path.stem, "sql": path.stem, **content, "formula": text})


def _statement(path: Path) -> str:
    return path.read_text(encoding="utf-8").strip().rstrip(";")


def _kpis(path: Path, measures: dict[str, Measure]) -> list[Kpi]:
    content = _toml(path)
    shared = {key: value for key, value in content.items() if key in SHARED}
    if unknown := sorted(set(content) - {*SHARED, "kpi"}):
        raise CatalogError(
            f"{path}: {unknown[0]}",
            got="a key that nothing reads",
            expected=", ".join((*SHARED, "kpi")),
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
