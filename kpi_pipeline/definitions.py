"""The Dagster code location: assembly only. Loads with no secret, no network and no file but the package's own."""

import logging

import dagster as dg

from kpi_pipeline import catalog as catalog_module
from kpi_pipeline import settings
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

NIGHTLY = "nightly"
PROGRESS_LOGGER = "progress"
organisation = settings.organisation_at_hand()
nightly_job = dg.define_asset_job(
    NIGHTLY, selection=dg.AssetSelection.all(), description="Everything, from landing to published."
)


@dg.schedule(
    cron_schedule="30 2 * * *",
    execution_timezone=organisation.timezone if organisation else "UTC",
    job=nightly_job,
    description="Every night at 02:30 in the organisation's zone: everything, for the last closed day.",
)
def nightly() -> dg.RunRequest:
    as_of = settings.load().as_of.isoformat()
    return dg.RunRequest(run_key=None, partition_key=as_of)


@dg.logger({}, "Hands events to the process in the foreground; `kpi run` draws its progress from them.")
def progress(_: dg.InitLoggerContext) -> logging.Logger:
    logger = logging.getLogger("kpi_pipeline.progress")
    logger.setLevel(logging.DEBUG)
    logger.propagate = False
    return logger


def build(catalog: Catalog) -> dg.Definitions:
    """The code location, with the KPIs of a catalogue."""
    return dg.Definitions(
        assets=[
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
        ],
        asset_checks=asset_checks.definitions(catalog),
        jobs=[nightly_job],
        schedules=[nightly],
        resources={"pipeline": Pipeline()},
        loggers={"console": dg.colored_console_logger, PROGRESS_LOGGER: progress},
        # Parallelism is DuckDB's own: a process per step would cost four times the whole run.
        executor=dg.in_process_executor,
    )


defs = build(catalog_module.load())
