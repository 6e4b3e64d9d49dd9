"""Which connector a live source of kpi.toml is fetched by. Nothing of any vendor is here.

Each is imported when it is asked for: most runs need few of them, and vendors' packages are slow to import.
"""

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
from kpi_pipeline.sources.walk import Connector, Tools


def connector(source: str, configured: Live, tools: Tools) -> Connector:
    """The connector of a source, ready to be asked.

    Raises:
        ConfigError: an environment variable that kpi.toml names holds nothing.
        TypeError: a kind of live source was added without its connector.
    """
    match configured:
        case HubActivityJupyterHub():
            from kpi_pipeline.sources import jupyterhub

            return jupyterhub.Users(source, configured, tools)
        case HubActivityPrometheus():
            from kpi_pipeline.sources import prometheus

            return prometheus.Activity(source, configured, tools)
        case ApiMetricsPrometheus() | UptimePrometheus():
            from kpi_pipeline.sources import prometheus

            return prometheus.Metrics(source, configured, tools)
        case HubRegistryGit():
            from kpi_pipeline.sources import git_registry

            return git_registry.Registry(source, configured, tools)
        case TicketsFreshdesk():
            from kpi_pipeline.sources import freshdesk

            return freshdesk.Tickets(source, configured, tools)
        case DealsHubSpot():
            from kpi_pipeline.sources import hubspot

            return hubspot.Deals(source, configured, tools)
        case CloudCostsExplorer():
            from kpi_pipeline.sources import cost_explorer

            return cost_explorer.CostExplorer(source, configured, tools)
        case CloudCostsS3():
            from kpi_pipeline.sources import focus_s3

            return focus_s3.FocusS3(source, configured, tools)
        case GitHubApi():
            from kpi_pipeline.sources import github

            return github.GitHub(source, configured, tools)
    raise TypeError(
        f"{source}: no connector is known for {type(configured).__name__}; a kind of live source needs a case here"
    )
