"""Money from raw to facts: ledger, deals and rates; recognition per service day. Rebuilt whole: books are small.

What belongs here: the order of steps. What never does: arithmetic, which is in SQL, on decimals and whole cents only.
"""

from collections.abc import Mapping, Sequence
from datetime import date

from kpi_pipeline.contracts import money, table
from kpi_pipeline.settings import Categories
from kpi_pipeline.settings.sources import Deals
from kpi_pipeline.warehouse import Connection, fill, quote, run, sql, transaction

STAGED = ("staged.rates", "staged.ledger", "staged.deals")
# What of the lines at hand is staged.
GOOD = {
    "rates": "select currency, date, max(rate) filter (where reason is null) as rate from temp.lines group by all",
    "ledger": "select * exclude (reason) from temp.lines where reason is null",
    "deals": "select * exclude (reason, copy) from temp.lines where reason is null and copy = 1",
}
LINES = {"rates": "rate_lines", "ledger": "ledger_lines", "deals": "deal_lines"}
FACTS = ("facts.recognised", "facts.recognised_periods", "facts.bookings", "facts.pipeline")


def stage_money(
    con: Connection, reporting_currency: str, categories: Categories, deals: Deals | None, as_of: date
) -> None:
    """Makes the staged tables from raw; lines without a rate, and those that contradict others, go to quarantine."""
    rules = deals or Deals()
    told: dict[str, object] = {
        "reporting_currency": reporting_currency,
        "uncategorised": money.UNCATEGORISED,
        "deal_currency": rules.currency,
        "won": list(rules.won),
        "lost": list(rules.lost),
        "as_of": as_of,
    }
    with transaction(con):
        for name in STAGED:
            run(con, f"truncate {quote(name)}")
        for record in money.RECORDS:
            run(con, "delete from raw.quarantine where source = $s and stage = 'staged'", {"s": record.source})
        _put_categories(con, categories)
        for source, good in GOOD.items():
            _stage(con, source, good, told)
    for name in ("lines", "category_of", "category_rules"):
        run(con, f"drop table temp.{name}")


def recognise(con: Connection, as_of: date) -> None:
    """Makes the facts from the staged tables and facts.periods."""
    categories = {f"{kind}_categories": [*names, money.UNCATEGORISED] for kind, names in money.CATEGORIES.items()}
    with transaction(con):
        for name in FACTS:
            run(con, f"truncate {quote(name)}")
            fill(con, table(name), sql("stages", name.split(".")[1]), {"as_of": as_of, **categories})


def _stage(con: Connection, source: str, good: str, told: Mapping[str, object]) -> None:
    run(con, f"create or replace temp table lines as {sql('stages', LINES[source])}", told)
    fill(con, table(f"staged.{source}"), good)
    day = "close_date" if source == "deals" else "date"
    run(
        con,
        "insert into raw.quarantine by name select $source as source, _file as file, _row as row, reason, "
        f"'staged' as stage, {day} as date from temp.lines where reason is not null",
        {"source": source},
    )


def _put_categories(con: Connection, categories: Categories) -> None:
    """A category's own name belongs to it without a rule."""
    run(
        con,
        "create or replace temp table category_rules "
        "(kind varchar, position integer, category varchar, pattern varchar)",
    )
    rules: dict[str, Mapping[str, Sequence[str]]] = {
        "revenue": {str(name): globs for name, globs in categories.revenue.items()},
        "cost": {str(name): globs for name, globs in categories.costs.items()},
    }
    rows = [
        (kind, category, pattern.lower())
        for kind, globs in rules.items()
        for own_name in (True, False)
        for category in money.CATEGORIES[kind]
        for pattern in ((category,) if own_name else globs.get(category, ()))
    ]
    con.executemany(
        "insert into temp.category_rules values (?, ?, ?, ?)",
        [(kind, position, category, pattern) for position, (kind, category, pattern) in enumerate(rows)],
    )
    run(con, f"create or replace temp table category_of as {sql('stages', 'category_of')}")
