"""Calendars that several domains share: periods, and the hours in which the organisation works."""

from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import holidays
import polars as pl

from kpi_pipeline.contracts import RECORDS, table
from kpi_pipeline.settings import BusinessHours
from kpi_pipeline.warehouse import Connection, fill, quote, run, scalar, sql, transaction

# What is older was mistyped: a year of 0202 must not give two thousand years of periods. A check says where some is.
OLDEST = date(2000, 1, 1)
# The sources whose KPIs are by period, with the day on which a record's share in them may begin.
BEGINS = {source: RECORDS[source].day for source in (
    "access_logs", "charges", "cloud_costs", "github", "publications", "survey_invitations", "surveys", "upstream_work",
    "product_activity", "transactions",
    "integrations", "collaborations", "channels", "events", "documents",
)} | {
    "deals": "least(closedate::date, contract_start_date, target_start_date)",
    "ledger": "least(date, service_start)",
    "tickets": "created_at::date",
    "ceremonies": RECORDS["ceremonies"].day,
    "projects": "due_on",
    "intern_tasks": "coalesce(due_on, given_on)",
    "partners": "established_on",
}  # fmt: skip


def beginning(con: Connection, first_day: date) -> date:
    """Where the calendar begins: with the earliest data, or on first_day if that is earlier."""
    earliest = " union all ".join(
        f"select min({day}) as day from {quote('raw.' + source)} where {day} >= $oldest"
        for source, day in BEGINS.items()
    )
    found = f"select least($first_day, min(day)) from ({earliest})"
    return scalar(con, found, {"first_day": first_day, "oldest": OLDEST})  # type: ignore[no-any-return]


def fill_calendar(
    con: Connection, first: date, as_of: date, hours: BusinessHours, zone: ZoneInfo, fiscal_year_first_month: int
) -> None:
    """Makes facts.periods and facts.business_hours, from the first day to as_of, both included."""
    with transaction(con):
        run(con, "truncate facts.periods")
        run(con, "truncate facts.business_hours")
        span: dict[str, object] = {"first": first, "as_of": as_of, "fiscal_month": fiscal_year_first_month}
        fill(con, table("facts.periods"), sql("stages", "periods"), span)
        con.register("working_days", working_hours(first, as_of, hours, zone).to_arrow())
        fill(con, table("facts.business_hours"), "select * from working_days order by date")
        con.unregister("working_days")


def working_hours(first: date, last: date, hours: BusinessHours, zone: ZoneInfo) -> pl.DataFrame:
    """Opening and closing (UTC, naive) of every working day: columns date, opens_at, closes_at.

    Holidays are those of the `holidays` library for the configured country and subdivision.
    """
    years = range(first.year, last.year + 1)
    free = holidays.country_holidays(hours.holidays, subdiv=hours.subdivision, years=years) if hours.holidays else {}
    every_day = (first + timedelta(days=n) for n in range((last - first).days + 1))
    days = [day for day in every_day if day.isoweekday() in hours.weekdays and day not in free]
    return pl.DataFrame(
        {
            "date": days,
            "opens_at": [_utc(datetime.combine(day, hours.opens, zone)) for day in days],
            "closes_at": [_utc(datetime.combine(day, hours.closes, zone)) for day in days],
        },
        schema={"date": pl.Date, "opens_at": pl.Datetime("us"), "closes_at": pl.Datetime("us")},
    )


def _utc(moment: datetime) -> datetime:
    return moment.astimezone(ZoneInfo("UTC")).replace(tzinfo=None)
