"""The Dagster code location: assembly only. Loads with no secret, no network and no file but the package's own."""

import logging
from datetime import timedelta

import dagster as dg

from kpi_pipeline import catalog as catalog_module
from kpi_pipeline import clock, settings
from kpi_pipeline.assets import (
    asset_checks,
    calendar,
    clicks,
    costs,
    delivery,
    github,
    hubs,
    kpi,
    metrics,
    money,
    opinion,
    outreach,
    product,
    published,
    quality,
    support,
)
from kpi_pipeline.assets.common import Pipeline
from kpi_pipeline.catalog import Catalog
from kpi_pipeline.settings.sources import HubActivityJupyterHub

NIGHTLY, POLL = "nightly", "poll_hubs"
PROGRESS_LOGGER = "progress"
UNDER_WAY = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
]
organisation = settings.organisation_at_hand()
zone = organisation.timezone if organisation else "UTC"
everything = dg.AssetSelection.all()
closing = dg.AssetSelection.assets(published.CLOSED_MONTHS)
nightly_job = dg.define_asset_job(
    NIGHTLY, selection=everything - closing, description="Everything, from landing to published."
)
monthly_close_job = dg.define_asset_job(
    "monthly_close",
    selection=everything,
    description="Everything, and then what is published is kept as what was reported of the last month.",
)
registry_job = dg.define_asset_job(
    "registry_refresh",
    selection=dg.AssetSelection.keys(["landing", "hub_registry"], ["raw", "hub_registry"], ["staged", "hubs"]),
    description="The registry alone: a hub that comes or goes is noticed within hours, not only every night.",
)
poll_job = dg.define_asset_job(
    POLL,
    selection=dg.AssetSelection.keys(["landing", "hub_activity"]),
    description="Who was active last on each hub, into the landing zone, and no further: the nightly job loads it.",
)


def _as_of_run() -> dg.RunRequest:
    return dg.RunRequest(run_key=None, partition_key=settings.load().as_of.isoformat())


@dg.schedule(
    cron_schedule="30 2 * * *",
    execution_timezone=zone,
    job=nightly_job,
    description="Every night at 02:30 in the organisation's zone: everything, for the last closed day.",
)
def nightly() -> dg.RunRequest:
    return _as_of_run()


@dg.schedule(
    cron_schedule="0 5 5 * *",
    execution_timezone=zone,
    job=monthly_close_job,
    description="On the 5th at 05:00 in the organisation's zone: closes the last month, whose bills are in.",
)
def monthly_close() -> dg.RunRequest:
    return _as_of_run()


registry_refresh = dg.ScheduleDefinition(
    name="registry_refresh",
    cron_schedule="15 */6 * * *",
    execution_timezone=zone,
    job=registry_job,
    description="Every six hours: the registry alone.",
)


@dg.schedule(
    # Late enough for what happened before midnight to have been reported.
    cron_schedule="15 * * * *",
    job=poll_job,
    default_status=dg.DefaultScheduleStatus.STOPPED,
    description="Every hour, if it is switched on: asks JupyterHubs who was active last. They tell the last time only, "
    "so who is active again before the night comes would be missing on the day before.",
)
def poll_hubs(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
    wanted = settings.load().config.sources.hub_activity
    if not isinstance(wanted, HubActivityJupyterHub):
        return dg.SkipReason('hub_activity isn\'t of kind = "jupyterhub" in kpi.toml: there is nothing to poll')
    # One whose process was killed seems to be under way for ever.
    since = clock.now() - 2 * timedelta(minutes=wanted.budget.minutes)
    under_way = dg.RunsFilter(job_name=POLL, statuses=UNDER_WAY, created_after=since)
    if context.instance.get_runs(under_way, limit=1):
        return dg.SkipReason("the last poll is still under way")
    return dg.RunRequest()


@dg.logger({}, "Hands events to the process in the foreground; `kpi run` draws its progress from them.")
def progress(_: dg.InitLoggerContext) -> logging.Logger:
    logger = logging.getLogger("kpi_pipeline.progress")
    logger.setLevel(logging.DEBUG)
    logger.propagate = False
    return logger


def build(catalog: Catalog) -> dg.Definitions:
    """The code location, with the KPIs of a catalogue."""
    assets = [
        *calendar.ASSETS,
        *hubs.ASSETS,
        *costs.ASSETS,
        *github.ASSETS,
        *money.ASSETS,
        *opinion.ASSETS,
        *support.ASSETS,
        *clicks.ASSETS,
        *delivery.ASSETS,
        *quality.ASSETS,
        *metrics.ASSETS,
        *product.ASSETS,
        *outreach.ASSETS,
        *kpi.assets(catalog),
        published.asset(catalog),
        published.close_last_month,
        published.write_report_and_exports,
    ]
    return dg.Definitions(
        assets=assets,
        asset_checks=asset_checks.definitions(catalog, assets),
        jobs=[nightly_job, monthly_close_job, registry_job, poll_job],
        schedules=[nightly, monthly_close, registry_refresh, poll_hubs],
        resources={"pipeline": Pipeline()},
        loggers={"console": dg.colored_console_logger, PROGRESS_LOGGER: progress},
        # Parallelism is DuckDB's own: a process per step would cost four times the whole run.
        executor=dg.in_process_executor,
    )


defs = build(catalog_module.load())
