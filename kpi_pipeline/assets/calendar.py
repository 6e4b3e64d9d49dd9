"""What KPIs of several domains read, made from kpi.toml alone: the calendars, and the teams."""

from typing import Any

import dagster as dg

from kpi_pipeline.assets.common import Pipeline, key, row_count, table_spec
from kpi_pipeline.stages.calendar import BEGINS, beginning, fill_calendar
from kpi_pipeline.stages.teams import fill_teams

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


@dg.multi_asset(specs=[table_spec("staged.teams", group="calendar")], name="make_teams")
def make_teams(pipeline: Pipeline) -> dg.MaterializeResult[Any]:
    with pipeline.warehouse() as con:
        fill_teams(con, pipeline.settings().config.teams)
        return dg.MaterializeResult(asset_key=key("staged.teams"), metadata=row_count(con, "staged.teams"))


ASSETS = [make_calendar, make_teams]
