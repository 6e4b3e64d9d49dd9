"""A small organisation on disk: files are dropped, landed and counted as a run would, through the library.

Expected keys are worked out here with the standard library alone.
"""

import hashlib
import hmac
import tempfile
from collections.abc import Sequence
from datetime import UTC, date, datetime
from functools import cache
from pathlib import Path
from typing import Any
from uuid import UUID

import duckdb

from kpi_pipeline import settings
from kpi_pipeline.contracts import RECORDS
from kpi_pipeline.landing import Landing
from kpi_pipeline.sources.files import list_cluster_yaml, list_files
from kpi_pipeline.stages import cluster_yaml, facts, raw, staged
from kpi_pipeline.warehouse import Warehouse

SECRET = "a-secret-for-tests-only"
FETCHED = datetime(2025, 7, 10, 6, tzinfo=UTC)
AS_OF = date(2025, 6, 30)

REGISTRY_HEADER = "valid_from,valid_to,cluster,provider,hub,display_name,domain,helm_chart,hubspot_deal_id"
REGISTRY = f"""{REGISTRY_HEADER}
2025-01-01,,reef,gcp,coral,Coral,coral.reef.org,basehub,
2025-01-01,,reef,gcp,kelp,Kelp,kelp.reef.org,basehub,
"""
HEADER = "date,cluster,hub,username"
# Row 2 is left for what a test gets wrong.
FIRST = "2025-06-01,reef,coral,zz-alice"
LATER = ("2025-06-01,reef,coral,zz-bobby", "2025-06-02,reef,kelp,zz-alice")
KPI_TOML = """
[organisation]
name = "Reef"

[sources.hub_registry]
kind = "table"
path = "hub_registry"

[sources.hub_activity]
kind = "table"
path = "hub_activity"
"""

UserDay = tuple[str, str, UUID]


def key_of(name: str, issuer: str = "reef", secret: str = SECRET) -> UUID:
    """The person_key of a name that is in its normal form already."""
    digest = hmac.new(secret.encode(), f"{issuer}\x1f{name}".encode(), hashlib.sha256).digest()
    return UUID(bytes=digest[:16])


GOOD_DAYS = sorted(
    [
        ("2025-06-01", "reef/coral", key_of("zz-alice")),
        ("2025-06-01", "reef/coral", key_of("zz-bobby")),
        ("2025-06-02", "reef/kelp", key_of("zz-alice")),
    ]
)
# date, hub, place in the file: the bad record is the second.
GOOD_PLACES = [("2025-06-01", "coral", 1), ("2025-06-01", "coral", 3), ("2025-06-02", "kelp", 4)]
# (date, dau, mau) of the organisation.
GOOD_COUNTS = [("2025-06-01", 2, 2), ("2025-06-02", 1, 2)]
GOOD_NAMES = ("zz-alice", "zz-bobby")


def with_second(bad: str, header: str = HEADER, end: str = "\n") -> str:
    """A CSV of activity whose second record is `bad`."""
    return end.join([header, FIRST, bad, *LATER]) + end


@cache
def empty_warehouse() -> bytes:
    """A warehouse with all of its tables, made once: making them takes longer than most tests."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "warehouse.duckdb"
        with Warehouse(path, Path(folder) / "spill").open():
            pass
        return path.read_bytes()


class Organisation:
    """Files in `root`, the landing zone and the warehouse in `root/data`."""

    def __init__(self, root: Path, data: str = "data") -> None:
        self.root = root
        self.data = root / data
        self.config = root / "kpi.toml"
        self.config.write_text(KPI_TOML)
        self.reading: duckdb.DuckDBPyConnection | None = None
        path = self.data / "warehouse" / "warehouse.duckdb"
        path.parent.mkdir(parents=True)
        path.write_bytes(empty_warehouse())
        self.drop("hub_registry", "hubs.csv", REGISTRY)

    def drop(self, source: str, name: str, content: str | bytes) -> Path:
        path = self.root / source / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    @property
    def settings(self) -> settings.Settings:
        return settings.load(self.config, self.data, AS_OF)

    @property
    def landing(self) -> Landing:
        return Landing(self.settings.landing_dir)

    @property
    def warehouse(self) -> Warehouse:
        found = self.settings
        return Warehouse(found.warehouse_path, found.landing_dir / ".spill")

    def land(self, at: datetime = FETCHED) -> None:
        for source in ("hub_registry", "hub_activity"):
            wanted = getattr(self.settings.config.sources, source)
            path = self.settings.source_path(wanted.path)
            files = (
                list_cluster_yaml("hub_registry", path) if wanted.kind == "cluster_yaml" else list_files(source, path)
            )
            self.landing.land(source, wanted.kind, files, at)

    def load(self) -> list[date]:
        """From landing to facts; returns the days that were staged."""
        found = self.settings
        secret, registry = found.id_secret, found.config.sources.hub_registry
        assert registry is not None
        self.close()
        with self.warehouse.open() as con:
            if registry.kind == "cluster_yaml":
                cluster_yaml.load(con, self.landing, registry.since)
            else:
                raw.load(con, self.landing, RECORDS["hub_registry"], None, True)
            staged.stage_hubs(con, registry)
            raw.load(con, self.landing, RECORDS["hub_activity"], secret, True)
            days = staged.stage_user_days(con, found.config.exclusions, secret, [])
            facts.count_active_users(con, AS_OF, [])
        return days

    def run(self, at: datetime = FETCHED) -> list[date]:
        self.land(at)
        return self.load()

    def query(self, statement: str) -> list[tuple[Any, ...]]:
        if self.reading is None:
            self.reading = duckdb.connect(str(self.settings.warehouse_path), read_only=True)
        return self.reading.execute(statement).fetchall()

    def close(self) -> None:
        if self.reading is not None:
            self.reading.close()
        self.reading = None

    def quarantine(self) -> list[tuple[str, int | None, str]]:
        """(file, row, reason) of everything rejected, in order."""
        return self.query("select file, row, reason from raw.quarantine order by all")

    def user_days(self) -> list[UserDay]:
        return sorted(self.query("select date::varchar, hub_id, person_key from staged.user_days"))

    def places(self) -> list[tuple[str, str, int]]:
        return self.query("select date::varchar, hub, _row from raw.hub_activity order by all")

    def counts(self, grain: str = "organisation", member: str = "organisation") -> list[tuple[str, int, int]]:
        """(date, dau, mau) on days with activity."""
        return self.query(
            "select date::varchar, dau, mau from facts.active_users "
            f"where dau > 0 and grain = '{grain}' and member = $${member}$$ order by date"
        )

    def hubs(self) -> list[tuple[Any, ...]]:
        """(hub_id, from_day, to_day, display_name)."""
        return self.query(
            "select hub_id, from_day::varchar, to_day::varchar, display_name from staged.hubs order by hub_id, from_day"
        )

    def assert_no_names(self, names: Sequence[str]) -> None:
        """None of the names is in any table, nor in the bytes of the file."""
        content = self.settings.warehouse_path.read_bytes()
        tables = self.query("select schema_name, table_name from duckdb_tables() where estimated_size > 0")
        assert tables
        text = "\n".join(str(self.query(f'select * from "{schema}"."{table}"')) for schema, table in tables)
        for name in names:
            assert name not in text
            assert name.encode() not in content

    def assert_good_rows_arrived(self) -> None:
        """The three good records of `with_second`, with the right places, keys and counts, and nobody's name."""
        assert self.places() == GOOD_PLACES
        assert self.user_days() == GOOD_DAYS
        assert self.counts() == GOOD_COUNTS
        self.assert_no_names(GOOD_NAMES)
