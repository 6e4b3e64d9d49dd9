"""What `kpi run` says at its end, read from the published database. No number is worked out here."""

from decimal import Decimal

import duckdb
from rich.console import Console
from rich.table import Table

from kpi_pipeline.settings import Settings
from kpi_pipeline.stages.publish import DATABASE

HEADLINES = """
with latest as (
    select v.*, lag(value) over (partition by kpi_id order by period_end) as before_value,
        row_number() over (partition by kpi_id order by period_end desc) as age
    from kpi_values v where grain = 'organisation'
), month_ago as (
    select kpi_id, period_end, value from kpi_values where grain = 'organisation'
)
select d.title, l.value, d.unit, m.value as month_ago, l.period_end, l.status
from kpi_definitions d
join latest l on l.kpi_id = d.kpi_id and l.age = 1
left join month_ago m on m.kpi_id = d.kpi_id and m.period_end = l.period_end - 30
where d.headline order by d.kpi_id
"""


def show(configured: Settings, console: Console, materialized: int, *, published: bool) -> None:
    """The headline KPIs, what was excluded and quarantined, and where the outputs are."""
    path = configured.published_dir / DATABASE
    if not published:
        console.print(f"{materialized} materializations. Nothing was published: the selection leaves it out.")
        return
    with duckdb.connect(str(path), read_only=True) as con:
        headlines = con.execute(HEADLINES).fetchall()
        exclusions = con.execute("select rule_id, reason, state, user_days from exclusions").fetchall()
        health = con.execute(
            "select source, freshness, newest_data, files, rows, quarantined from data_health"
        ).fetchall()
    console.print(_headlines(configured, headlines))
    if exclusions:
        console.print(_exclusions(exclusions))
    console.print(_health(health))
    console.print(f"{materialized} materializations. Published: {path} and *.parquet beside it.", soft_wrap=True)
    report = configured.published_dir / "site" / "internal" / "index.html"
    if report.exists():
        console.print(f"Report: {report}", soft_wrap=True)
    console.print(f"Dagster: kpi ui --config {configured.config_path} --data-dir {configured.data_dir}", soft_wrap=True)


def number(value: Decimal | None) -> str:
    """A number for reading."""
    return "–" if value is None else f"{value.normalize():,f}"


def _headlines(configured: Settings, rows: list[tuple]) -> Table:  # type: ignore[type-arg]
    table = Table(title=f"{configured.config.organisation.name}, as of {configured.as_of}", title_justify="left")
    table.add_column("KPI", min_width=26)
    table.add_column("value", justify="right")
    table.add_column("unit")
    table.add_column("30 days before", justify="right")
    table.add_column("status")
    for title, value, unit, before, _, status in rows:
        table.add_row(title, number(value), unit, number(before), status)
    return table


def _exclusions(rows: list[tuple]) -> Table:  # type: ignore[type-arg]
    table = Table(title="Excluded", title_justify="left")
    table.add_column("rule")
    table.add_column("user-days", justify="right")
    table.add_column("state")
    table.add_column("reason")
    for rule, reason, state, user_days in rows:
        table.add_row(rule, f"{user_days:,}", state, reason)
    return table


def _health(rows: list[tuple]) -> Table:  # type: ignore[type-arg]
    table = Table(title="Sources", title_justify="left")
    for name in ("source", "freshness", "newest data"):
        table.add_column(name)
    for name in ("files", "records", "quarantined"):
        table.add_column(name, justify="right")
    for source, freshness, newest, files, records, quarantined in rows:
        table.add_row(source, freshness, str(newest or "–"), f"{files:,}", f"{records:,}", f"{quarantined:,}")
    return table
