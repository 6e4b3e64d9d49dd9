"""The one reader of the environment and of kpi.toml.

What belongs here: the shape of the configuration and its checks. What never does: opening a source or the warehouse.
"""

import difflib
import os
import tomllib
from collections.abc import Iterable, Mapping
from datetime import date, time
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import holidays
from pydantic import AfterValidator, BaseModel, Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from kpi_pipeline import clock
from kpi_pipeline.errors import ConfigError
from kpi_pipeline.settings.base import Live, Strict, team_name
from kpi_pipeline.settings.sources import Sources

DEFAULT_CONFIG = Path("data/sample/kpi.toml")
DEFAULT_DATA_DIR = Path("data")
# Public on purpose: the sample's people are invented, so its keys protect nobody.
DEMO_SECRET = "demo-organisation-whose-people-are-invented"  # noqa: S105
MIN_SECRET_LENGTH = 16
# JupyterHub was first released in March 2015: no hub has activity before that year.
FIRST_DAY = date(2015, 1, 1)


def _known_timezone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError("not a time zone of the IANA database, such as 'UTC' or 'Europe/Berlin'") from error
    return name


class Organisation(Strict):
    name: str = Field(min_length=1)
    timezone: Annotated[str, AfterValidator(_known_timezone)] = "UTC"
    reporting_currency: Annotated[str, Field(pattern="^[A-Z]{3}$")] = "USD"
    id_secret_env: str = "KPI_ID_SECRET"  # noqa: S105
    demo: bool = False
    as_of: date | None = None
    first_day: date = FIRST_DAY
    fiscal_year_first_month: int = Field(default=1, ge=1, le=12)
    landing_retention_days: int = Field(default=400, ge=1)

    @model_validator(mode="after")
    def _fixed_day_is_for_demos(self) -> Self:
        if self.as_of and not self.demo:
            raise ValueError("as_of is fixed only where demo = true; use --as-of or KPI_AS_OF")
        return self


def _known_country(code: str) -> str:
    if code not in holidays.list_supported_countries():
        raise ValueError(
            "not a country code (ISO 3166-1 alpha-2, such as 'US' or 'DE') that has a calendar of holidays"
        )
    return code


class BusinessHours(Strict):
    """When the organisation works, in its own time zone: weekdays 1 (Monday) to 7, less the holidays of a country."""

    weekdays: tuple[Annotated[int, Field(ge=1, le=7)], ...] = (1, 2, 3, 4, 5)
    opens: time = time(9)
    closes: time = time(17)
    holidays: Annotated[str, AfterValidator(_known_country)] | None = None
    subdivision: str | None = None

    @model_validator(mode="after")
    def _opens_before_it_closes(self) -> Self:
        if self.closes <= self.opens:
            raise ValueError(f"'closes' ({self.closes}) is not after 'opens' ({self.opens})")
        return self


class Privacy(Strict):
    """`min_people`: what fewer people say is shown in the whole only. Of two, each would know the other's answer."""

    min_people: int = Field(default=3, ge=3)


class Categories(Strict):
    """Globs on the names that ledger and deals use, by the category of the organisation's document."""

    revenue: dict[Literal["grants", "development contracts", "cloud service contracts"], tuple[str, ...]] = {}
    costs: dict[
        Literal["engineering", "partnerships and community", "executive", "fiscal fee", "services"], tuple[str, ...]
    ] = {}


class Match(Strict):
    """What a rule applies to: cluster and hub are globs; usernames are exact, after normalisation."""

    cluster: str | None = Field(default=None, min_length=1)
    hub: str | None = Field(default=None, min_length=1)
    username: tuple[str, ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _one_name_is_a_list_of_one(cls, value: Any) -> Any:
        if isinstance(value, dict) and isinstance(value.get("username"), str):
            return {**value, "username": (value["username"],)}
        return value

    @model_validator(mode="after")
    def _matches_something_in_particular(self) -> Self:
        if not (self.cluster or self.hub or self.username):
            raise ValueError("an empty match would exclude everything; name a cluster, hub or username")
        return self


class Exclusion(Strict):
    """One rule of the register: `first` and `last` day are both included; to days after `until` it doesn't apply."""

    id: Annotated[str, Field(pattern="^[a-z0-9][a-z0-9_-]*$")]
    source: Literal["hub_activity"]
    match: Match
    first: date | None = Field(default=None, alias="from")
    last: date | None = Field(default=None, alias="to")
    until: date | None = None
    reason: str = Field(min_length=1)
    approved_by: str = Field(min_length=1)

    @model_validator(mode="after")
    def _interval_is_forward(self) -> Self:
        if self.first and self.last and self.last < self.first:
            raise ValueError(f"'to' ({self.last}) is before 'from' ({self.first})")
        return self

    @property
    def last_day(self) -> date | None:
        """The last day that it applies to; a rule that has lapsed still holds for the days before."""
        return min((day for day in (self.last, self.until) if day), default=None)

    def holds_on(self, day: date) -> bool:
        """Whether the rule has begun and hasn't lapsed."""
        return (self.first is None or self.first <= day) and (self.until is None or day <= self.until)


class Exemption(Strict):
    """No target is asked of a KPI for periods that end on these days, both included; it always ends."""

    kpi: Annotated[str, Field(pattern="^[a-z][a-z0-9_]*\\.[a-z][a-z0-9_]*$")]
    first: date = Field(alias="from")
    last: date = Field(alias="to")
    reason: str = Field(min_length=1)
    approved_by: str = Field(min_length=1)

    @model_validator(mode="after")
    def _interval_is_forward(self) -> Self:
        if self.last < self.first:
            raise ValueError(f"'to' ({self.last}) is before 'from' ({self.first})")
        return self


class Annotation(Strict):
    """A dated note on charts. `kpis`: those that it is about; none: all."""

    date: date
    text: str = Field(min_length=1, max_length=200)
    kpis: tuple[Annotated[str, Field(pattern="^[a-z][a-z0-9_]*\\.[a-z][a-z0-9_]*$")], ...] = ()
    audience: Literal["internal", "external"] = "internal"


def _teams_are_a_forest(teams: dict[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
    """Names as they are compared: trimmed, in lower case. A team is part of one other at most, and not of itself."""
    named = {team_name(team): tuple(map(team_name, parts)) for team, parts in teams.items()}
    parents: dict[str, str] = {}
    for team, parts in named.items():
        for part in parts:
            if part in parents:
                raise ValueError(f"{part!r} is part of both {parents[part]!r} and {team!r}; a team is part of one")
            parents[part] = team
    for team in parents:
        if team in ancestry(parents, team)[1:]:
            raise ValueError(f"{team!r} is part of itself")
    return named


def ancestry(parents: Mapping[str, str], team: str) -> list[str]:
    """A team, and what it is part of, from near to far; stops where it comes back to where it was."""
    line = [team]
    while (parent := parents.get(line[-1])) is not None:
        line.append(parent)
        if parent == team:
            break
    return line


class Config(Strict):
    """kpi.toml, whole. `teams`: the teams that a team is made of; its work is their work."""

    organisation: Organisation
    sources: Sources = Sources()
    categories: Categories = Categories()
    business_hours: BusinessHours = BusinessHours()
    teams: Annotated[dict[str, tuple[str, ...]], AfterValidator(_teams_are_a_forest)] = {}
    privacy: Privacy = Privacy()
    exclusions: tuple[Exclusion, ...] = ()
    exemptions: tuple[Exemption, ...] = ()
    annotations: tuple[Annotation, ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _number_unnamed_exclusions(cls, value: Any) -> Any:
        rules = value.get("exclusions") if isinstance(value, dict) else None
        if isinstance(rules, list):
            named = [{"id": f"rule-{n}", **r} if isinstance(r, dict) else r for n, r in enumerate(rules, 1)]
            return {**value, "exclusions": named}
        return value

    @model_validator(mode="after")
    def _exclusions_have_own_ids(self) -> Self:
        ids = [rule.id for rule in self.exclusions]
        if doubled := sorted({i for i in ids if ids.count(i) > 1}):
            raise ValueError(f"exclusions share the id {doubled[0]!r}; each needs its own")
        return self


class Environment(BaseSettings):
    """KPI_CONFIG, KPI_DATA_DIR and KPI_AS_OF; empty means not set."""

    model_config = SettingsConfigDict(env_prefix="KPI_", env_ignore_empty=True)

    config: Path = DEFAULT_CONFIG
    data_dir: Path = DEFAULT_DATA_DIR
    as_of: date | None = None


class Settings(Strict):
    """Everything that a run is told, resolved: absolute paths, one as-of."""

    config_path: Path
    data_dir: Path
    as_of: date
    config: Config

    @property
    def landing_dir(self) -> Path:
        return self.data_dir / "landing"

    @property
    def spill_dir(self) -> Path:
        """Where DuckDB puts what doesn't fit into memory: names too, so it is within the landing zone."""
        return self.landing_dir / ".spill"

    @property
    def warehouse_path(self) -> Path:
        return self.data_dir / "warehouse" / "warehouse.duckdb"

    @property
    def published_dir(self) -> Path:
        return self.data_dir / "published"

    @property
    def timezone(self) -> ZoneInfo:
        return ZoneInfo(self.config.organisation.timezone)

    @cached_property
    def id_secret(self) -> SecretStr:
        """The key of every person_key.

        Raises:
            ConfigError: the variable isn't set, or is too short to protect anyone.
        """
        organisation = self.config.organisation
        if organisation.demo:
            return SecretStr(DEMO_SECRET)
        secret = os.environ.get(organisation.id_secret_env, "")
        if len(secret) < MIN_SECRET_LENGTH:
            raise ConfigError(
                f"environment variable {organisation.id_secret_env}",
                got="nothing" if not secret else f"{len(secret)} characters",
                expected=f"a secret of at least {MIN_SECRET_LENGTH} characters, the key of every person_key",
                fix=f"Make one once (openssl rand -hex 32), keep it safe, and export {organisation.id_secret_env}; "
                "with another secret everybody would count as new.",
            )
        return SecretStr(secret)

    def source_path(self, path: Path) -> Path:
        """A path of kpi.toml, which is relative to kpi.toml."""
        return (self.config_path.parent / path).resolve()

    def live_source(self, name: str) -> Live:
        """A source that is asked over the network.

        Raises:
            ConfigError: kpi.toml names none of that name.
        """
        sources = {key: getattr(self.config.sources, key) for key in Sources.model_fields}
        live = {key: source for key, source in sources.items() if isinstance(source, Live)}
        if name not in live:
            raise ConfigError(
                self.config_path,
                got=f"the source {name!r}",
                expected=f"one that is asked: {', '.join(live) or 'there is none'}",
                fix="Files are fetched by every run: deliver them again.",
            )
        return live[name]


def load(config: Path | None = None, data_dir: Path | None = None, as_of: date | None = None) -> Settings:
    """Reads the environment and kpi.toml; arguments win over the environment.

    Raises:
        ConfigError: a file, key or value is wrong; it names which.
    """
    environment = _environment()
    path = (config or environment.config).expanduser().resolve()
    parsed = read_config(path)
    day = as_of or environment.as_of or parsed.organisation.as_of or clock.last_closed_day()
    if day > clock.last_closed_day():
        raise ConfigError(
            "as-of",
            got=day,
            expected=f"a closed day, {clock.last_closed_day()} (UTC) at the latest",
            fix="Days that are still running are never counted; leave --as-of and KPI_AS_OF out for yesterday.",
        )
    if day < parsed.organisation.first_day:
        raise ConfigError(
            "as-of",
            got=day,
            expected=f"a day from first_day on, {parsed.organisation.first_day}",
            fix="Give a later --as-of or KPI_AS_OF, or set [organisation] first_day in kpi.toml.",
        )
    folder = (data_dir or environment.data_dir).expanduser().resolve()
    if "?" in str(folder):
        raise ConfigError(
            "data folder",
            got=folder,
            expected="a path without '?', after which DuckDB puts its log elsewhere",
            fix="Rename the folder, or name another with --data-dir or KPI_DATA_DIR.",
        )
    return Settings(
        config_path=path,
        data_dir=folder,
        as_of=day,
        config=parsed,
    )


def data_dirs() -> list[Path]:
    """Where a reader of what is published looks, who needs no kpi.toml: in the data folder that the environment names.

    Without one, in `data/` here and in every folder above: a notebook's working directory is its own folder.
    """
    environment = _environment()
    if "data_dir" in environment.model_fields_set:
        return [environment.data_dir.expanduser().resolve()]
    here = Path.cwd()
    return [folder / DEFAULT_DATA_DIR for folder in (here, *here.parents)]


def organisation_at_hand() -> Organisation | None:
    """The organisation, where a right configuration is at hand; definitions load without one as well."""
    try:
        return load().config.organisation
    except ConfigError:
        return None


def read_config(path: Path) -> Config:
    """kpi.toml, checked.

    Raises:
        ConfigError: it is missing, no TOML, or a key in it is wrong.
    """
    try:
        return _parsed(path, path.read_bytes())
    except OSError as error:
        raise ConfigError(
            path, got=error.strerror, expected="a configuration file", fix="Point --config or KPI_CONFIG at a kpi.toml."
        ) from error


@lru_cache(maxsize=8)
def _parsed(path: Path, text: bytes) -> Config:
    """By content: a run asks for its settings at each of its many steps."""
    try:
        content = tomllib.loads(text.decode("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(path, got=error, expected="TOML in UTF-8", fix="Mend that line.") from error
    try:
        return Config.model_validate(content)
    except ValidationError as error:
        # Not `from error`: pydantic's own message repeats what was written, usernames too.
        raise _config_error(path, error) from None


def _environment() -> Environment:
    return _environment_of(*(os.environ.get(f"KPI_{name.upper()}") for name in Environment.model_fields))


@lru_cache(maxsize=8)
def _environment_of(*_values: str | None) -> Environment:
    """By what the variables are: a run asks at each of its many steps."""
    try:
        return Environment()
    except ValidationError as error:
        first = error.errors()[0]
        variable = f"KPI_{str(first['loc'][0]).upper()}"
        raise ConfigError(
            f"environment variable {variable}",
            got=repr(first["input"]),
            expected=first["msg"],
            fix=f"Unset {variable}, or give a value such as KPI_AS_OF=2026-09-30.",
        ) from error


def _config_error(path: Path, error: ValidationError) -> ConfigError:
    first = error.errors()[0]
    location, known = _place(first["loc"])
    key = ".".join(location)
    if first["type"] == "extra_forbidden":
        near = difflib.get_close_matches(str(first["loc"][-1]), known, n=1)
        hint = f"Did you mean {near[0]!r}?" if near else "Remove it, or look it up in docs/configuration.md."
        return ConfigError(f"{path}: {key}", got="a key that nothing reads", expected=", ".join(known), fix=hint)
    if first["type"].startswith("union_tag"):
        kinds = str(first.get("ctx", {}).get("expected_tags", "")) or "one that docs/sources.md names"
        got = repr(first.get("ctx", {}).get("tag", "nothing"))
        return ConfigError(f"{path}: {key}.kind", got=got, expected=kinds, fix="Mend that key.")
    # Rules of exclusion name people, the one personal thing in kpi.toml: repeat of them only what can't be a name.
    personal = "username" in key or key.endswith("match") or isinstance(first["input"], dict | list)
    got = "a wrong value" if personal else f"{first['input']!r}"[:120]
    got = "nothing" if first["type"] == "missing" else got
    return ConfigError(f"{path}: {key or 'file'}", got=got, expected=first["msg"], fix="Mend that key.")


def _place(location: tuple[Any, ...]) -> tuple[list[str], list[str]]:
    """A place in kpi.toml as it is written there, and the keys of the model that it is in."""
    written: list[str] = []
    model: Any = Config
    known: list[str] = []
    for part in location:
        if isinstance(model, dict):
            # Which of several models a table is follows from its kind; that isn't written in the path of the key.
            model = model.get(part)
            continue
        written.append(str(part))
        if isinstance(part, int) or not (isinstance(model, type) and issubclass(model, BaseModel)):
            continue
        known = [field.alias or name for name, field in model.model_fields.items()]
        found = next((f for n, f in model.model_fields.items() if part in (n, f.alias)), None)
        model = _model_in(found.annotation) if found is not None else None
    return written, known


def _model_in(annotation: Any) -> Any:
    """The model that a field holds, however wrapped; of several, by kind."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    inner = [model for a in getattr(annotation, "__args__", ()) if (model := _model_in(a)) is not None]
    if len(inner) < 2:
        return inner[0] if inner else None
    return {kind: model for model in inner for kind in _kinds(model)}


def _kinds(model: type[BaseModel]) -> tuple[str, ...]:
    field = model.model_fields.get("kind")
    return getattr(field.annotation, "__args__", ()) if field is not None else ()


def secret(variable: str, purpose: str) -> SecretStr:
    """What an environment variable holds that kpi.toml names.

    Raises:
        ConfigError: it holds nothing.
    """
    value = os.environ.get(variable, "").strip()
    if not value:
        raise ConfigError(
            f"environment variable {variable}",
            got="nothing",
            expected=purpose,
            fix=f"Export {variable} before kpi is started; it is never written down or shown.",
        )
    return SecretStr(value)


def passed_on(names: Iterable[str]) -> dict[str, str]:
    """Of these variables, those that are set: what a program that we start may know of its surroundings."""
    return {name: value for name in names if (value := os.environ.get(name))}
