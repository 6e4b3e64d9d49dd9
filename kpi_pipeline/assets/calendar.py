"""The calendars that KPIs of several domains read."""

from typing import Any

import dagster as dg

from kpi_pipeline.assets.common import Pipeline, key, row_count, table_spec
from kpi_pipeline.stages.calendar import BEGINS, beginning, fill_calendar

TABLES = ("facts.periods", "facts.business_hours")
RAW = tuple(f"raw.{source}" for source in sorted(BEGINS))


@dg.multi_asset(specs=[table_spec(name, group="calendar", deps=RAW) for name in TABLES], name="make_calendar")
def make_calendar(pipeline: Pipeline) -> tuple[dg.MaterializeResult[Any], ...]:
    configured = pipeline.settings()
    organisation = configured.config.organisation
    with pipeline.warehouse() as con:
        fill_calendar(
            con,
            beginning(con, organisation.first_day),
            configured.as_of,
            configured.config.business_hours,
            configured.timezone,
            organisation.fiscal_year_first_month,
        )
        return tuple(dg.MaterializeResult(asset_key=key(name), metadata=row_count(con, name)) for name in TABLES)


ASSETS = [make_calendar]
