"""Which connector a live source of kpi.toml is fetched by. Nothing of any vendor is here."""

from kpi_pipeline.settings.base import Live
from kpi_pipeline.settings.sources import (
    ApiMetricsPrometheus,
    CloudCostsExplorer,
    CloudCostsS3,
    DealsHubSpot,
    GitHubApi,
    HubActivityJupyterHub,
    HubActivityPrometheus,
    HubRegistryGit,
    TicketsFreshdesk,
    UptimePrometheus,
)
from kpi_pipeline.sources import (
    cost_explorer,
    focus_s3,
    freshdesk,
    git_registry,
    github,
    hubspot,
    jupyterhub,
    prometheus,
)
from kpi_pipeline.sources.walk import Connector, Tools


def connector(source: str, configured: Live, tools: Tools) -> Connector:
    """The connector of a source, ready to be asked.

    Raises:
        ConfigError: an environment variable that kpi.toml names holds nothing.
    """
    match configured:
        case HubActivityJupyterHub():
            return jupyterhub.Users(source, configured, tools)
        case HubActivityPrometheus():
            return prometheus.Activity(source, configured, tools)
        case ApiMetricsPrometheus() | UptimePrometheus():
            return prometheus.Metrics(source, configured, tools)
        case HubRegistryGit():
            return git_registry.Registry(source, configured, tools)
        case TicketsFreshdesk():
            return freshdesk.Tickets(source, configured, tools)
        case DealsHubSpot():
            return hubspot.Deals(source, configured, tools)
        case CloudCostsExplorer():
            return cost_explorer.CostExplorer(source, configured, tools)
        case CloudCostsS3():
            return focus_s3.FocusS3(source, configured, tools)
        case GitHubApi():
            return github.GitHub(source, configured, tools)
    raise NotImplementedError(type(configured).__name__)
