"""Ledger, deals and rates that are wrong: quarantined with file, row and reason, and every other line arrives."""

import json
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from kpi_pipeline import settings
from kpi_pipeline.contracts import RECORDS
from kpi_pipeline.landing import Landing
from kpi_pipeline.sources.files import list_files
from kpi_pipeline.stages import raw
from kpi_pipeline.stages.checks import evaluate
from kpi_pipeline.stages.checks.money import CHECKS
from kpi_pipeline.stages.money import recognise, stage_money
from kpi_pipeline.warehouse import Warehouse

from .organisation import FETCHED, empty_warehouse

AS_OF = date(2025, 6, 30)
KPI_TOML = """
[organisation]
name = "Reef"
[categories.revenue]
grants = ["4100 *"]
[sources.ledger]
kind = "table"
path = "ledger"
[sources.deals]
kind = "hubspot_csv"
path = "deals"
[sources.rates]
kind = "table"
path = "rates"
"""
HEADER = "date,kind,category,amount,currency,description,service_start,service_end,contract_id"
GOOD = (
    "2025-01-05,revenue,4100 Federal,120.00,USD,zz-text,2025-01-01,2025-12-31,c1",
    "2025-02-01,cost,rent,-5,EUR,,,,",
)
RATES = "date,currency,rate\n2025-01-01,EUR,1.10\n"
DEAL_HEADER = (
    "Record ID,Deal Name,Amount,Currency,Close Date,Deal Stage,Deal owner,Contract Start Date,Contract End Date"
)
GOOD_DEAL = "1,zz-deal,12000.0,USD,2025-01-15 10:22,Closed Won (Sales Pipeline),zz-owner,2025-02-01,2025-03-31"


class Books:
    def __init__(self, root: Path) -> None:
        self.root = root
        (root / "kpi.toml").write_text(KPI_TOML)
        path = root / "data" / "warehouse" / "warehouse.duckdb"
        path.parent.mkdir(parents=True)
        path.write_bytes(empty_warehouse())
        self.drop("ledger", "books.csv", "\n".join((HEADER, *GOOD)))
        self.drop("deals", "deals.csv", "\n".join((DEAL_HEADER, GOOD_DEAL)))
        self.drop("rates", "rates.csv", RATES)

    def drop(self, source: str, name: str, content: str | bytes) -> Path:
        path = self.root / source / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    def run(self) -> None:
        found = settings.load(self.root / "kpi.toml", self.root / "data", AS_OF)
        landing = Landing(found.landing_dir)
        with Warehouse(found.warehouse_path, found.landing_dir / ".spill").open() as con:
            for source in ("ledger", "deals", "rates"):
                wanted = getattr(found.config.sources, source)
                landing.land(source, wanted.kind, list_files(source, found.source_path(wanted.path)), FETCHED)
                raw.load(con, landing, RECORDS[source], None, True)
            stage_money(con, "USD", found.config.categories, found.config.sources.deals, AS_OF)
            recognise(con, AS_OF)
            wrong = [c.name for c in CHECKS if c.severity == "ERROR" and not evaluate(con, c, {"as_of": AS_OF}).passed]
        assert wrong == []

    def query(self, statement: str) -> list[tuple[Any, ...]]:
        found = settings.load(self.root / "kpi.toml", self.root / "data", AS_OF)
        with Warehouse(found.warehouse_path, found.landing_dir / ".spill").open() as con:
            return con.execute(statement).fetchall()

    def quarantine(self) -> list[tuple[Any, ...]]:
        return self.query("select source, file, row, reason, stage from raw.quarantine order by all")


@pytest.fixture
def books(tmp_path: Path) -> Books:
    return Books(tmp_path)


BAD_LINES = {
    "currency in words": ("2025-03-01,cost,rent,10,Euro,,,,", "invalid:currency", "raw"),
    "currency in small letters": ("2025-03-01,cost,rent,10,usd,,,,", "invalid:currency", "raw"),
    "no currency": ("2025-03-01,cost,rent,10,,,,,", "missing:currency", "raw"),
    "currency without rates": ("2025-03-01,cost,rent,10,XXQ,,,,", "no_rate:XXQ", "staged"),
    "before the first rate": ("2024-12-31,cost,rent,10,EUR,,,,", "no_rate:EUR", "staged"),
    "end before start": ("2025-03-01,cost,rent,10,USD,,2025-03-02,2025-03-01,", "ends_before_it_begins", "raw"),
    "start without end": ("2025-03-01,cost,rent,10,USD,,2025-03-02,,", "incomplete_service_period", "raw"),
    "centuries": ("2025-03-01,cost,rent,10,USD,,2025-03-02,9999-12-31,", "service_too_long", "raw"),
    "thousands": ('2025-03-01,cost,rent,"1,000.00",USD,,,,', "invalid:amount", "raw"),
    "decimal comma": ('2025-03-01,cost,rent,"1,5",USD,,,,', "invalid:amount", "raw"),
    "words": ("2025-03-01,cost,rent,abc,USD,,,,", "invalid:amount", "raw"),
    "exponent": ("2025-03-01,cost,rent,1e3,USD,,,,", "invalid:amount", "raw"),
    "not a number": ("2025-03-01,cost,rent,NaN,USD,,,,", "invalid:amount", "raw"),
    "hidden digits": ("2025-03-01,cost,rent,1.0000000001,USD,,,,", "invalid:amount", "raw"),
    "fraction of a cent": ("2025-03-01,cost,rent,10.005,USD,,,,", "fraction_of_a_cent:amount", "raw"),
    "more than there is": ("2025-03-01,cost,rent,1000000000000.01,USD,,,,", "out_of_range:amount", "raw"),
    "more than fits": ("2025-03-01,cost,rent," + "9" * 40 + ",USD,,,,", "invalid:amount", "raw"),
    "no amount": ("2025-03-01,cost,rent,,USD,,,,", "missing:amount", "raw"),
    "another kind": ("2025-03-01,income,rent,10,USD,,,,", "invalid:kind", "raw"),
    "in the future": ("2025-07-11,cost,rent,10,USD,,,,", "future:date", "raw"),
}


@pytest.mark.parametrize("what", BAD_LINES)
def test_a_bad_line_of_the_ledger(books: Books, what: str) -> None:
    line, reason, stage = BAD_LINES[what]
    books.drop("ledger", "books.csv", "\n".join((HEADER, GOOD[0], line, GOOD[1])))
    books.run()
    assert books.quarantine() == [("ledger", "books.csv", 2, reason, stage)]
    found = books.query("select _row, category, reported_amount from staged.ledger order by 1")
    assert found == [(1, "grants", Decimal(120)), (3, "uncategorised", Decimal("-5.50"))]


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"category": 4100}, "wrong_type:category"),
        ({"currency": 840}, "wrong_type:currency"),
        ({"amount": 10.5}, "wrong_type:amount"),
        ({"amount": [10]}, "wrong_type:amount"),
        ({"total": "10"}, "unknown_key"),
    ],
)
def test_a_json_value_of_another_type(books: Books, changed: dict[str, object], reason: str) -> None:
    line = {"date": "2025-03-01", "kind": "cost", "category": "rent", "amount": "10.50", "currency": "USD"}
    books.drop("ledger", "more.ndjson", "\n".join(json.dumps(one) for one in (line, {**line, **changed})))
    books.run()
    assert books.quarantine() == [("ledger", "more.ndjson", 2, reason, "raw")]
    assert books.query("select amount from staged.ledger where _file = 'more.ndjson'") == [(Decimal("10.50"),)]


def test_amounts_of_a_parquet_file_are_taken_as_they_are_written(books: Books) -> None:
    """Floats too: 0.1 is 0.1, and not what a float makes of it."""
    frame = pl.DataFrame(
        {
            "date": [date(2025, 3, 1)] * 3,
            "kind": ["cost"] * 3,
            "category": ["rent"] * 3,
            "amount": [0.1, 1234567.89, 1e20],
            "currency": ["USD"] * 3,
            "description": ["", None, "text"],
        }
    )
    frame.write_parquet(books.root / "ledger" / "more.parquet")
    books.run()
    assert books.query("select amount from raw.ledger where _file = 'more.parquet' order by 1") == [
        (Decimal("0.1"),),
        (Decimal("1234567.89"),),
    ]
    assert books.quarantine() == [("ledger", "more.parquet", 3, "invalid:amount", "raw")]


BAD_DEALS = {
    "no amount": ("2,x,,USD,2025-01-15,closedwon,o,,", "missing:amount", "raw"),
    "amount in words": ("2,x,plenty,USD,2025-01-15,closedwon,o,,", "invalid:amount", "raw"),
    "no currency": ("2,x,10,,2025-01-15,closedwon,o,,", "no_currency", "staged"),
    "wrong currency": ("2,x,10,dollars,2025-01-15,closedwon,o,,", "invalid:deal_currency_code", "raw"),
    "no rate": ("2,x,10,GBP,2025-01-15,closedwon,o,,", "no_rate:GBP", "staged"),
    "end before start": ("2,x,10,USD,2025-01-15,closedwon,o,2025-02-01,2025-01-01", "ends_before_it_begins", "raw"),
    "no end": ("2,x,10,USD,2025-01-15,closedwon,o,2025-02-01,", "incomplete_service_period", "raw"),
    "no id": (",x,10,USD,2025-01-15,closedwon,o,,", "missing:hs_object_id", "raw"),
    "no close date": ("2,x,10,USD,,closedwon,o,,", "missing:closedate", "raw"),
}


@pytest.mark.parametrize("what", BAD_DEALS)
def test_a_bad_deal(books: Books, what: str) -> None:
    line, reason, stage = BAD_DEALS[what]
    books.drop("deals", "deals.csv", "\n".join((DEAL_HEADER, line, GOOD_DEAL)))
    books.run()
    assert books.quarantine() == [("deals", "deals.csv", 1, reason, stage)]
    assert books.query("select month, amount from facts.recognised where source = 'deals' order by 1") == [
        (date(2025, 2, 1), Decimal("5694.92")),  # 12000 x 28 / 59
        (date(2025, 3, 1), Decimal("6305.08")),
    ]


def test_deals_of_one_id_that_contradict_each_other_are_all_wrong(books: Books) -> None:
    twice = ("2,x,10,USD,2025-01-15,closedwon,o,,", "2,x,11,USD,2025-01-15,closedwon,o,,", GOOD_DEAL, GOOD_DEAL)
    books.drop("deals", "deals.csv", "\n".join((DEAL_HEADER, *twice)))
    books.run()
    assert books.quarantine() == [("deals", "deals.csv", row, "conflicting_duplicate", "staged") for row in (1, 2)]
    assert books.query("select deal_id from staged.deals") == [("1",)]


def test_rates_of_one_day_that_contradict_each_other_are_no_rate(books: Books) -> None:
    """An older rate doesn't slip in for them; a repetition does no harm."""
    lines = (
        "2025-01-01,EUR,1.10",
        "2025-02-01,EUR,1.20",
        "2025-02-01,EUR,1.30",
        "2025-01-01,EUR,1.1",
        "2025-01-01,GBP,0",
    )
    books.drop("rates", "rates.csv", "\n".join(("date,currency,rate", *lines)))
    books.run()
    assert books.quarantine() == [
        ("ledger", "books.csv", 2, "no_rate:EUR", "staged"),
        ("rates", "rates.csv", 2, "conflicting_duplicate", "staged"),
        ("rates", "rates.csv", 3, "conflicting_duplicate", "staged"),
        ("rates", "rates.csv", 5, "out_of_range:rate", "raw"),
    ]


def test_a_line_finds_its_rate_later(books: Books) -> None:
    books.drop("ledger", "books.csv", "\n".join((HEADER, *GOOD, "2025-03-01,cost,rent,10,GBP,,,,")))
    books.run()
    assert [reason for *_, reason, _ in books.quarantine()] == ["no_rate:GBP"]
    books.drop("rates", "more.csv", "date,currency,rate\n2025-03-01,GBP,1.25\n2025-03-02,GBP,9\n")
    books.run()
    assert books.quarantine() == []
    assert books.query("select reported_amount from staged.ledger where currency = 'GBP'") == [(Decimal("12.5"),)]


def test_the_ledger_counts_in_place_of_a_deal_that_it_names(books: Books) -> None:
    """By contract_id; a cost line that names it doesn't count for that."""
    line = "2025-01-20,{},grants,3000,USD,,2025-02-01,2025-02-28,1"
    for kind, sources in (("cost", ["deals", "ledger"]), ("revenue", ["ledger"])):
        books.drop("ledger", "books.csv", "\n".join((HEADER, GOOD[0], line.format(kind))))
        books.run()
        found = books.query("select distinct source from facts.recognised where kind = 'revenue' order by 1")
        assert [source for (source,) in found] == sources
        assert books.query("select basis, count(*) from facts.bookings where source = 'deals' group by 1") == [
            ("booked", 1)
        ]


@pytest.mark.parametrize(
    ("stage", "state"),
    [
        ("closedwon", "won"),
        ("CLOSEDWON", "won"),
        ("Closed Won (Sales)", "won"),
        ("closedlost", "lost"),
        ("Closed lost", "lost"),
        ("contractsent", "open"),
    ],
)
def test_the_state_of_a_deal(books: Books, stage: str, state: str) -> None:
    books.drop("deals", "deals.csv", "\n".join((DEAL_HEADER, f"3,x,100,USD,2025-01-15,{stage},o,,")))
    books.run()
    assert books.query("select state from staged.deals") == [(state,)]
    recognised = books.query("select count(*) from facts.recognised where source = 'deals'")[0][0]
    pipeline = books.query("select count(*) from facts.pipeline")[0][0]
    assert (recognised, pipeline) == (int(state == "won"), int(state == "open"))


def test_an_open_deal_without_a_probability_has_no_weight(books: Books) -> None:
    header = "hs_object_id,dealname,amount,deal_currency_code,closedate,dealstage,hs_forecast_probability"
    lines = ("5,x,100.01,USD,2025-09-01,open,0.25", "6,x,100,USD,2025-09-01,open,", "7,x,100,USD,2025-09-01,open,40")
    books.drop("deals", "deals.csv", "\n".join((header, *lines)))
    books.run()
    assert books.query("select deal_id, weighted_amount from facts.pipeline order by 1") == [
        ("5", Decimal("25.00")),
        ("6", None),
    ]
    assert books.quarantine() == [("deals", "deals.csv", 3, "out_of_range:hs_forecast_probability", "raw")]


def test_free_text_stays_in_raw(books: Books) -> None:
    """And who owns a deal isn't even read."""
    books.run()
    tables = books.query("select schema_name || '.' || table_name from duckdb_tables() where estimated_size > 0")
    for (name,) in tables:
        text = str(books.query(f"select * from {name}"))
        assert "zz-owner" not in text
        assert name.startswith("raw.") or "zz-" not in text, name
