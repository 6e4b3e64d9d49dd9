"""The one reader of the environment and of kpi.toml.

What belongs here: the shape of the configuration and its checks. What never does: opening a source or the warehouse.
"""

import difflib
import os
import re
import tomllib
from collections.abc import Mapping
from datetime import date, time
from decimal import Decimal
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import holidays
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from kpi_pipeline import clock
from kpi_pipeline.errors import ConfigError

DEFAULT_CONFIG = Path("data/sample/kpi.toml")
DEFAULT_DATA_DIR = Path("data")
# Public on purpose: the sample's people are invented, so its keys protect nobody.
DEMO_SECRET = "demo-organisation-whose-people-are-invented"  # noqa: S105
MIN_SECRET_LENGTH = 16
# JupyterHub was first released in March 2015: no hub has activity before that year.
FIRST_DAY = date(2015, 1, 1)


class Strict(BaseModel):
    """Frozen, and a key that nobody reads is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


def _known_timezone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError("not a time zone of the IANA database, such as 'UTC' or 'Europe/Berlin'") from error
    return name


def _regex_with_one_group(pattern: str) -> str:
    try:
        groups = re.compile(pattern).groups
    except re.error as error:
        raise ValueError(f"not a regular expression: {error}") from error
    if groups != 1:
        raise ValueError(f"has {groups} capture groups; exactly one is needed: it holds the community")
    return pattern


def _regex_that_names_a_hub(pattern: str) -> str:
    try:
        groups = re.compile(pattern).groupindex
    except re.error as error:
        raise ValueError(f"not a regular expression: {error}") from error
    if missing := sorted({"cluster", "hub"} - set(groups)):
        raise ValueError(f"has no group {missing[0]!r}; write (?P<cluster>...) and (?P<hub>...)")
    return pattern


HubPattern = Annotated[str, AfterValidator(_regex_that_names_a_hub)]


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


class CommunityRule(Strict):
    """Takes the community of a hub from another column, where the registry has none."""

    column: Literal["display_name", "hub", "cluster", "domain"]
    pattern: Annotated[str, AfterValidator(_regex_with_one_group)]


class HubRegistry(Strict):
    """The rules fill what the files don't say; a value in the file always wins.

    `staging`, `binder` are globs on the hub's name; `hub_types` are globs on cluster/hub, by type.
    """

    kind: Literal["table", "cluster_yaml"]
    path: Path
    staging: tuple[str, ...] = ()
    binder: tuple[str, ...] = ()
    hub_types: dict[Literal["education", "research", "other"], tuple[str, ...]] = {}
    community: tuple[CommunityRule, ...] = ()
    since: date | None = None
    max_age_days: int | None = Field(default=None, ge=0)


class HubActivity(Strict):
    kind: Literal["table"]
    path: Path
    criterion: str = "as recorded by the source"
    max_age_days: int = Field(default=2, ge=0)


class CloudCosts(Strict):
    """`hub_tag` names the tag that holds the hub; `accounts` says what an account is for: a hub or a cluster."""

    kind: Literal["focus"]
    path: Path
    hub_tag: str | None = None
    accounts: dict[str, Annotated[str, Field(min_length=1)]] = {}
    shared_by: Literal["user_days", "users", "nothing"] = "user_days"
    max_age_days: int = Field(default=7, ge=0)


class Ledger(Strict):
    kind: Literal["table"]
    path: Path
    max_age_days: int = Field(default=45, ge=0)


class Deals(Strict):
    """`won` and `lost` are globs on the deal stage, capitals or not; every other stage is open.

    `currency` is that of deals that name none.
    """

    kind: Literal["hubspot_csv"]
    path: Path
    currency: Annotated[str, Field(pattern="^[A-Z]{3}$")] | None = None
    won: tuple[str, ...] = ("closedwon", "closed won*")
    lost: tuple[str, ...] = ("closedlost", "closed lost*")
    max_age_days: int | None = Field(default=None, ge=0)


class Rates(Strict):
    kind: Literal["table"]
    path: Path
    max_age_days: int = Field(default=45, ge=0)


class Categories(Strict):
    """Globs on the names that ledger and deals use, by the category of the organisation's document."""

    revenue: dict[Literal["grants", "development contracts", "cloud service contracts"], tuple[str, ...]] = {}
    costs: dict[
        Literal["engineering", "partnerships and community", "executive", "fiscal fee", "services"], tuple[str, ...]
    ] = {}


class TableDrop(Strict):
    """A source of files in the table format that needs no settings of its own."""

    kind: Literal["table"]
    path: Path
    max_age_days: int | None = Field(default=None, ge=0)


class Tickets(Strict):
    """Freshdesk. `companies`, `tags` map ids and tags to communities, `products` ids to names.

    `automations` are the user ids of machines; `waiting_statuses` those in which the customer has the next word.
    """

    kind: Literal["freshdesk_pages"]
    path: Path
    companies: dict[str, str] = {}
    tags: dict[str, str] = {}
    products: dict[str, str] = {}
    automations: tuple[int, ...] = ()
    waiting_statuses: tuple[int, ...] = (3,)
    merged_tags: tuple[str, ...] = ("merged",)
    max_age_days: int = Field(default=7, ge=0)


class AccessLogs(Strict):
    kind: Literal["nginx", "jupyterhub"]
    path: Path
    max_age_days: int = Field(default=7, ge=0)


class Deployments(Strict):
    """`environment`: a regular expression that finds cluster and hub in the name of a deployment's environment.

    `production`: globs on that name; a hub that the registry has as staging isn't production either.
    """

    environment: HubPattern = "^(?P<cluster>[^/]+)/(?P<hub>[^/]+)$"
    production: tuple[str, ...] = ("*",)


class HubRequests(Strict):
    """Issues that ask for a hub: they bear `label`, and title or body names the hub as the pattern `names` says.

    `complete`: the label that says that all is known, and `waiting`: labels of waiting for the customer.
    """

    label: str = Field(min_length=1)
    names: HubPattern
    complete: str | None = Field(default=None, min_length=1)
    waiting: tuple[str, ...] = ()


class Mapped(Strict):
    """Which issues are something: those that bear one of `labels`, else those of `repositories`. Both are globs."""

    labels: tuple[str, ...] = ()
    repositories: tuple[str, ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _a_list_names_repositories(cls, value: Any) -> Any:
        return {"repositories": value} if isinstance(value, list | tuple) else value

    @model_validator(mode="after")
    def _names_something(self) -> Self:
        if not self.labels and not self.repositories:
            raise ValueError("names neither labels nor repositories, so no issue is of it")
        return self


class Priority(Mapped):
    """`hours`: the time agreed on, from opening an issue to resolving it."""

    hours: Decimal | None = Field(default=None, gt=0, max_digits=7, decimal_places=2)


Named = TypeVar("Named", bound=Mapped)


def _names_are_apart(mapped: dict[str, Named]) -> dict[str, Named]:
    """Names are compared trimmed and in lower case, as those of teams are."""
    names = [_team(name) for name in mapped]
    if doubled := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f"{doubled[0]!r} is named twice; whatever the capitals, a name is one")
    return mapped


class GitHub(Strict):
    """`own`: globs on owner/name. `bots`: logins.

    `technical`: the issues that the KPIs of roles are about; None: all. Of `teams`, `areas`, `kinds` and `priorities`
    the first that matches counts, by label before repository.
    """

    kind: Literal["json_pages", "github_to_sqlite"]
    path: Path
    own: tuple[str, ...] = Field(min_length=1)
    teams: Annotated[dict[str, Mapped], AfterValidator(_names_are_apart)] = {}
    technical: Mapped | None = None
    areas: Annotated[dict[str, Mapped], AfterValidator(_names_are_apart)] = {}
    kinds: Annotated[dict[str, Mapped], AfterValidator(_names_are_apart)] = {}
    priorities: Annotated[dict[str, Priority], AfterValidator(_names_are_apart)] = {}
    bots: tuple[str, ...] = ()
    deployments: Deployments = Deployments()
    hub_requests: HubRequests | None = None
    max_age_days: int | None = Field(default=7, ge=0)


class Affiliations(Strict):
    kind: Literal["table"]
    path: Path
    max_age_days: int | None = Field(default=None, ge=0)


class UpstreamWork(Strict):
    kind: Literal["table"]
    path: Path
    max_age_days: int | None = Field(default=None, ge=0)


class TestResults(Strict):
    kind: Literal["junit"]
    path: Path
    max_age_days: int | None = Field(default=None, ge=0)


class CodeQuality(Strict):
    """`level`: from which level of findings on a unit doesn't meet the standard."""

    kind: Literal["sarif", "table"]
    path: Path
    level: Literal["note", "warning", "error"] = "warning"
    max_age_days: int | None = Field(default=None, ge=0)


SECONDS_A_DAY = 86400
Label = Annotated[str, Field(pattern="^[a-zA-Z_][a-zA-Z0-9_]*$")]
Folder = Annotated[str, Field(pattern="^[a-z0-9][a-z0-9._-]*$")]


def _divides_a_day(seconds: int) -> int:
    if seconds < 1 or SECONDS_A_DAY % seconds:
        raise ValueError("a day isn't a whole number of such steps, so some would lie in two days")
    return seconds


Step = Annotated[int, AfterValidator(_divides_a_day)]


class MetricSeries(Strict):
    """The folder of each series: of calls, of their durations in seconds, and of the buckets of these."""

    requests: Folder
    duration_sum: Folder | None = None
    duration_buckets: Folder | None = None

    @property
    def folders(self) -> tuple[str, ...]:
        return tuple(folder for folder in self.model_dump().values() if folder)

    @model_validator(mode="after")
    def _folders_differ(self) -> Self:
        if len(set(self.folders)) < len(self.folders):
            raise ValueError("two series share a folder; each needs its own")
        return self


class MetricLabels(Strict):
    """The label that holds each; without one, calls aren't told apart by it."""

    service: Label
    audience: Label | None = None
    customer: Label | None = None

    @property
    def by_column(self) -> dict[str, str]:
        return {column: label for column, label in self.model_dump().items() if label}

    @model_validator(mode="after")
    def _customers_are_businesses(self) -> Self:
        if self.customer and not self.audience:
            raise ValueError("'customer' needs 'audience': only customers of b2b are named, others may be persons")
        return self


class ApiMetrics(Strict):
    kind: Literal["prometheus_json"]
    path: Path
    step_seconds: Step
    series: MetricSeries
    labels: MetricLabels
    max_age_days: int = Field(default=2, ge=0)


class Uptime(Strict):
    """`retired`: systems that are no longer probed, with their last day."""

    kind: Literal["prometheus_json"]
    path: Path
    step_seconds: Step
    system_label: Label = "system"
    retired: dict[str, date] = {}
    max_age_days: int = Field(default=2, ge=0)


class Sources(Strict):
    hub_registry: HubRegistry | None = None
    hub_activity: HubActivity | None = None
    github: GitHub | None = None
    affiliations: Affiliations | None = None
    upstream_work: UpstreamWork | None = None
    cloud_costs: CloudCosts | None = None
    ledger: Ledger | None = None
    deals: Deals | None = None
    rates: Rates | None = None
    surveys: TableDrop | None = None
    survey_invitations: TableDrop | None = None
    publications: TableDrop | None = None
    communities: TableDrop | None = None
    charges: TableDrop | None = None
    tickets: Tickets | None = None
    access_logs: AccessLogs | None = None
    ceremonies: TableDrop | None = None
    test_results: TestResults | None = None
    code_quality: CodeQuality | None = None
    api_metrics: ApiMetrics | None = None
    uptime: Uptime | None = None
    projects: TableDrop | None = None
    intern_tasks: TableDrop | None = None
    transactions: TableDrop | None = None
    registrations: TableDrop | None = None
    product_activity: TableDrop | None = None
    integrations: TableDrop | None = None
    partners: TableDrop | None = None
    collaborations: TableDrop | None = None
    channels: TableDrop | None = None
    events: TableDrop | None = None
    documents: TableDrop | None = None


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


def _teams_are_a_forest(teams: dict[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
    """Names as they are compared: trimmed, in lower case. A team is part of one other at most, and not of itself."""
    named = {_team(team): tuple(map(_team, parts)) for team, parts in teams.items()}
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


def _team(name: str) -> str:
    if not name.strip():
        raise ValueError("a team without a name")
    return " ".join(name.lower().split())


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
    key = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        known = _known_keys(tuple(first["loc"][:-1]))
        near = difflib.get_close_matches(str(first["loc"][-1]), known, n=1)
        hint = f"Did you mean {near[0]!r}?" if near else "Remove it, or look it up in docs/configuration.md."
        return ConfigError(f"{path}: {key}", got="a key that nothing reads", expected=", ".join(known), fix=hint)
    # Rules of exclusion name people, the one personal thing in kpi.toml: repeat of them only what can't be a name.
    personal = "username" in key or key.endswith("match") or isinstance(first["input"], dict | list)
    got = "a wrong value" if personal else f"{first['input']!r}"[:120]
    got = "nothing" if first["type"] == "missing" else got
    return ConfigError(f"{path}: {key or 'file'}", got=got, expected=first["msg"], fix="Mend that key.")


def _known_keys(location: tuple[Any, ...]) -> list[str]:
    """The keys that the model at a place in kpi.toml has."""
    model: Any = Config
    for part in location:
        if isinstance(part, int) or not (isinstance(model, type) and issubclass(model, BaseModel)):
            continue
        field = next((f for n, f in model.model_fields.items() if part in (n, f.alias)), None)
        if field is not None:
            model = _model_in(field.annotation)
    if isinstance(model, type) and issubclass(model, BaseModel):
        return [field.alias or name for name, field in model.model_fields.items()]
    return []


def _model_in(annotation: Any) -> Any:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    inner = [_model_in(a) for a in getattr(annotation, "__args__", ())]
    return next((a for a in inner if a is not None), None)
