"""One bill, two ways: as a FOCUS export in S3 and from Cost Explorer it costs each hub the same, month by month."""

from collections.abc import Callable
from datetime import date, timedelta
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest

from kpi_pipeline.settings.sources import CloudCosts
from kpi_pipeline.stages import costs
from kpi_pipeline.stages.checks import evaluate
from kpi_pipeline.stages.checks.costs import CHECKS
from kpi_pipeline.warehouse import set_up
from kpi_pipeline_tests.bad_input.organisation import empty_warehouse
from kpi_pipeline_tests.live.fake_cost_explorer import FakeCostExplorer
from kpi_pipeline_tests.live.fake_s3 import PREFIX, FakeS3, Line, written
from kpi_pipeline_tests.live.fetched import Nights, TurnedClock, utc
from kpi_pipeline_tests.live.server import served

REEF, ATOLL, LEGACY, OTHER = "111111111111", "222222222222", "333333333333", "444444444444"
# Reef is a cluster, legacy an account of one hub; atoll's hubs are named in full, and another account is for nothing.
ACCOUNTS = {REEF: "reef", LEGACY: "reef/kelp"}
HUBS = ("reef/coral", "reef/kelp", "atoll/lagoon")
AS_OF = date(2026, 3, 4)
USERS = {"reef/coral": 3, "reef/kelp": 1, "atoll/lagoon": 4}
# Month, basis, hub and detail.
Part = tuple[date, str, str | None, str | None]
DAYS = [date(2026, 2, 1) + timedelta(days=n) for n in range(32)]


def bill() -> list[Line]:
    """Lines of a bill: usage by the hour, with many digits, a tax and a credit at the ends of the month."""
    lines: list[Line] = []
    for day in DAYS:
        for hour in range(3):
            lines.append((day, REEF, "coral", Decimal("1.2345678901") + hour))
            lines.append((day, REEF, "", Decimal("0.3333333333")))
            lines.append((day, ATOLL, "atoll/lagoon", Decimal("0.0000000007")))
        lines.append((day, LEGACY, "", Decimal("2.5")))
        lines.append((day, OTHER, "", Decimal("0.1")))
        lines.append((day, REEF, "forgotten", Decimal("0.07")))
    lines.append((date(2026, 2, 28), OTHER, "", Decimal("19.99")))
    lines.append((date(2026, 2, 28), REEF, "coral", Decimal("-20.005")))
    return lines


def expected() -> dict[Part, Decimal]:
    """What each part of the bill comes to, exactly: hubs by tag and account, pools before they are shared."""
    sums: dict[Part, Decimal] = {}
    for day, account, tag, amount in bill():
        month = day.replace(day=1)
        if tag in ("coral", "atoll/lagoon"):
            part: Part = (month, "tag", {"coral": "reef/coral"}.get(tag, tag), None)
        elif tag:
            part = (month, "unallocated", None, "its tag names no known hub")
        elif account == LEGACY:
            part = (month, "account", "reef/kelp", None)
        else:
            part = (month, "shared", None, "cluster reef" if account == REEF else "all hubs")
        sums[part] = sums.get(part, Decimal(0)) + amount
    return sums


class Explorer(FakeCostExplorer):
    """The bill, as Cost Explorer sums it."""

    night = utc(2026, 3, 5, 2, 30)

    def __init__(self) -> None:
        super().__init__(page=60)
        self.costs = {}
        for day, account, tag, amount in bill():
            self.costs[day, account, tag] = self.costs.get((day, account, tag), Decimal(0)) + amount


class Exports(FakeS3):
    """The bill, as a FOCUS export has it, a folder a month."""

    def __init__(self) -> None:
        super().__init__()
        for name in self.exports:
            self.delete(f"{PREFIX}/{name}")
        for month in (2, 3):
            lines = [line for line in bill() if line[0].month == month]
            self.put(f"{PREFIX}/BILLING_PERIOD=2026-0{month}/focus-00001.csv.gz", written("x.csv.gz", lines[::2]))
            self.put(f"{PREFIX}/BILLING_PERIOD=2026-0{month}/focus-00002.csv.gz", written("x.csv.gz", lines[1::2]))
        self.now += timedelta(hours=1)


def configured(live: Any) -> Any:
    """kpi.toml, with what accounts are for."""
    return live.model_copy(update={"accounts": ACCOUNTS, "shared_by": "user_days"})


def staged(con: duckdb.DuckDBPyConnection) -> None:
    """Hubs and their people, as other sources would have brought them."""
    set_up(con)
    for hub_id in HUBS:
        cluster, hub = hub_id.split("/")
        con.execute(
            "insert into staged.hubs values ($id, '2025-01-01', '9999-12-31', $cluster, $hub, null, $hub, null, "
            "'production', 'hub', 'other', ['x'], $cluster, 'f', 1)",
            {"id": hub_id, "cluster": cluster, "hub": hub},
        )
        for day in (date(2026, 2, 9), date(2026, 3, 2)):
            con.executemany(
                "insert into staged.user_days values (?, ?, ?)",
                [(day, hub_id, f"00000000-0000-0000-0000-00000000000{n}") for n in range(USERS[hub_id])],
            )


def allocated(fetched: Nights) -> dict[Part, Decimal]:
    """facts.cloud_costs, made of what is landed."""
    path = fetched.folder / "warehouse.duckdb"
    path.write_bytes(empty_warehouse())
    with duckdb.connect(str(path)) as con:
        staged(con)
        wanted = fetched.configured
        assert isinstance(wanted, CloudCosts)
        costs.load(con, fetched.landing, wanted)
        costs.stage_cloud_costs(con, fetched.landing, wanted, "USD", AS_OF)
        costs.count_monthly_users(con, AS_OF)
        costs.allocate(con, wanted.shared_by)
        assert con.execute("select * from raw.quarantine").fetchall() == []
        assert [check.name for check in CHECKS if not evaluate(con, check, {}).passed] == []
        rows = con.execute("select month, basis, hub_id, detail, amount from facts.cloud_costs").fetchall()
    return {(month, basis, hub_id, detail): amount for month, basis, hub_id, detail, amount in rows}


def fetched_from(vendor: Any, folder: Path) -> dict[Part, Decimal]:
    with served(vendor.app) as server:
        fetched = Nights(folder, vendor, server.url, TurnedClock(vendor.night))
        fetched.change = configured
        fetched.fetch_until_through()
        return allocated(fetched)


def cents(amount: Decimal) -> Decimal:
    return amount.quantize(Decimal("0.01"), ROUND_HALF_UP)


def test_the_same_bill_costs_each_hub_the_same(tmp_path: Path) -> None:
    by_export = fetched_from(Exports(), tmp_path / "exports")
    by_explorer = fetched_from(Explorer(), tmp_path / "explorer")
    assert by_export == by_explorer
    # To the cent it is the bill.
    for month in (date(2026, 2, 1), date(2026, 3, 1)):
        whole = sum((line[3] for line in bill() if line[0].replace(day=1) == month), Decimal(0))
        assert sum(amount for key, amount in by_export.items() if key[0] == month) == cents(whole)
    # February has 28 days: of 2.50 in the account of one hub, of 0.07 with a tag that nobody knows.
    february = {key[1:]: amount for key, amount in by_export.items() if key[0] == date(2026, 2, 1)}
    assert february["account", "reef/kelp", None] == Decimal("70.00")
    assert february["unallocated", None, "its tag names no known hub"] == Decimal("1.96")
    # The cluster's pool is 28 times 3 x 0.3333333333, shared by its hubs as 3 : 1.
    assert february["shared", "reef/coral", "cluster reef"] == Decimal("21.00")
    assert february["shared", "reef/kelp", "cluster reef"] == Decimal("7.00")
    # The other is 22.79, shared by all as 3 : 1 : 4, with two cents that are left.
    assert sorted(amount for (_, _, detail), amount in february.items() if detail == "all hubs") == [
        *(Decimal(text) for text in ("2.85", "8.55", "11.39"))
    ]


@pytest.mark.parametrize("vendor", [Exports, Explorer])
def test_every_part_of_the_bill_is_within_a_cent(vendor: Callable[[], Any], tmp_path: Path) -> None:
    by_part: dict[Part, Decimal] = {}
    for (month, basis, hub, detail), amount in fetched_from(vendor(), tmp_path).items():
        part = (month, basis, None if basis == "shared" else hub, detail)
        by_part[part] = by_part.get(part, Decimal(0)) + amount
    known = expected()
    assert by_part.keys() <= known.keys()
    for part, amount in known.items():
        assert abs(by_part.get(part, Decimal(0)) - amount) < Decimal("0.01"), part


def test_one_takes_the_place_of_the_other(tmp_path: Path) -> None:
    """Cost Explorer at first, then exports of the same account: their months replace what was asked for before."""
    before = fetched_from(Explorer(), tmp_path)
    exports = Exports()
    dearer = [(day, account, tag, amount * 2) for day, account, tag, amount in bill() if day.month == 2]
    exports.put(f"{PREFIX}/BILLING_PERIOD=2026-02/focus-00001.csv.gz", written("x.csv.gz", dearer))
    exports.delete(f"{PREFIX}/BILLING_PERIOD=2026-02/focus-00002.csv.gz")
    for name in ("focus-00001.csv.gz", "focus-00002.csv.gz"):
        exports.delete(f"{PREFIX}/BILLING_PERIOD=2026-03/{name}")
    exports.now += timedelta(hours=1)
    exports.night += timedelta(days=1)
    after = fetched_from(exports, tmp_path)

    def total(found: dict[Any, Decimal], month: int) -> Decimal:
        return sum((amount for key, amount in found.items() if key[0].month == month), Decimal(0))

    assert total(after, 2) == cents(2 * sum((line[3] for line in bill() if line[0].month == 2), Decimal(0)))
    assert total(after, 3) == total(before, 3)
