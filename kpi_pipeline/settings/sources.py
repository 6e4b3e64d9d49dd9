"""The sources of kpi.toml: what each needs to be told, whether its files are dropped or it is asked for them."""

from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar, get_args

from pydantic import AfterValidator, Field, model_validator

from kpi_pipeline.settings.base import HubPattern, Live, Login, Strict, Url, Variable, one_group, team_name


class CommunityRule(Strict):
    """Takes the community of a hub from another column, where the registry has none."""

    column: Literal["display_name", "hub", "cluster", "domain"]
    pattern: Annotated[str, AfterValidator(one_group)]


class HubRegistry(Strict):
    """The rules fill what the files don't say; a value in the file always wins.

    `staging`, `binder` are globs on the hub's name; `hub_types` are globs on cluster/hub, by type.
    """

    staging: tuple[str, ...] = ()
    binder: tuple[str, ...] = ()
    hub_types: dict[Literal["education", "research", "other"], tuple[str, ...]] = {}
    community: tuple[CommunityRule, ...] = ()
    max_age_days: int | None = Field(default=None, ge=0)


class HubRegistryFiles(HubRegistry):
    kind: Literal["table", "cluster_yaml"]
    path: Path
    since: date | None = None


def _path_within(path: str) -> str:
    parts = [part for part in path.split("/") if part not in ("", ".")]
    if path.startswith("/") or ".." in parts:
        raise ValueError("leads out of the repository; give a path within it, such as 'config/clusters'")
    return "/".join(parts)


PathWithin = Annotated[str, AfterValidator(_path_within)]


class HubRegistryGit(HubRegistry, Live):
    """A checkout whose history says when each cluster.yaml was how: `folder` within it, on the branch `ref`.

    `files`: globs on paths below `folder`. `fetch`: ask the remote for news first.
    """

    kind: Literal["git"]
    path: Path
    ref: str = Field(default="HEAD", pattern="^[A-Za-z0-9_][A-Za-z0-9_./-]*$")
    folder: PathWithin = ""
    files: tuple[Annotated[PathWithin, Field(min_length=1)], ...] = ("**/cluster.yaml", "**/cluster.yml")
    fetch: bool = False

    @model_validator(mode="after")
    def _reads_what_it_fetches(self) -> Self:
        if self.fetch and "/" not in self.ref:
            raise ValueError("fetch = true needs a ref of the remote, such as 'origin/main': nothing else moves by it")
        if not self.files:
            raise ValueError("'files' names none; leave it out for **/cluster.yaml")
        return self


class HubActivity(Strict):
    """`criterion` says what it takes to be active."""

    criterion: str = "as recorded by the source"
    max_age_days: int = Field(default=2, ge=0)


class HubActivityFiles(HubActivity):
    kind: Literal["table", "prometheus_json", "jupyterhub_json"]
    path: Path


class PrometheusServer(Login):
    """One cluster's Prometheus, or anything that answers as it does."""

    cluster: str = Field(min_length=1)
    url: Url


class Grafana(Login):
    """Every Prometheus that a Grafana knows. `clusters` names the cluster of a datasource, where its name isn't it.

    `leave_out`: globs on the names of datasources.
    """

    url: Url
    clusters: dict[str, Annotated[str, Field(min_length=1)]] = {}
    leave_out: tuple[str, ...] = ()


class AskedPrometheus(Live):
    """Where to ask Prometheus: servers, or those behind a Grafana.

    `observed`: what is there at any time when the server works; a day of which less than `min_observed` is, is missing.
    `since`: the first day to ask for; default: a year before the first fetch.
    """

    servers: tuple[PrometheusServer, ...] = ()
    grafana: Grafana | None = None
    since: date | None = None
    observed: str = Field(default="count(up)", min_length=1)
    min_observed: Decimal = Field(default=Decimal("0.9"), ge=0, le=1)
    at_once: int = Field(default=4, ge=1, le=32)

    @model_validator(mode="after")
    def _asks_somebody(self) -> Self:
        if bool(self.servers) == (self.grafana is not None):
            raise ValueError("name servers, or a grafana: one of them")
        clusters = [server.cluster for server in self.servers]
        if doubled := sorted({cluster for cluster in clusters if clusters.count(cluster) > 1}):
            raise ValueError(f"two servers are of cluster {doubled[0]!r}")
        return self


class HubActivityPrometheus(HubActivity, AskedPrometheus):
    """Who had a server running, by the annotations of pods that kube-state-metrics exports.

    `observed`: those of the hub's own pods are always there, so a day without is one that nobody looked at.
    """

    kind: Literal["prometheus"]
    observed: str = Field(default="count(kube_pod_annotations)", min_length=1)
    criterion: str = "a server was running (kube_pod_annotations)"
    pods: str = Field(default="jupyter-.*", min_length=1)
    hub_label: str = Field(default="namespace", pattern="^[a-zA-Z_][a-zA-Z0-9_]*$")
    username_label: str = Field(default="annotation_hub_jupyter_org_username", pattern="^[a-zA-Z_][a-zA-Z0-9_]*$")


class HubApi(Strict):
    """One JupyterHub: `url` is its base, without /hub/api."""

    cluster: str = Field(min_length=1)
    hub: str = Field(min_length=1)
    url: Url
    token_env: Variable

    @property
    def part(self) -> str:
        """Its id, as in the registry."""
        return f"{self.cluster}/{self.hub}"


class HubActivityJupyterHub(HubActivity, Live):
    """Who was active last when, asked of the hubs themselves; `sweep_days`: how often to read all users."""

    kind: Literal["jupyterhub"]
    hubs: tuple[HubApi, ...] = Field(min_length=1)
    criterion: str = "last_activity of the JupyterHub API"
    sweep_days: int = Field(default=7, ge=1)
    at_once: int = Field(default=4, ge=1, le=32)

    @model_validator(mode="after")
    def _hubs_differ(self) -> Self:
        names = [hub.part for hub in self.hubs]
        if doubled := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"the hub {doubled[0]!r} is named twice")
        return self


class CloudCosts(Strict):
    """`hub_tag` names the tag that holds the hub; `accounts` says what an account is for: a hub or a cluster."""

    hub_tag: str | None = None
    accounts: dict[str, Annotated[str, Field(min_length=1)]] = {}
    shared_by: Literal["user_days", "users", "nothing"] = "user_days"
    max_age_days: int = Field(default=7, ge=0)


class CloudCostsFiles(CloudCosts):
    kind: Literal["focus"]
    path: Path


class CloudCostsS3(CloudCosts, Live):
    """FOCUS exports in S3, or in a store that speaks as it does (`endpoint`). Credentials come by AWS's own chain.

    `prefix`: the folder that holds the exports, and nothing else.
    """

    kind: Literal["focus_s3"]
    bucket: str = Field(pattern="^[A-Za-z0-9][A-Za-z0-9._-]{1,61}[A-Za-z0-9]$")
    prefix: str = ""
    endpoint: Url | None = None
    region: str | None = None
    max_object_bytes: int = Field(default=2 << 30, ge=1)


class CloudCostsExplorer(CloudCosts, Live):
    """AWS Cost Explorer: amounts by day, account and the tag `hub_tag`. Every request costs a cent.

    `months_open`: how many months, the running one included, are read again since their bills aren't final.
    """

    kind: Literal["aws_cost_explorer"]
    hub_tag: str = Field(min_length=1)
    since: date | None = None
    months_open: int = Field(default=2, ge=1, le=12)
    metric: Literal["UnblendedCost", "NetUnblendedCost"] = "UnblendedCost"
    endpoint: Url | None = None
    region: str = "us-east-1"


class Ledger(Strict):
    kind: Literal["table"]
    path: Path
    max_age_days: int = Field(default=45, ge=0)


class Deals(Strict):
    """`won` and `lost` are globs on the deal stage, capitals or not; every other stage is open.

    `currency` is that of deals that name none.
    """

    currency: Annotated[str, Field(pattern="^[A-Z]{3}$")] | None = None
    won: tuple[str, ...] = ("closedwon", "closed won*")
    lost: tuple[str, ...] = ("closedlost", "closed lost*")
    max_age_days: int | None = Field(default=None, ge=0)


class DealsFiles(Deals):
    kind: Literal["hubspot_csv", "hubspot_pages"]
    path: Path


class DealsHubSpot(Deals, Live):
    """HubSpot's API, by the token of a private app."""

    kind: Literal["hubspot"]
    token_env: Variable
    url: Url = "https://api.hubapi.com"


class Rates(Strict):
    kind: Literal["table"]
    path: Path
    max_age_days: int = Field(default=45, ge=0)


class TableDrop(Strict):
    """A source of files in the table format that needs no settings of its own."""

    kind: Literal["table"]
    path: Path
    max_age_days: int | None = Field(default=None, ge=0)


class Tickets(Strict):
    """Freshdesk. `companies`, `tags` map ids and tags to communities, `products` ids to names.

    `automations` are the user ids of machines; `waiting_statuses` those in which the customer has the next word.
    """

    companies: dict[str, str] = {}
    tags: dict[str, str] = {}
    products: dict[str, str] = {}
    automations: tuple[int, ...] = ()
    waiting_statuses: tuple[int, ...] = (3,)
    merged_tags: tuple[str, ...] = ("merged",)
    max_age_days: int = Field(default=7, ge=0)


class TicketsFiles(Tickets):
    kind: Literal["freshdesk_pages"]
    path: Path


class TicketsFreshdesk(Tickets, Live):
    """Freshdesk's API v2. `since`: tickets that changed from this day on; `sweep_days`: how often to read them all."""

    kind: Literal["freshdesk"]
    url: Url
    key_env: Variable
    since: date
    sweep_days: int = Field(default=7, ge=1)


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
    names = [team_name(name) for name in mapped]
    if doubled := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f"{doubled[0]!r} is named twice; whatever the capitals, a name is one")
    return mapped


class GitHub(Strict):
    """`own`: globs on owner/name. `bots`: logins.

    `technical`: the issues that the KPIs of roles are about; None: all. Of `teams`, `areas`, `kinds` and `priorities`
    the first that matches counts, by label before repository.
    """

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


class GitHubFiles(GitHub):
    kind: Literal["json_pages", "github_to_sqlite"]
    path: Path


class GitHubApp(Strict):
    """An app that is installed in the organisation, and the variable that holds its private key (PEM)."""

    id: int = Field(ge=1)
    installation: int = Field(ge=1)
    private_key_env: Variable


Stream = Literal["issues", "timeline", "pulls", "reviews", "releases", "deployments", "statuses", "runs"]
# What a stream is asked for: each of the other's objects has its own.
RESTS_ON: dict[str, tuple[str, ...]] = {
    "timeline": ("issues", "pulls"),
    "reviews": ("pulls",),
    "statuses": ("deployments",),
}


def _streams_have_what_they_rest_on(streams: tuple[Stream, ...]) -> tuple[Stream, ...]:
    for stream in streams:
        others = RESTS_ON.get(stream)
        if others and not set(others) & set(streams):
            raise ValueError(f"{stream!r} needs {' or '.join(map(repr, others))}")
    return streams


Streams = Annotated[tuple[Stream, ...], Field(min_length=1), AfterValidator(_streams_have_what_they_rest_on)]


class GitHubApi(GitHub, Live):
    """GitHub's REST API. `repositories`: owner/name, or owner/* for all of an organisation, less those of `leave_out`.

    `streams` are fetched of own repositories, `upstream_streams` of others. `since`: what changed from this day on;
    `sweep_days`: how often to list all issues of own ones, to notice those that were deleted or transferred.
    """

    kind: Literal["github_api"]
    repositories: tuple[Annotated[str, Field(pattern=r"^[\w.-]+/([\w.-]+|\*)$")], ...] = Field(min_length=1)
    leave_out: tuple[str, ...] = ()
    archived: bool = True
    token_env: Variable | None = None
    app: GitHubApp | None = None
    url: Url = "https://api.github.com"
    since: date
    streams: Streams = (
        "issues", "timeline", "pulls", "reviews", "releases", "deployments", "statuses", "runs",
    )  # fmt: skip
    upstream_streams: Streams = ("issues", "timeline", "pulls", "reviews", "releases")
    sweep_days: int = Field(default=7, ge=1)
    at_once: int = Field(default=4, ge=1, le=16)

    @model_validator(mode="after")
    def _one_login(self) -> Self:
        if (self.token_env is None) == (self.app is None):
            raise ValueError("give token_env or app: one of them")
        return self


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
    step_seconds: Step
    series: MetricSeries
    labels: MetricLabels
    max_age_days: int = Field(default=2, ge=0)


class ApiMetricsFiles(ApiMetrics):
    kind: Literal["prometheus_json"]
    path: Path


class ApiMetricsPrometheus(ApiMetrics, AskedPrometheus):
    """`queries`: what to ask for each folder of `series`, with a step of `step_seconds`."""

    kind: Literal["prometheus"]
    queries: dict[Folder, Annotated[str, Field(min_length=1)]]

    @model_validator(mode="after")
    def _asks_for_each_series(self) -> Self:
        if set(self.queries) != set(self.series.folders):
            raise ValueError(f"'queries' has {sorted(self.queries)}, and 'series' {sorted(self.series.folders)}")
        return self


class Uptime(Strict):
    """`retired`: systems that are no longer probed, with their last day."""

    step_seconds: Step
    system_label: Label = "system"
    retired: dict[str, date] = {}
    max_age_days: int = Field(default=2, ge=0)


class UptimeFiles(Uptime):
    kind: Literal["prometheus_json"]
    path: Path


class UptimePrometheus(Uptime, AskedPrometheus):
    """`query`: one series per system, 1 up and 0 down, with a step of `step_seconds`."""

    kind: Literal["prometheus"]
    query: str = Field(min_length=1)


# Which of the models a table of kpi.toml is.
BY_KIND = Field(discriminator="kind")


class Sources(Strict):
    hub_registry: Annotated[HubRegistryFiles | HubRegistryGit, BY_KIND] | None = None
    hub_activity: Annotated[HubActivityFiles | HubActivityPrometheus | HubActivityJupyterHub, BY_KIND] | None = None
    github: Annotated[GitHubFiles | GitHubApi, BY_KIND] | None = None
    affiliations: Affiliations | None = None
    upstream_work: UpstreamWork | None = None
    cloud_costs: Annotated[CloudCostsFiles | CloudCostsS3 | CloudCostsExplorer, BY_KIND] | None = None
    ledger: Ledger | None = None
    deals: Annotated[DealsFiles | DealsHubSpot, BY_KIND] | None = None
    rates: Rates | None = None
    surveys: TableDrop | None = None
    survey_invitations: TableDrop | None = None
    publications: TableDrop | None = None
    communities: TableDrop | None = None
    charges: TableDrop | None = None
    tickets: Annotated[TicketsFiles | TicketsFreshdesk, BY_KIND] | None = None
    access_logs: AccessLogs | None = None
    ceremonies: TableDrop | None = None
    test_results: TestResults | None = None
    code_quality: CodeQuality | None = None
    api_metrics: Annotated[ApiMetricsFiles | ApiMetricsPrometheus, BY_KIND] | None = None
    uptime: Annotated[UptimeFiles | UptimePrometheus, BY_KIND] | None = None
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


def _can_be_asked(annotation: Any) -> bool:
    if isinstance(annotation, type):
        return issubclass(annotation, Live)
    return any(_can_be_asked(inner) for inner in get_args(annotation))


# The sources that can be asked, whether kpi.toml says so or not.
MAY_BE_LIVE = tuple(name for name, field in Sources.model_fields.items() if _can_be_asked(field.annotation))
