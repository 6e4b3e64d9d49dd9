"""Cloud bills that are wrong, late, delivered again or cut in parts: what counts, and what is quarantined why."""

import io
import os
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pytest

from kpi_pipeline.contracts.costs import CLOUD_COSTS
from kpi_pipeline.landing import Landing
from kpi_pipeline.settings.sources import CloudCosts
from kpi_pipeline.sources.files import list_files
from kpi_pipeline.stages import costs
from kpi_pipeline.stages.checks import CHECKS, evaluate
from kpi_pipeline.warehouse import create_tables
from kpi_pipeline_tests.bad_input.organisation import FETCHED, empty_warehouse

SHARED = Path(__file__).resolve().parents[2].parent / "shared" / "real"
REAL = Path(os.environ.get("KPI_REAL_DATA", SHARED)) / "focus_sample.csv"
COLUMNS = [column.name for column in CLOUD_COSTS.columns]
GOOD = {
    **dict.fromkeys(COLUMNS, "NULL"),
    "BilledCost": "10",
    "BillingAccountId": "billing",
    "BillingCurrency": "USD",
    "BillingPeriodStart": "2026-01-01 00:00:00",
    "BillingPeriodEnd": "2026-02-01 00:00:00",
    "ChargeCategory": "Usage",
    "ChargePeriodStart": "2026-01-05T00:00:00Z",
    "ChargePeriodEnd": "2026-01-06T00:00:00Z",
    "SubAccountId": "reef-account",
}
TOML = CloudCosts(
    hub_tag="2i2c:hub-name",
    accounts={"reef-account": "reef", "coral-account": "reef/coral", "gone-account": "atlantis"},
)


class Bill:
    """A drop of billing files, landed and staged as a run would."""

    def __init__(self, root: Path) -> None:
        self.drop = root / "cloud_costs"
        self.drop.mkdir()
        self.landing = Landing(root / "landing")
        path = root / "warehouse.duckdb"
        path.write_bytes(empty_warehouse())
        self.con = duckdb.connect(str(path))
        self.con.execute("set timezone = 'UTC'")
        create_tables(self.con, [])
        for hub in ("coral", "kelp"):
            self.con.execute(
                "insert into staged.hubs values (?, '2025-01-01', '9999-12-31', 'reef', ?, null, ?, null, "
                "'production', 'hub', 'other', ['x'], 'reef', 'f', 1)",
                [f"reef/{hub}", hub, hub],
            )
        self.nights = 0

    def write(self, name: str, *lines: dict[str, str], columns: list[str] = COLUMNS) -> None:
        rows = [",".join(columns), *(",".join(_quoted({**GOOD, **line}[c]) for c in columns) for line in lines)]
        (self.drop / name).parent.mkdir(parents=True, exist_ok=True)
        (self.drop / name).write_text("\n".join(rows) + "\n")

    def night(self, configured: CloudCosts = TOML, as_of: date = date(2026, 3, 31)) -> None:
        self.nights += 1
        files = list_files("cloud_costs", self.drop)
        self.landing.land("cloud_costs", "focus", files, FETCHED + timedelta(days=self.nights))
        costs.load(self.con, self.landing, configured)
        costs.stage_cloud_costs(self.con, self.landing, configured, "USD", as_of)
        costs.count_monthly_users(self.con, as_of)
        costs.allocate(self.con, configured.shared_by)
        wrong = [c.name for c in CHECKS if "cost" in c.table and not evaluate(self.con, c, {}).passed]
        assert set(wrong) <= {"redelivery_covers_what_it_replaces"}

    def rates(self, *euro: tuple[str, str | None]) -> None:
        """What the euro is worth from each day on; None: the files contradict each other."""
        self.con.execute("truncate staged.rates")
        self.con.executemany("insert into staged.rates values ('EUR', ?, ?)", euro)

    def query(self, statement: str) -> list[tuple[Any, ...]]:
        return self.con.execute(statement).fetchall()

    def quarantine(self) -> list[tuple[Any, ...]]:
        return self.query("select file, row, reason from raw.quarantine order by all")

    def counted(self) -> Decimal:
        total: Decimal = self.query("select coalesce(sum(amount), 0) from staged.cloud_costs")[0][0]
        return total.normalize()

    def whose(self) -> list[tuple[Any, ...]]:
        return self.query("select basis, hub_id, detail from staged.cloud_costs order by all")


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


@pytest.fixture
def bill(tmp_path: Path) -> Iterator[Bill]:
    made = Bill(tmp_path)
    yield made
    made.con.close()


BROKEN = {
    "invalid:BilledCost": [{"BilledCost": text} for text in ("1,5", "abc", "1.5 USD", "0x1F", "1e-25", "nan", "1_000")],
    "missing:BilledCost": [{"BilledCost": "NULL"}, {"BilledCost": ""}],
    "invalid:EffectiveCost": [{"EffectiveCost": "1,5"}],
    "missing:BillingAccountId": [{"BillingAccountId": "NULL"}],
    "missing:BillingCurrency": [{"BillingCurrency": "  "}],
    "invalid:ChargeCategory": [{"ChargeCategory": "Usages"}],
    "invalid:ChargeClass": [{"ChargeClass": "Wrong"}],
    "invalid:ChargePeriodStart": [{"ChargePeriodStart": "yesterday"}, {"ChargePeriodStart": "2026-02-30 00:00:00"}],
    "ends_before_it_begins": [{"ChargePeriodEnd": "2026-01-04 00:00:00"}, {"BillingPeriodEnd": "2025-01-01"}],
    "invalid:Tags": [{"Tags": "{"}, {"Tags": "coral"}, {"Tags": "[1]"}],
    "no_rate:EUR": [{"BillingCurrency": "EUR"}],
}


@pytest.mark.parametrize(("reason", "line"), [(r, line) for r, lines in BROKEN.items() for line in lines])
def test_a_broken_line_is_quarantined_and_the_others_count(bill: Bill, reason: str, line: dict[str, str]) -> None:
    bill.write("2026-01.csv", {}, line, {"BilledCost": "0.00000000001"})
    bill.night()
    assert bill.quarantine() == [("2026-01.csv", 2, reason)]
    assert bill.counted() == Decimal("10.00000000001")


@pytest.mark.parametrize("column", [c.name for c in CLOUD_COSTS.columns if not c.optional])
def test_a_file_without_a_mandatory_column_is_quarantined_whole(bill: Bill, column: str) -> None:
    bill.write("2026-01.csv", {}, columns=[c for c in COLUMNS if c != column])
    bill.write("2026-02.csv", {"BillingPeriodStart": "2026-02-01"})
    bill.night()
    assert bill.quarantine() == [("2026-01.csv", None, "wrong_columns")]
    assert bill.counted() == 10


def test_columns_that_nobody_knows_are_ignored(bill: Bill) -> None:
    GOOD["Id"], GOOD["x_Team"] = "1", "a"
    bill.write("2026-01.csv", {}, columns=["Id", *COLUMNS, "x_Team"])
    del GOOD["Id"], GOOD["x_Team"]
    bill.night()
    assert (bill.quarantine(), bill.counted()) == ([], 10)


def test_optional_columns_may_be_missing(bill: Bill) -> None:
    bill.write("2026-01.csv", {}, columns=[c for c in COLUMNS if c not in ("Tags", "SubAccountId")])
    bill.night()
    assert bill.whose() == [("shared", None, "all hubs")]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0.00000080000", "0.0000008"),
        ("8e-7", "0.0000008"),
        ("-1.5E+2", "-150"),
        ("1.1102230246251565e-8", "0.000000011102230246251565"),
        ("0.1234567890123456789012340000", "0.123456789012345678901234"),
        (" 12 ", "12"),
    ],
)
def test_costs_are_exact(bill: Bill, text: str, value: str) -> None:
    bill.write("2026-01.csv", {"BilledCost": text})
    bill.night()
    assert (bill.quarantine(), bill.counted()) == ([], Decimal(value).normalize())


def test_credits_and_corrections_keep_their_sign(bill: Bill) -> None:
    credit = {"ChargeCategory": "Credit", "BilledCost": "-12.5"}
    correction = {"ChargeClass": "Correction", "BilledCost": "-0.25", "BillingPeriodStart": "2026-02-01"}
    correction["BillingPeriodEnd"] = "2026-03-01"
    bill.write("2026-01.csv", {}, credit)
    bill.write("2026-02.csv", correction)
    bill.night()
    assert bill.counted() == Decimal("-2.75")
    # A correction counts in the month that it corrects, whichever bill it is on.
    months = bill.query("select month, sum(amount) from facts.cloud_costs group by month")
    assert months == [(date(2026, 1, 1), Decimal("-2.75"))]


@pytest.mark.parametrize(
    ("line", "whose"),
    [
        ({"Tags": '{"2i2c:hub-name": "reef/kelp"}'}, ("tag", "reef/kelp", None)),
        ({"Tags": '{"2i2c:hub-name": "kelp", "owner": "zz-alice"}'}, ("tag", "reef/kelp", None)),
        ({"Tags": '{"2i2c:hub-name": "Kelp"}'}, ("tag", "reef/kelp", None)),
        ({"Tags": '{"2i2c:hub-name": "kelpp"}'}, ("unallocated", None, "its tag names no known hub")),
        ({"Tags": '{"2i2c:hub-name": ""}'}, ("shared", None, "cluster reef")),
        ({"Tags": '{"hub": "kelp"}'}, ("shared", None, "cluster reef")),
        ({"Tags": '{"2i2c:hub-name": "kelp"}', "SubAccountId": "coral-account"}, ("tag", "reef/kelp", None)),
        ({"SubAccountId": "coral-account"}, ("account", "reef/coral", None)),
        ({"SubAccountId": "NULL", "BillingAccountId": "coral-account"}, ("account", "reef/coral", None)),
        ({"SubAccountId": "elsewhere"}, ("shared", None, "all hubs")),
        (
            {"SubAccountId": "elsewhere", "Tags": '{"2i2c:hub-name": "kelp"}'},
            ("unallocated", None, "its tag names no known hub"),
        ),
        ({"SubAccountId": "gone-account"}, ("unallocated", None, "its account is for no known hub or cluster")),
    ],
)
def test_whom_a_line_is_for(bill: Bill, line: dict[str, str], whose: tuple[str, str | None, str | None]) -> None:
    bill.write("2026-01.csv", line)
    bill.night()
    assert bill.whose() == [whose]


def test_other_tags_stay_in_the_landing_zone(bill: Bill) -> None:
    bill.write("2026-01.csv", {"Tags": '{"2i2c:hub-name": "kelp", "jupyter-user": "zz-alice"}'})
    bill.night()
    assert "zz-alice" not in str(bill.query("select * from raw.cloud_costs"))


def test_another_hub_tag_is_noticed(bill: Bill) -> None:
    bill.write("2026-01.csv", {"Tags": '{"hub": "reef/coral", "2i2c:hub-name": "kelp"}'})
    bill.night()
    bill.night(TOML.model_copy(update={"hub_tag": "hub"}))
    assert bill.whose() == [("tag", "reef/coral", None)]
    bill.night(TOML.model_copy(update={"hub_tag": None}))
    assert bill.whose() == [("shared", None, "cluster reef")]


def test_a_newer_file_replaces_the_period_of_its_accounts(bill: Bill) -> None:
    bill.write("b.csv", {"BilledCost": "1"}, {"BilledCost": "2", "BillingAccountId": "other"})
    bill.night()
    # The older name comes later: when it came is what counts.
    bill.write("a.csv", {"BilledCost": "5"})
    bill.night()
    assert bill.counted() == 7
    accounts = bill.query("select file, lines, replaced, counted, days_lost from staged.cloud_cost_accounting")
    assert accounts == [("a.csv", 1, 0, 1, 0), ("b.csv", 2, 1, 1, 0)]
    # And again, by a new version of the first file.
    bill.write("b.csv", {"BilledCost": "3"}, {"BilledCost": "2", "BillingAccountId": "other"})
    bill.night()
    assert bill.counted() == 5


def test_parts_of_one_delivery_add_up(bill: Bill) -> None:
    bill.write("2026-01-00001.csv", {"BilledCost": "1"})
    bill.write("2026-01-00002.csv", {"BilledCost": "2"})
    bill.night()
    assert bill.counted() == 3
    # One part again, on another night: still parts of one.
    bill.write("2026-01-00002.csv", {"BilledCost": "4"})
    bill.night()
    assert bill.counted() == 5


def test_a_day_a_file_is_noticed(bill: Bill) -> None:
    bill.write("2026-01-05.csv", {})
    bill.write("2026-01-06.csv", {"ChargePeriodStart": "2026-01-06", "ChargePeriodEnd": "2026-01-07"})
    bill.night()
    check = next(c for c in CHECKS if c.name == "redelivery_covers_what_it_replaces")
    assert [row for row in evaluate(bill.con, check, {}).rows if "2026-01-05.csv" in row]


def test_any_order_of_loading_gives_the_same(bill: Bill, tmp_path: Path) -> None:
    """A warehouse that is rebuilt from the landing zone has what the nights made of it."""
    bill.write("b.csv", {"BilledCost": "1"})
    bill.night()
    bill.write("a.csv", {"BilledCost": "5"})
    bill.night()
    before = bill.query("select * from staged.cloud_costs")
    for name in ("raw.cloud_costs", "raw.loads", "staged.cloud_costs", "staged.cloud_cost_accounting"):
        bill.con.execute(f"truncate {name}")
    bill.night()
    assert bill.query("select * from staged.cloud_costs") == before


def test_what_comes_after_the_as_of_day_waits(bill: Bill) -> None:
    bill.write("2026-01.csv", {}, {"ChargePeriodStart": "2026-01-31 23:59:59", "ChargePeriodEnd": "2026-02-01"})
    bill.night(as_of=date(2026, 1, 30))
    assert bill.counted() == 10
    bill.night(as_of=date(2026, 1, 31))
    assert bill.counted() == 20


def test_moments_of_other_zones_fall_on_their_utc_day(bill: Bill) -> None:
    bill.write("2026-01.csv", {"ChargePeriodStart": "2026-01-31T23:30:00-02:00", "ChargePeriodEnd": "2026-02-28"})
    bill.night()
    assert bill.query("select date from staged.cloud_costs") == [(date(2026, 2, 1),)]


def test_a_bill_in_euro_is_converted_at_the_rate_of_its_day(bill: Bill) -> None:
    """100 at 1.0832 and 50.25 at 1.10 are 108.32 and 55.275: 163.595, and 163.60 for the month."""
    bill.rates(("2026-01-05", "1.0832"), ("2026-01-20", "1.10"))
    euro = {"BillingCurrency": "EUR", "SubAccountId": "coral-account"}
    late = {"ChargePeriodStart": "2026-01-20", "ChargePeriodEnd": "2026-01-21"}
    bill.write("2026-01.csv", {**euro, "BilledCost": "100"}, {**euro, **late, "BilledCost": "50.25"})
    bill.night()
    assert bill.quarantine() == []
    staged = bill.query("select date, currency, billed, amount from staged.cloud_costs order by date")
    assert staged == [
        (date(2026, 1, 5), "EUR", Decimal(100), Decimal("108.32")),
        (date(2026, 1, 20), "EUR", Decimal("50.25"), Decimal("55.275")),
    ]
    assert bill.query("select hub_id, amount from facts.cloud_costs") == [("reef/coral", Decimal("163.60"))]


def test_without_a_rate_of_its_day_a_line_is_no_part_of_the_bill(bill: Bill) -> None:
    """Before the first rate, and where the rates of its day contradict each other: an older one doesn't slip in."""
    bill.rates(("2026-01-05", "1.0832"), ("2026-01-07", None))
    days = ("2026-01-04", "2026-01-05", "2026-01-06", "2026-01-07")
    euro = {"BillingCurrency": "EUR", "ChargePeriodEnd": "2026-02-01"}
    bill.write("2026-01.csv", *({**euro, "ChargePeriodStart": day} for day in days))
    bill.night()
    assert bill.counted() == Decimal("21.664")
    assert bill.quarantine() == [("2026-01.csv", row, "no_rate:EUR") for row in (1, 4)]
    bill.rates(("2026-01-01", "2"))
    bill.night()
    assert (bill.quarantine(), bill.counted()) == ([], 80)


def test_the_reporting_currency_is_always_one(bill: Bill) -> None:
    bill.con.execute("insert into staged.rates values ('USD', '2026-01-01', 7)")
    bill.write("2026-01.csv", {})
    bill.night()
    assert bill.counted() == 10


@pytest.mark.parametrize("as_map", [True, False])
def test_parquet_with_types_of_its_own(bill: Bill, as_map: bool) -> None:
    """Doubles by their shortest text, moments, tags as a map, nulls and the word NULL."""
    frame = pl.DataFrame(
        {
            **{name: ["NULL" if text == "NULL" else text] for name, text in GOOD.items()},
            "BilledCost": [0.1],
            "EffectiveCost": [None],
            "PricingQuantity": [2],
            "ChargePeriodStart": [datetime(2026, 1, 5, tzinfo=UTC)],
            "Tags": ['{"2i2c:hub-name": "kelp"}'],
        }
    )
    content = io.BytesIO()
    frame.write_parquet(content)
    path = bill.drop / "2026-01.parquet"
    path.write_bytes(content.getvalue())
    if as_map:
        with duckdb.connect() as con:
            con.execute(f"create table t as from '{path}'")
            con.execute(
                f"copy (select * replace (map {{'2i2c:hub-name': 'kelp'}} as Tags) from t) to '{path}' (format parquet)"
            )
    bill.night()
    assert (bill.quarantine(), bill.counted()) == ([], Decimal("0.1"))
    assert bill.whose() == [("tag", "reef/kelp", None)]


@pytest.mark.parametrize(("shared_by", "expected"), [("user_days", "7.50"), ("users", "5.00"), ("nothing", None)])
def test_shared_costs_by_the_stated_key(bill: Bill, shared_by: str, expected: str | None) -> None:
    bill.con.execute(
        "insert into staged.user_days select date '2026-01-01' + i::integer, 'reef/coral', "
        "'00000000-0000-0000-0000-000000000001' from range(3) t (i)"
    )
    bill.con.execute(
        "insert into staged.user_days values ('2026-01-09', 'reef/kelp', '00000000-0000-0000-0000-000000000002')"
    )
    bill.write("2026-01.csv", {})
    bill.night(TOML.model_copy(update={"shared_by": shared_by}))
    found = bill.query("select amount from facts.cloud_costs where hub_id = 'reef/coral'")
    assert found == ([(Decimal(expected),)] if expected else [])
    assert bill.query("select sum(amount) from facts.cloud_costs") == [(Decimal("10.00"),)]


def test_a_torn_file_blocks_and_is_named(bill: Bill) -> None:
    bill.write("2026-01.csv", {})
    (bill.drop / "2026-02.csv.gz").write_bytes(b"\x1f\x8b\x08\x00torn")
    bill.night()
    assert bill.quarantine() == [("2026-02.csv.gz", None, "truncated")]


@pytest.mark.skipif(not REAL.exists(), reason="the real sample is not part of the project")
def test_the_real_sample_loads_whole(bill: Bill) -> None:
    (bill.drop / REAL.name).write_bytes(REAL.read_bytes())
    bill.night()
    assert bill.quarantine() == []
    with duckdb.connect() as con:
        wanted = con.execute(
            "select count(*), sum(BilledCost::decimal(38, 24)) from read_csv(?, all_varchar = true)", [str(REAL)]
        ).fetchall()
    assert bill.query("select sum(lines)::bigint, sum(amount) from staged.cloud_costs") == wanted
    assert wanted[0][0] == 1000
